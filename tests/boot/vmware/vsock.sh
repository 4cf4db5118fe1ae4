# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# Sockets over VMCI, both ways: two programs of the host's at once get back what they sent to the guest's listener, the
# guest's bytes arrive at listeners of the host's however it closes, the host's arrive when it closes at once, and where
# nobody listens is told to both. The same after the driver was taken away and came back.
variants='kernel=6.1 kernel=6.12,sandbox=strict'
modules='vmw_vmci vsock vmw_vsock_vmci_transport vmw_pvscsi sd_mod crc32c_generic ext4'
args="--cpus 2 ${sandbox:+--sandbox $sandbox}"
timeout=300

host()
{
    local code=0
    vsock_program || return 1
    truncate -s 32M "$work/a.img"
    mkfs.ext4 -q -d "$work/tree" "$work/a.img"
    cat >"$work/peer.py" <<'END'
import hashlib, os, socket, sys, threading, time
path = sys.argv[1]
def pattern(n):
    return (bytes(i * 7 & 255 for i in range(4096)) * (n // 4096 + 1))[:n]
def read_all(s):
    got = b""
    while more := s.recv(65536):
        got += more
    return got
def listen(port, serve):
    l = socket.socket(socket.AF_UNIX)
    l.bind("%s_%d" % (path, port))
    l.listen(4)
    def run():
        while True:
            serve(l.accept()[0])
    threading.Thread(target=run, daemon=True).start()
def take(name, wanted, answer):
    def serve(s):
        got = read_all(s)
        print("%s: %d bytes, %s" % (name, len(got), "right" if got == pattern(wanted) else "wrong"), flush=True)
        if answer:
            s.sendall(answer)
        s.close()
    return serve
def give(s):
    time.sleep(0.02) # the guest reads by then
    s.sendall(pattern(3000000))
    s.close()
listen(6000, take("sent", 3000000, b"k"))
listen(6001, take("dropped", 3000007, b""))
listen(6002, give)
def connect(port):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.sendall(b"CONNECT %d\n" % port)
    line = b""
    while not line.endswith(b"\n") and (c := s.recv(1)):
        line += c
    return s, line.decode().strip()
while not os.path.exists(path + ".go"):
    time.sleep(0.2)
print("nobody: '%s'" % connect(5999)[1], flush=True)
def echoed(n):
    s, line = connect(5000)
    sent = os.urandom(2500000 + n)
    threading.Thread(target=lambda: (s.sendall(sent), s.shutdown(socket.SHUT_WR))).start()
    got = read_all(s)
    same = hashlib.sha256(got).digest() == hashlib.sha256(sent).digest()
    print("echo %d: %s, %d bytes came back, %s" % (n, line, len(got), "right" if same else "wrong"), flush=True)
both = [threading.Thread(target=echoed, args=(n,)) for n in (1, 2)]
[t.start() for t in both]
[t.join() for t in both]
time.sleep(3600)
END
    python3 "$work/peer.py" "$work/sock" >"$work/peer.txt" 2>&1 &
    run --persona "vmware,vsock=$work/sock" --nic none --disk "$work/a.img,format=raw,readonly" </dev/null |
        while IFS= read -r line; do
            printf '%s\n' "$line"
            case $line in *'guest listens'*) touch "$work/sock.go" ;; esac
        done || code=$?
    kill %1 2>/dev/null
    cat "$work/peer.txt"
    for said in "nobody: ''" 'echo 1: OK .* 2500001 bytes came back, right' 'echo 2: OK .* 2500002 bytes came back, right' \
        'sent: 3000000 bytes, right' 'dropped: 3000007 bytes, right'; do
        grep -q "$said" "$work/peer.txt" || echo "verdict: failure the host did not see '$said'"
    done
    [ "$(grep -c '^dropped: .* right' "$work/peer.txt")" = 2 ] || echo "verdict: failure the second driver's bytes did not arrive"
    return $code
}

guest()
{
    wait_for 30 test -b /dev/sda || failure "there is no disk"
    mount -t ext4 -o ro /dev/sda /mnt || failure "it cannot be mounted"
    /mnt/vsock echo 5000 2 || failure "no connections from the host"
    /mnt/vsock send 6000 3000000 || failure "no connection to the host"
    /mnt/vsock drop 6001 3000007 || failure "no second connection to the host"
    /mnt/vsock get 6002 3000000 || failure "the host's bytes did not arrive"
    /mnt/vsock refused 6999 || failure "a connection to nobody"
    rmmod vmw_vsock_vmci_transport || failure "the transport cannot be taken away"
    rmmod vmw_vmci || failure "the driver cannot be taken away"
    for module in vmw_vmci vmw_vsock_vmci_transport; do
        insmod "$(grep "/$module.ko" /modules)" || failure "$module does not come back"
    done
    /mnt/vsock drop 6001 3000007 || failure "no connection by the second driver"
    dmesg | grep -i vmci
    sleep 1 # the host reads what is left
    success
}
