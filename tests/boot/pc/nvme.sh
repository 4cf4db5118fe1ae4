# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A whole disk starts by itself from an NVMe namespace; Linux writes to a second one, trims it and zeroes it.
variants='persona=kvm,cpus=2 persona=bare,cpus=1,opt=hpet persona=vmware,cpus=1'
kernel=6.1
modules='nvme'
programs='/usr/sbin/blkdiscard'
timeout=300

host()
{
    cd "$work" || exit
    export TMPDIR=$work
    "$top/tools/mkbootdisk.sh" disk.img "$kernel_image" "$initrd" "console=ttyS0 quiet panic=-1 no_timer_check" || return 1
    truncate -s 64M b.img
    "$hospes" run --host kvm --persona "$persona${opt:+,$opt}" --cpus "$cpus" --nic none --disk disk.img,format=raw,bus=nvme \
        --disk b.img,format=raw,bus=nvme,write </dev/null
}

guest()
{
    local n=0 data=nvme0n2
    while [ ! -b /dev/nvme0n1p1 ] || [ ! -b /dev/$data ]; do
        [ $n -lt 150 ] || failure "no disks: $(echo /dev/nvme*)"
        usleep 100000
        n=$((n + 1))
    done
    want "the partition on the disk" "$(cat /sys/block/nvme0n1/nvme0n1p1/start)" 2048
    want "vectors at work" "$(grep -c nvme0q /proc/interrupts)" "$(($(nproc) + 1))"
    dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null
    dd if=/tmp/data of=/dev/$data bs=1M oflag=direct 2>/dev/null || failure "cannot write"
    dd if=/tmp/data of=/dev/$data bs=4k seek=8192 conv=fsync 2>/dev/null || failure "cannot write and flush"
    echo 3 >/proc/sys/vm/drop_caches
    dd if=/dev/$data bs=1M count=16 iflag=direct 2>/dev/null | cmp - /tmp/data || failure "other data"
    dd if=/dev/$data bs=4k skip=8192 count=4096 2>/dev/null | cmp - /tmp/data || failure "other data behind"
    /bin/blkdiscard -f -o 0 -l 4194304 /dev/$data || failure "cannot trim"
    /bin/blkdiscard -f -z -o 33554432 -l 4194304 /dev/$data || failure "cannot zero"
    echo 3 >/proc/sys/vm/drop_caches
    want "what was zeroed" "$(dd if=/dev/$data bs=1M skip=32 count=4 2>/dev/null | tr -d '\0' | wc -c)" 0
    dmesg -r | grep -E '^<[0-4]>' | grep nvme | grep -v "Hardware name" && failure "complaints in dmesg"
    success
}
