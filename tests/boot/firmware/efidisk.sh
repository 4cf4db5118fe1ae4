# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# UEFI starts a disk by itself under each persona: OVMF, GRUB from the EFI system partition, kernel, and the kernel finds
# the same disk by the persona's own driver, once. With hyperv, a generation 2 machine, and with vmware the SATA controller
# that OVMF knew it by is gone.
variants='persona=kvm persona=hyperv persona=bare persona=xen persona=vmware'
kernel=6.1
timeout=600
case ${persona:-} in
bare) modules='ata_piix sd_mod' ;;
hyperv) modules='hv_vmbus hv_storvsc ahci sd_mod' ;;
xen) modules='xen-blkfront ata_piix sd_mod' ;;
vmware) modules='vmw_pvscsi sd_mod' ;;
*) modules='virtio_pci virtio_blk' ;;
esac

host()
{
    local code=0
    cd "$work" || exit
    export TMPDIR=$work
    "$top/tools/mkefidisk.sh" disk.img "$kernel_image" "$initrd" "console=ttyS0 panic=-1 persona=$persona" || return 1
    "$hospes" run --host kvm --persona "$persona" --firmware uefi --nic none --log log disk.img,format=raw </dev/null |
        tee console.txt || code=$?
    cat log
    for said in BdsDxe 'GRUB starts'; do
        grep -q "$said" console.txt || echo "verdict: failure '$said' is not on the serial line"
    done
    return $code
}

guest()
{
    local disk=sda n=0 persona path
    persona=$(sed 's/.*persona=\([a-z]*\).*/\1/' /proc/cmdline)
    case $persona in
    xen) disk=xvda ;;
    kvm) disk=vda ;;
    esac
    [ -d /sys/firmware/efi ] || failure "the kernel does not see UEFI"
    while [ ! -b /dev/$disk ]; do
        [ $n -lt 100 ] || failure "no $disk: $(echo /sys/block/*)"
        usleep 100000
        n=$((n + 1))
    done
    path=$(readlink -f /sys/block/$disk/device)
    echo "$disk: $path"
    case $persona in
    bare) want "the disk's driver" "$(echo "$path" | grep -c /ata)" 1 ;;
    hyperv) want "the disk's driver" "$(echo "$path" | grep -ci MSFT1000)" 1 ;;
    xen) want "the disk's driver" "$(echo "$path" | grep -c vbd-)" 1 ;;
    vmware) want "the disk's driver" "$(basename "$(readlink -f /sys/block/$disk/device/../../../driver)")" vmw_pvscsi ;;
    *) want "the disk's driver" "$(echo "$path" | grep -c virtio)" 1 ;;
    esac
    want "disks" "$(find /sys/block -name "[svx]*d?" | wc -l)" 1
    want "the boot sector" "$(dd if=/dev/$disk bs=1 skip=510 count=2 2>/dev/null | od -An -tx1)" " 55 aa"
    case $persona in
    hyperv | vmware) ! grep -q 0x0106 /sys/bus/pci/devices/*/class || failure "the SATA controller is still there" ;;
    esac
    dmesg | grep -q "can't claim" && failure "a BAR is where ACPI has no window"
    grep -q ACPI /proc/interrupts || grep -q acpi /proc/interrupts || failure "no ACPI interrupt"
    success
}
