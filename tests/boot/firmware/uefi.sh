# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# UEFI starts a kernel as an EFI program, with its own tables and variables: twice, and what the first guest wrote into a
# variable is there in the second.
variants='persona=kvm persona=xen,host_kernel=6.12'
kernel=6.1
case ${persona:-kvm} in
xen) modules='efivarfs xen-netfront' ;;
*) modules='efivarfs virtio_pci virtio_net' ;;
esac
timeout=400

host()
{
    local n code=0
    cd "$work" || exit
    export TMPDIR=$work
    for n in 1 2; do
        "$hospes" run --host kvm --persona "${persona:-kvm}" --cpus 2 --firmware uefi --nvram "$work/vars.fd" \
            --kernel "$kernel_image" --initrd "$initrd" --append "console=ttyS0 panic=-1 life=$n" --log "$work/log" \
            </dev/null | tee "console$n.txt" || code=$?
        [ $code = 0 ] || return $code
    done
    cat log
    [ -s vars.fd ] || echo "verdict: failure no variable store was written"
}

guest()
{
    local v=/sys/firmware/efi/efivars/HospesTest-c0ffee00-1234-5678-9abc-def012345678 life
    life=$(sed 's/.*life=\([0-9]\).*/\1/' /proc/cmdline)
    [ -d /sys/firmware/efi ] || failure "the kernel does not see UEFI"
    dmesg | grep -iE 'efi:|ACPI: [A-Z]{4} 0x|DMI:|BAR|can.t claim|bridge window'
    modprobe efivarfs
    mount -t efivarfs none /sys/firmware/efi/efivars || failure "no variables"
    if [ "$life" = 1 ]; then
        printf '\007\000\000\000hospes' >$v || failure "a variable cannot be written"
    fi
    want "the variable" "$(tail -c 6 $v)" hospes
    want "processors that came up" "$(cat /sys/devices/system/cpu/online)" 0-1
    dmesg | grep -q "can't claim" && failure "a BAR is where ACPI has no window"
    grep -q acpi /proc/interrupts || failure "no ACPI interrupt"
    ls /sys/bus/pci/devices
    [ -d /sys/class/net/eth0 ] || failure "no network card"
    success
}
