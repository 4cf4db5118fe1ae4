# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A Debian kernel takes the machine for VMware's, reads its clocks from the backdoor and gives up memory.
kernel=6.1-cloud
modules='vmw_balloon'
args='--cpus 2'
timeout=180

host()
{
    run --persona vmware --nic none </dev/null
}

guest()
{
    dmesg | grep -q 'Hypervisor detected: VMware' || failure "not detected"
    dmesg | grep -q 'vmware: TSC freq read from hypervisor' || failure "no TSC frequency"
    dmesg | grep -q 'vmware: Host bus clock speed read from hypervisor : 1000000000 Hz' || failure "no bus clock"
    want "the maker" "$(cat /sys/class/dmi/id/sys_vendor)" "VMware, Inc."
    grep -q '^VMware-[0-9a-f ]*-[0-9a-f ]*$' /sys/class/dmi/id/product_serial || failure "serial number"
    dmesg | grep -q 'vmware: using clock offset' || failure "no paravirtual clock"
    grep -q vmw_balloon /proc/modules || failure "no balloon driver"
    dmesg -r | grep -E '^<[0-4]>' | grep -iE 'vmware|balloon' | grep -v 'Hardware name' && failure "complaints in dmesg"
    success
}
