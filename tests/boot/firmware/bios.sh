# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A whole disk starts by itself under each persona: BIOS, boot loader, kernel, and the kernel finds the same disk by the
# persona's own driver. A CD-ROM drive is beside it.
variants='persona=kvm persona=bare persona=hyperv persona=xen persona=vmware cpus=2,persona=kvm'
kernel=6.1
timeout=300
case ${persona:-} in
bare) modules='ata_piix sd_mod sr_mod' ;;
hyperv) modules='hv_vmbus hv_storvsc ata_piix sd_mod sr_mod' ;;
xen) modules='xen-blkfront ata_piix sd_mod sr_mod' ;;
vmware) modules='vmw_pvscsi ata_piix sd_mod sr_mod' ;;
*) modules='virtio_pci virtio_blk ata_piix sr_mod' ;;
esac

host()
{
    local code=0
    cd "$work" || exit
    export TMPDIR=$work
    "$top/tools/mkbootdisk.sh" disk.img "$kernel_image" "$initrd" "console=ttyS0 quiet panic=-1 persona=$persona" ||
        return 1
    { printf 'a disc, not a disk' && head -c 1M /dev/zero; } >cd.iso
    "$hospes" run --host kvm --persona "$persona" --cpus "${cpus:-1}" --nic none --cdrom cd.iso \
        disk.img,format=raw </dev/null | tee console.txt || code=$?
    # Xen's SeaBIOS takes no settings, so that its own words stay on the screen.
    for said in SeaBIOS SYSLINUX; do
        [ "$persona" = xen ] || grep -q "$said" console.txt || {
            echo "verdict: failure $said did not speak on the serial line"
            return 1
        }
    done
    return $code
}

# driver DISK: what serves it.
driver()
{
    case $(readlink -f "/sys/block/$1/device") in
    *MSFT1000*) echo storvsc ;;
    *vbd-*) echo blkfront ;;
    *ata*) echo ata ;;
    *virtio*) echo virtio ;;
    *host*) echo scsi ;;
    esac
}

guest()
{
    local disk=sda by n=0
    persona=$(sed 's/.*persona=\([a-z]*\).*/\1/' /proc/cmdline)
    case $persona in
    bare) by=ata ;;
    hyperv) by=storvsc ;;
    xen) by=blkfront disk=xvda ;;
    vmware) by=scsi ;;
    *) by=virtio disk=vda ;;
    esac
    while [ ! -b /dev/sr0 ] || [ ! -b "/dev/$disk" ]; do
        [ $n -lt 100 ] || failure "no $disk or sr0: $(echo /sys/block/*)"
        usleep 100000
        n=$((n + 1))
    done
    want "the disk's driver" "$(driver $disk)" $by
    want "disks" "$(find /sys/block -name "[svx]*d?" | wc -l)" 1
    want "the partition on the disk" "$(cat "/sys/block/$disk/${disk}1/start")" 2048
    want "the boot sector" "$(dd if=/dev/$disk bs=1 skip=510 count=2 2>/dev/null | od -An -tx1)" " 55 aa"
    want "the disc" "$(dd if=/dev/sr0 bs=18 count=1 2>/dev/null)" "a disc, not a disk"
    want "processors that came up" "$(cat /sys/devices/system/cpu/online)" "$(cat /sys/devices/system/cpu/present)"
    grep -q ACPI /proc/interrupts || grep -q acpi /proc/interrupts || failure "no ACPI interrupt"
    success
}
