# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# A kernel that another one has started by kexec has sockets over VMCI, and nothing is written any more into the queues
# that the first one had, while a program of the host's goes on sending to it.
kernel=6.1
modules='vmw_vmci vsock vmw_vsock_vmci_transport vmw_pvscsi sd_mod crc32c_generic ext4'
programs='/usr/sbin/kexec'
append='how=kexec'
timeout=400

host()
{
    local code=0
    vsock_program || return 1
    cp "$kernel_image" "$work/tree/vmlinuz"
    cp "$initrd" "$work/tree/initrd"
    truncate -s 512M "$work/tree.img"
    mkfs.ext4 -q -d "$work/tree" "$work/tree.img"
    cat >"$work/peer.py" <<'END'
import socket, sys, threading
path = sys.argv[1]
def listen(port):
    l = socket.socket(socket.AF_UNIX)
    l.bind("%s_%d" % (path, port))
    l.listen(4)
    return l
def flood():
    s, _ = flooded.accept()
    sent = 0
    try:
        while True:
            sent += s.send(b"\xee" * 65536)
    except OSError:
        print("flooded: %d bytes until it ended" % sent, flush=True)
flooded, second = listen(6001), listen(6000)
threading.Thread(target=flood).start()
s, _ = second.accept()
n = 0
while more := s.recv(65536):
    n += len(more)
print("second: %d bytes" % n, flush=True)
s.sendall(b"k")
END
    python3 "$work/peer.py" "$work/sock" >"$work/peer.txt" 2>&1 &
    run --persona "vmware,vsock=$work/sock" --nic none --disk "$work/tree.img,format=raw,write" </dev/null || code=$?
    kill %1 2>/dev/null
    cat "$work/peer.txt"
    grep -q 'flooded: .* until it ended' "$work/peer.txt" || echo "verdict: failure the first kernel's connection goes on"
    grep -q 'second: 2000000 bytes' "$work/peer.txt" || echo "verdict: failure the second kernel's bytes did not arrive"
    return $code
}

guest()
{
    tree=/dev/sda
    wait_for 30 test -b $tree || failure "there is no disk"
    mkdir -p /mnt /tmp
    mount -t ext4 -o ro $tree /mnt || failure "it cannot be mounted"
    cp /mnt/vsock /bin/vsock
    umount /mnt
    if [ "$(word second)" = kexec ]; then
        vsock send 6000 2000000 || failure "no connection to the host"
        success
    fi
    vsock hold 6001 >/tmp/held &
    wait_for 30 grep -q holds /tmp/held || failure "no connection to the host in the first kernel"
    kexec_start
}
