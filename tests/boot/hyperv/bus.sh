# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034 # read by the runner
# An unmodified kernel knows Hyper-V, its clock and its bus, at each version that the guest may be held to.
variants='vmbus=6.0 vmbus=5.2 vmbus=5.0 vmbus=4.0 vmbus=3.0 vmbus=2.4'
modules='hv_vmbus'
args="--persona hyperv,vmbus=${vmbus:-6.0} --cpus 2 --nic none"
append="vmbus=${vmbus:-6.0}"

guest()
{
    dmesg | grep -iE 'hyper-v|hv_|clocksource|SMBIOS|DMI'
    dmesg | grep -q 'Hypervisor detected: Microsoft Hyper-V' || failure "the kernel does not see Hyper-V"
    want clocksource "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)" \
        hyperv_clocksource_tsc_page
    want maker "$(cat /sys/class/dmi/id/sys_vendor)" "Microsoft Corporation"
    wanted=$(sed -n 's/.*[ ]vmbus=\([0-9.]*\).*/\1/p' /proc/cmdline)
    [ "$wanted" != 6.0 ] || wanted=5.3 # the newest that this kernel speaks
    dmesg | grep -q "Vmbus version:$wanted" || failure "VMBus is not at version $wanted"
    success
}
