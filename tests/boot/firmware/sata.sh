# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A whole disk starts by itself from SATA, and Linux writes to a second one with queued commands.
variants='cpus=1 cpus=2'
kernel=6.1
modules='ahci sd_mod sr_mod'
timeout=300

host()
{
    cd "$work" || exit
    export TMPDIR=$work
    "$top/tools/mkbootdisk.sh" disk.img "$kernel_image" "$initrd" "console=ttyS0 quiet panic=-1" || return 1
    truncate -s 64M b.img
    { printf 'a disc, not a disk' && head -c 1M /dev/zero; } >cd.iso
    "$hospes" run --host kvm --persona bare --cpus "$cpus" --nic none --disk disk.img,format=raw,bus=sata \
        --disk b.img,format=raw,bus=sata,write --disk cd.iso,format=raw,readonly,bus=sata,cdrom </dev/null
}

guest()
{
    local n=0 boot=sda data=sdb # ports are looked at side by side, so that either may be first
    while [ ! -b /dev/sr0 ] || [ ! -b /dev/sdb ] || [ ! -b "/dev/${boot}1" ]; do
        [ ! -b /dev/sdb1 ] || boot=sdb data=sda
        [ $n -lt 150 ] || failure "no disk with a partition, other disk or sr0: $(echo /dev/s*)"
        usleep 100000
        n=$((n + 1))
    done
    want "the partition on the disk" "$(cat "/sys/block/$boot/${boot}1/start")" 2048
    want "queued commands" "$(cat "/sys/block/$data/device/queue_depth")" 32
    dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null
    dd if=/tmp/data of=/dev/$data bs=1M oflag=direct 2>/dev/null || failure "cannot write"
    dd if=/tmp/data of=/dev/$data bs=4k seek=8192 conv=fsync 2>/dev/null || failure "cannot write and flush"
    echo 3 >/proc/sys/vm/drop_caches
    dd if=/dev/$data bs=1M count=16 iflag=direct 2>/dev/null | cmp - /tmp/data || failure "other data"
    dd if=/dev/$data bs=4k skip=8192 count=4096 2>/dev/null | cmp - /tmp/data || failure "other data behind"
    want "the disc" "$(dd if=/dev/sr0 bs=18 count=1 2>/dev/null)" "a disc, not a disk"
    success
}
