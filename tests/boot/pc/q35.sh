# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A q35: its bridges have the ids and places of that chipset, configuration space of all buses is in memory, CD-ROM
# drives are on SATA, interrupt pins lead where ACPI says, a card that was given a port is on its bus, and a disk and a
# card come into other ports and go again. SeaBIOS, OVMF, or nobody sets it up.
variants='start=kernel start=bios start=bios,persona=bare start=uefi'
kernel=6.1
modules='virtio_pci virtio_blk virtio_net ahci sd_mod sr_mod e1000'
timeout=470

# start_it OPTION...: the guest in the background; its console goes to console.txt.
start_it()
{
    "$hospes" run --host kvm --name q35 --machine q35 --persona "${persona:-kvm}" --cdrom cd.iso --nic user,port=2 "$@" \
        --log log </dev/null >console.txt 2>err.txt &
    vm=$!
}

# said TEXT: until the guest has; false when it ended without.
said()
{
    until grep -q "$1" console.txt; do
        kill -0 "$vm" 2>/dev/null || return 1
        sleep 0.3
    done
}

# plugs: what a guest of KVM asks for.
plugs()
{
    said 'wants a disk' && "$hospes" attach q35 come.img,format=raw,write,bus=virtio || return 1
    said 'has done with the disk' && "$hospes" detach q35 disk2 | grep asked || return 1
    said 'wants a card' && "$hospes" attach --nic user q35 || return 1
    said 'has done with the card' && "$hospes" detach q35 nic2 | grep asked
}

host()
{
    local code=0 words="console=ttyS0 panic=-1 persona=${persona:-kvm} start=$start" vm
    cd "$work" || exit
    export TMPDIR=$work
    { printf 'a disc, not a disk' && head -c 1M /dev/zero; } >cd.iso
    truncate -s 16M come.img
    case $start in
    kernel)
        truncate -s 8M disk.img
        start_it --kernel "$kernel_image" --initrd "$initrd" --append "$words" --memory 3G --disk disk.img,format=raw
        ;;
    bios)
        "$top/tools/mkbootdisk.sh" disk.img "$kernel_image" "$initrd" "$words" || return 1
        start_it --disk disk.img,format=raw
        ;;
    uefi)
        "$top/tools/mkefidisk.sh" disk.img "$kernel_image" "$initrd" "$words" || return 1
        start_it --firmware uefi --nvram none --disk disk.img,format=raw
        ;;
    esac
    [ "${persona:-kvm}" != kvm ] || plugs || code=1
    wait "$vm" || code=$?
    cat console.txt err.txt log
    [ $code = 0 ] || echo "verdict: failure code $code"
    return $code
}

# id FUNCTION: vendor and device
id() { echo "$(cat "/sys/bus/pci/devices/0000:$1/vendor") $(cat "/sys/bus/pci/devices/0000:$1/device")"; }

# behind PATH: the port that it is behind
behind() { readlink -f "$1" | sed -n 's,.*/0000:00:\(1c\.[0-9]\)/0000:.*,\1,p'; }

comes_and_goes()
{
    # shellcheck disable=SC2317 # wait_for calls it
    gone() { [ ! -e "$what" ]; }
    # shellcheck disable=SC2317 # likewise
    come() { [ -e "$what" ]; }
    what=/sys/block/vdb
    echo 'the guest wants a disk'
    wait_for 60 come || failure "no disk came"
    want "the disk's port" "$(behind $what/device)" 1c.0
    printf guest | dd of=/dev/vdb conv=notrunc,fsync 2>/dev/null || failure "cannot write to the disk that came"
    echo 'the guest has done with the disk'
    wait_for 60 gone || failure "the disk did not go"
    what=/sys/class/net/eth1
    echo 'the guest wants a card'
    wait_for 60 come || failure "no card came"
    want "the card's port" "$(behind $what/device)" 1c.0
    ip link set eth0 down
    ip address flush dev eth0
    ip link set eth1 up && ip address add 10.0.2.15/24 dev eth1
    ping -c 3 -W 10 10.0.2.2 >/dev/null || failure "no answer to ping by the card that came"
    echo 'the guest has done with the card'
    wait_for 60 gone || failure "the card did not go"
}

guest()
{
    local disk=vda
    [ "$(word persona)" != bare ] || disk=sda
    # shellcheck disable=SC2317 # wait_for calls it
    there() { [ -b /dev/sr0 ] && [ -b "/dev/$disk" ] && [ -e /sys/class/net/eth0 ]; }
    wait_for 60 there || failure "no $disk, sr0 or eth0: $(echo /sys/block/* /sys/class/net/*)"
    find /sys/devices/pci0000:00 -maxdepth 2 -name '0000:*' | sort | while read -r f; do
        echo "${f#/sys/devices/} $(cat "$f/vendor" "$f/device" "$f/irq" | tr '\n' ' ')"
    done
    dmesg | grep -iE 'mmconfig|ecam|_OSC|pcie|BIOS-e820|pci 0000:00:1c'
    want "the host bridge" "$(id 00:00.0)" "0x8086 0x29c0"
    want "the ISA bridge" "$(id 00:1f.0)" "0x8086 0x2918"
    want "the disks' controller" "$(id 00:1f.2)" "0x8086 0x2922"
    want "the size of a configuration space" "$(stat -c %s /sys/bus/pci/devices/0000:00:00.0/config)" 4096
    want "the disc" "$(dd if=/dev/sr0 bs=18 count=1 2>/dev/null)" "a disc, not a disk"
    want "the card's port" "$(behind /sys/class/net/eth0/device)" 1c.1
    want "the card's bus" "$(basename "$(readlink -f /sys/class/net/eth0/device/..)" | grep -c 0000:02:00.0)" \
        "$([ $disk = sda ] && echo 0 || echo 1)"
    dmesg | grep -qE 'MMCONFIG (for domain|at)' || failure "no configuration space in memory"
    # OVMF leaves a ROM that it has read where it sized it, off.
    dmesg | grep 'no compatible bridge window' | grep -v 'ROM' && failure "a BAR is where ACPI has no window"
    # OVMF gives an empty port 512 of the 4096 ports that it takes, and others the rest.
    [ -d /sys/firmware/efi ] || ! dmesg | grep "can't claim" || failure "firmware put two things in one place"
    grep -q ACPI /proc/interrupts || grep -q acpi /proc/interrupts || failure "no ACPI interrupt"
    card_up
    ping -c 3 -W 10 10.0.2.2 >/dev/null || failure "no answer to ping"
    [ "$(word persona)" != kvm ] || comes_and_goes
    success
}
