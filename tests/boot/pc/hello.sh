# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034 # read by the runner
# An unmodified Debian kernel reaches user space and powers off.
variants='kernel=6.1-cloud kernel=6.1 kernel=6.12'

guest() { success; }

# Interrupts of the software host's pulse, as docs/reference/softhost.md has it; the sum over all processors.
pulses()
{
    awk '$NF ~ /^hpet[0-9]/ { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }' /proc/interrupts
}

host()
{
    local before=0
    if [ -e /run/soft-agent ]; then
        before=$(pulses)
        sleep 1
        [ "$(pulses)" -gt $((before + 9)) ] || {
            echo "verdict: error the software host has no pulse"
            return
        }
    fi
    run </dev/null
}
