# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2317 # set by or read by the runner
# The root file system is on storvsc: the guest moves to it, starts its init there, and fio writes at random in mixed
# sizes through the file system and to a second disk, and reads all of it back. seconds=600 is not for every change.
variants='cpus=2 cpus=2,seconds=600'
modules='hv_vmbus hv_storvsc sd_mod crc32c_generic ext4'
programs='/usr/bin/fio'
timeout=$((400 + ${seconds:-0} * 4))
args="--persona hyperv --cpus ${cpus:-2} --nic none"
append="seconds=${seconds:-1}"

host()
{
    mkdir "$work/tree"
    (cd "$work/tree" && cpio -idm --quiet <"$initrd" && mv init first-init)
    cat >"$work/tree/init" <<'END'
#!/bin/busybox sh
export PATH=/bin:/sbin:/usr/bin
verdict()
{
    sync
    echo "verdict: $*"
    poweroff -f
    sleep 1000
}
# The shell finds its applets through /proc/self/exe.
/bin/busybox mount -t proc proc /proc
. /agent.sh
agent_mounts
for part in /kit/*.sh; do
    . "$part"
done
. /test.sh
second
failure "it came to its end without a verdict"
END
    chmod +x "$work/tree/init"
    truncate -s 512M "$work/root.img"
    truncate -s 256M "$work/data.img"
    mkfs.ext4 -q -d "$work/tree" "$work/root.img"
    rm -r "$work/tree"
    run --disk "$work/root.img,format=raw,write" --disk "$work/data.img,format=raw,write" </dev/null
    local code=$?
    e2fsck -fn "$work/root.img" >"$work/check" 2>&1 || {
        tail -n 5 "$work/check"
        echo "verdict: failure the file system is damaged"
    }
    return $code
}

both_disks() { disk_of 1048576 && disk_of 524288; }

guest()
{
    wait_for 30 both_disks || failure "there are no disks"
    mkdir -p /new
    mount -t ext4 "$(disk_of 1048576)" /new || failure "no root file system"
    umount /sys /dev /tmp
    exec switch_root /new /init
}

second()
{
    want root "$(awk '$2 == "/" {print $1 " " $3}' /proc/mounts | tail -n 1)" "$(disk_of 1048576) ext4"
    fio_until "$(disk_of 524288)" "$(word seconds)" /data
    complaints 'sd[ab]|storvsc|I/O error|EXT4' && failure "complaints in dmesg"
    mount -o remount,ro / || failure "the root cannot be made read-only"
    success
}
