# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A plain PC of one processor with IDE and a DEC 21140 alone starts from its own disk; what it writes to another is
# there after it has reset itself, and the network each time. A kernel that sees no hypervisor panics when a busy host
# lets the PIT tick late at the one moment when it looks, so that it is told not to.
kernel=6.1
modules='ata_piix sd_mod tulip'
timeout=400

host()
{
    cd "$work" || exit
    export TMPDIR=$work
    "$top/tools/mkbootdisk.sh" disk.img "$kernel_image" "$initrd" "console=ttyS0 quiet panic=-1 no_timer_check" || return 1
    truncate -s 64M data.img
    "$hospes" run --host kvm --persona bare --cpus 1 --nic user,model=dec21140 --disk disk.img,format=raw \
        --disk data.img,format=raw,write </dev/null
}

check_network()
{
    card_up
    want "the driver" "$(basename "$(readlink /sys/class/net/eth0/device/driver)")" tulip
    ping -c 3 -W 10 10.0.2.2 >/dev/null || failure "no answer to ping: $(ip -s link show eth0)"
}

guest()
{
    local n=0 sum boot=sda data=sdb # disks are looked at side by side, so that either may be first
    while [ ! -b /dev/sda ] || [ ! -b /dev/sdb ] || [ ! -b "/dev/${boot}1" ]; do
        [ ! -b /dev/sdb1 ] || boot=sdb data=sda
        [ $n -lt 150 ] || failure "no disks: $(echo /sys/block/*)"
        usleep 100000
        n=$((n + 1))
    done
    check_network
    if [ "$(dd if=/dev/$data bs=6 count=1 2>/dev/null)" != second ]; then
        dd if=/dev/urandom of=/tmp/data bs=1M count=24 2>/dev/null
        { echo "second $(md5sum </tmp/data | cut -c1-32)"; } | dd of=/dev/$data conv=fsync 2>/dev/null
        dd if=/tmp/data of=/dev/$data bs=1M seek=1 oflag=direct 2>/dev/null || failure "cannot write"
        sync
        echo "written, resetting"
        reboot -f
        sleep 1000
    fi
    sum=$(dd if=/dev/$data bs=39 count=1 2>/dev/null | cut -c8-39)
    want "the data after a reset" "$(dd if=/dev/$data bs=1M skip=1 count=24 iflag=direct 2>/dev/null | md5sum | cut -c1-32)" "$sum"
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'tulip|eth0|ata[0-9]' | grep -v "Hardware name" && failure "complaints in dmesg"
    success
}
