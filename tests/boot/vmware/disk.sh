# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A file system on a pvscsi disk keeps what is written.
variants='cpus=1 cpus=4'
kernel=6.1-cloud
modules='vmw_pvscsi sd_mod ext4'
programs='/usr/sbin/mkfs.ext4'
args="--cpus ${cpus:-1}"
timeout=240

host()
{
    cd "$work" || exit # a path with a comma would need two
    truncate -s 256M disk.img
    run --persona vmware --nic none --disk "disk.img,format=raw,write" </dev/null
}

guest()
{
    for try in 1 2 3 4 5; do
        [ -b /dev/sda ] && break
        sleep 1
    done
    want "the disk's maker" "$(cat /sys/block/sda/device/vendor | tr -d ' ')" VMware
    mkfs.ext4 -q /dev/sda || failure "mkfs.ext4"
    mkdir -p /mnt
    mount -t ext4 -o discard /dev/sda /mnt || failure "mount"
    dd if=/dev/urandom of=/mnt/a bs=1M count=32 2>/dev/null || failure "dd"
    sum=$(sha256sum </mnt/a)
    cp /mnt/a /mnt/b
    umount /mnt
    mount -t ext4 -o discard /dev/sda /mnt || failure "second mount"
    want "the copy" "$(sha256sum </mnt/b)" "$sum"
    rm /mnt/a /mnt/b
    sync
    umount /mnt || failure "umount"
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'sda|EXT4|pvscsi|I/O error' && failure "complaints in dmesg"
    success
}
