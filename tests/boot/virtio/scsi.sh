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
    local large small
    both() { disk_of 524288 && disk_of 32768; }
    wait_for 20 both || failure "disks: $(cat /sys/block/sd*/size)"
    large=$(disk_of 524288) small=$(basename "$(disk_of 32768)")
    want "the second one's LUN" "$(basename "$(readlink "/sys/block/$small/device")")" 0:0:0:7
    want "read-only" "$(cat "/sys/block/$small/ro")" 1
    want "the disc" "$(head -n 1 /dev/sr0)" 'a disc'
    # One for each processor that there may be: "0-1" are two.
    want "queues" "$(find "/sys/block/${large#/dev/}/mq" -mindepth 1 -maxdepth 1 | wc -l)" "$(($(sed 's/.*-//' /sys/devices/system/cpu/possible) + 1))"
    mkfs.ext4 -q "$large" || failure "mkfs.ext4"
    mkdir -p /mnt
    mount -t ext4 -o discard "$large" /mnt || failure "mount"
    dd if=/dev/urandom of=/mnt/a bs=1M count=32 2>/dev/null || failure "dd"
    sum=$(sha256sum </mnt/a)
    umount /mnt
    echo 1 >"/sys/block/${large#/dev/}/device/delete"
    echo '- - -' >/sys/class/scsi_host/host0/scan
    wait_for 20 disk_of 524288 || failure "the disk does not come back"
    mount -t ext4 -o discard "$(disk_of 524288)" /mnt || failure "second mount"
    want "the file" "$(sha256sum </mnt/a)" "$sum"
    rm /mnt/a
    umount /mnt || failure "umount"
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'sd[a-z]|sr0|EXT4|virtio|I/O error' && failure "complaints in dmesg"
    success
}
