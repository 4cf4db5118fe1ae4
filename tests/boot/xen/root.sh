# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# The root file system is on xvda; hvc0 is a console of its own, which is written to and read from.
variants='host_kernel=6.1 host_kernel=6.12'
modules='xen-blkfront ext4'
args="--nic none"
timeout=300

host()
{
    local code=0 sock=$work/hvc.sock
    truncate -s 64M "$work/root.img"
    mkdir -p "$work/root/bin" "$work/root/dev" "$work/root/proc"
    cp /bin/busybox "$work/root/bin/busybox"
    cat >"$work/root/init" <<'END'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
where=$(/bin/busybox sed -n 's|^\([^ ]*\) / ext4 .*|\1|p' /proc/mounts)
exec 3<>/dev/hvc0 # once: what comes while it is closed is lost
echo "what is your name?" >&3
read -r name <&3
echo written >/kept && /bin/busybox sync
/bin/busybox mount -o remount,ro /
if [ "$name" = "sir lancelot" ] && [ "$where" = /dev/xvda ]; then
    echo "verdict: success"
else
    echo "verdict: failure root on $where, typed '$name'"
fi
/bin/busybox poweroff -f
END
    chmod +x "$work/root/init"
    mkfs.ext4 -q -d "$work/root" "$work/root.img"
    python3 - "$sock" >"$work/typed" 2>&1 <<'END' &
import socket, sys, time
for _ in range(600):
    try:
        s = socket.socket(socket.AF_UNIX)
        s.connect(sys.argv[1])
        break
    except OSError:
        time.sleep(0.2)
seen = b""
while b"your name?" not in seen:
    seen += s.recv(4096)
s.sendall(b"sir lancelot\n")
while s.recv(4096):
    pass
END
    run --persona "xen,hvc=unix=$sock" --disk "$work/root.img,format=raw,write" </dev/null || code=$?
    wait
    cat "$work/typed"
    [ "$(debugfs -R 'cat /kept' "$work/root.img" 2>/dev/null)" = written ] || echo "verdict: failure nothing was kept"
    return $code
}

guest()
{
    wait_for 10 test -e /dev/xvda
    mkdir -p /new
    mount -t ext4 /dev/xvda /new || failure "no root file system on xvda"
    exec switch_root /new /init
}
