# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A file system on a virtio disk keeps what is written, over every ring and both interfaces.
variants='o=plain o=packed o=modern o=direct cpus=4,o=plain'
kernel=6.1-cloud
modules='virtio_pci virtio_blk ext4'
programs='/usr/sbin/mkfs.ext4'
args="--cpus ${cpus:-1}"
timeout=240

host()
{
    cd "$work" || exit # a path with a comma would need two
    truncate -s 256M disk.img
    run --persona "kvm,$(echo "$o" | sed 's/plain/no-rng/')" --disk "disk.img,format=raw,write" </dev/null
}

guest()
{
    want "queues" "$(find /sys/block/vda/mq -mindepth 1 -maxdepth 1 | wc -l)" "$(grep -c ^processor /proc/cpuinfo)"
    mkfs.ext4 -q /dev/vda || failure "mkfs.ext4"
    mkdir -p /mnt
    mount -t ext4 -o discard /dev/vda /mnt || failure "mount"
    dd if=/dev/urandom of=/mnt/a bs=1M count=32 2>/dev/null || failure "dd"
    sum=$(sha256sum </mnt/a)
    cp /mnt/a /mnt/b
    umount /mnt
    mount -t ext4 -o discard /dev/vda /mnt || failure "second mount"
    want "the copy" "$(sha256sum </mnt/b)" "$sum"
    rm /mnt/a /mnt/b
    sync
    umount /mnt || failure "umount"
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'vda|EXT4|virtio|I/O error' && failure "complaints in dmesg"
    success
}
