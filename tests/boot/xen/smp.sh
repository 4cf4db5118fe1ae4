# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034 # read by the runner
# The guest brings up every vCPU that it was given, with event channels for its IPIs, and each of them does work.
variants='cpus=2 cpus=3 cpus=8 cpus=2,host_kernel=6.12 cpus=8,host_kernel=6.12'
args="--persona xen --cpus ${cpus:-1} --nic none"
append="hospes.cpus=${cpus:-1}"
timeout=400

guest()
{
    grep -q 'xen-percpu.*-ipi.*resched' /proc/interrupts || failure "IPIs do not go by event channels"
    want "clocksource" "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)" xen
    check_smp_work
}
