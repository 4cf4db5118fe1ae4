# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# What the guest writes to hvc0 appears on the serial console, and control/shutdown is watched.
variants='o=portable cpus=4,o=vector o=gsi host_kernel=6.12 cpus=4,o=vector,host_kernel=6.12 o=gsi,host_kernel=6.12'
kernel=6.1-cloud
modules=''
case ${o:-} in
portable) args='--persona xen,portable' ;;
# The older ways of interrupts: one vector that the guest never acknowledges, and a level.
vector) args='--persona xen,upcall-vector=off' ;;
gsi)
    args='--persona xen,upcall-vector=off'
    append=xen_no_vector_callback
    ;;
*) args='--persona xen' ;;
esac
args="$args --cpus ${cpus:-1} --nic none"
timeout=240

host()
{
    run </dev/null | tee "$work/out"
    grep -q "from the ring" "$work/out" || echo "verdict: failure nothing came from hvc0"
}

guest()
{
    want "hypervisor" "$(cat /sys/hypervisor/type)" xen
    dmesg | grep -q "Hypervisor detected: Xen HVM" || failure "Xen was not detected"
    dmesg | grep -q "unrecognised magic" && failure "the unplug ports do not answer"
    # Linux takes Xen's clock only together with Xen's vectors.
    if grep -q xen_no_vector_callback /proc/cmdline; then
        grep -q 'xen-platform-pci\|xen.*callback' /proc/interrupts || failure "no level for the callback: $(cat /proc/interrupts)"
    else
        want "clocksource" "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)" xen
    fi
    [ -c /dev/hvc0 ] || failure "there is no hvc0"
    echo "from the ring" >/dev/hvc0 || failure "hvc0 cannot be written"
    sleep 1
    success
}
