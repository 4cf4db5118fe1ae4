# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# Guest sockets both ways: a program of the host's gets back what it sent to the guest's listener, and the guest's
# bytes arrive at a listener of the host's.
modules='hv_vmbus hv_storvsc hv_sock sd_mod crc32c_generic ext4'
timeout=300

host()
{
    local code=0
    vsock_program || return 1
    truncate -s 32M "$work/a.img"
    mkfs.ext4 -q -d "$work/tree" "$work/a.img"
    cat >"$work/peer.py" <<'END'
import os, socket, sys, threading, time
path = sys.argv[1]
host = socket.socket(socket.AF_UNIX)
host.bind(path + "_6000")
host.listen(1)
def take():
    s, _ = host.accept()
    got = b""
    while more := s.recv(65536):
        got += more
    right = got == bytes(i * 7 & 255 for i in range(4096)) * 75 + bytes(i * 7 & 255 for i in range(100))
    print("from the guest: %d bytes, %s" % (len(got), "right" if right else "wrong"), flush=True)
    s.sendall(b"k")
taker = threading.Thread(target=take)
taker.start()
while not os.path.exists(path + ".go"):
    time.sleep(0.2)
s = socket.socket(socket.AF_UNIX)
s.connect(path)
s.sendall(b"CONNECT 5000\n")
line = b""
while not line.endswith(b"\n"):
    line += s.recv(1)
sent = os.urandom(300000)
threading.Thread(target=lambda: (s.sendall(sent), s.shutdown(socket.SHUT_WR))).start()
got = b""
while len(got) < len(sent) and (more := s.recv(65536)):
    got += more
print("%s, %d bytes came back, %s" % (line.decode().strip(), len(got), "right" if got == sent else "wrong"), flush=True)
taker.join()
END
    python3 "$work/peer.py" "$work/sock" >"$work/peer.txt" 2>&1 &
    run --persona "hyperv,hvsock=$work/sock" --nic none --disk "$work/a.img,format=raw,readonly" </dev/null |
        while IFS= read -r line; do
            printf '%s\n' "$line"
            case $line in *'guest listens'*) touch "$work/sock.go" ;; esac
        done || code=$?
    kill %1 2>/dev/null
    cat "$work/peer.txt"
    grep -q 'OK .* 300000 bytes came back, right' "$work/peer.txt" || echo "verdict: failure the host did not get its bytes back"
    grep -q 'from the guest: 307300 bytes, right' "$work/peer.txt" || echo "verdict: failure the guest's bytes did not arrive"
    return $code
}

guest()
{
    wait_for 30 test -b /dev/sda || failure "there is no disk"
    mount -t ext4 -o ro /dev/sda /mnt || failure "it cannot be mounted"
    /mnt/vsock echo 5000 || failure "no connection from the host"
    /mnt/vsock send 6000 307300 || failure "no connection to the host"
    success
}
