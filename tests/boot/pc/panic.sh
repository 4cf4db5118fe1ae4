# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034 # read by the runner
# A guest that panics makes hospes end with 3, also when the guest would reboot after it.
kernel=6.1-cloud
modules='pvpanic_pci pvpanic_mmio'
exit=3

guest()
{
    echo "verdict: success"
    echo c >/proc/sysrq-trigger
    failure "still alive after a panic"
}
