# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# Disks and a CD-ROM drive on the virtio SCSI controller: found, written, discarded, read back.
variants='o=plain cpus=4,o=packed'
kernel=6.1-cloud
modules='virtio_pci virtio_scsi sd_mod sr_mod ext4'
programs='/usr/sbin/mkfs.ext4'
args="--cpus ${cpus:-1}"
timeout=240

host()
{
    cd "$work" || exit # a path with a comma would need two
    truncate -s 256M disk.img
    truncate -s 16M second.img
    echo 'a disc' >disc.iso
    truncate -s 1M disc.iso
    run --persona "kvm,$(echo "$o" | sed 's/plain/no-rng/')" --disk "disk.img,format=raw,write,bus=scsi" \
        --disk "second.img,format=raw,readonly,bus=scsi,lun=7" --disk "disc.iso,cdrom,bus=scsi" </dev/null
}

guest()
{
    want "disks" "$(cat /sys/block/sd*/size | tr '\n' ' ')" "524288 32768 "
    want "the second one's LUN" "$(basename "$(readlink /sys/block/sdb/device)")" 0:0:0:7
    want "read-only" "$(cat /sys/block/sdb/ro)" 1
    want "the disc" "$(head -n 1 /dev/sr0)" 'a disc'
    want "queues" "$(find /sys/block/sda/mq -mindepth 1 -maxdepth 1 | wc -l)" "$(grep -c ^processor /proc/cpuinfo)"
    mkfs.ext4 -q /dev/sda || failure "mkfs.ext4"
    mkdir -p /mnt
    mount -t ext4 -o discard /dev/sda /mnt || failure "mount"
    dd if=/dev/urandom of=/mnt/a bs=1M count=32 2>/dev/null || failure "dd"
    sum=$(sha256sum </mnt/a)
    umount /mnt
    echo 1 >/sys/block/sda/device/delete
    echo '- - -' >/sys/class/scsi_host/host0/scan
    sleep 2
    mount -t ext4 -o discard /dev/sda /mnt || mount -t ext4 -o discard /dev/sdc /mnt || failure "second mount"
    want "the file" "$(sha256sum </mnt/a)" "$sum"
    rm /mnt/a
    umount /mnt || failure "umount"
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'sd[a-z]|sr0|EXT4|virtio|I/O error' && failure "complaints in dmesg"
    success
}
