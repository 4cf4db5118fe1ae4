# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Does the guest know what time it is, by its persona's own clock?
#: name: clock
#: version: 2
#: owner: hospes

#: check: clock.source
#: purpose: the kernel uses the clock of its hypervisor
#: pass: current_clocksource is the persona's, or the TSC that it vouches for
#: source: Linux Documentation/core-api/timekeeping.rst
#: by: guest
#: mandatory: yes
check_clock_source()
{
    source=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
    case $(persona) in
    kvm) one_of clock "$source" kvm-clock tsc ;;
    hyperv) one_of clock "$source" 'hyperv_clocksource*' tsc ;;
    xen) one_of clock "$source" xen tsc ;;
    vmware) one_of clock "$source" tsc 'vmware*' ;;
    bare) one_of clock "$source" tsc acpi_pm hpet refined-jiffies ;;
    esac
    success
}

#: check: clock.forward
#: purpose: time never goes back
#: pass: two hundred readings of the uptime never fall
#: source: POSIX clock_gettime, CLOCK_MONOTONIC
#: by: guest
#: mandatory: yes
check_clock_forward()
{
    last=0 i=0
    while [ $i -lt 200 ]; do
        # No processes: they would take longer than what is measured.
        read -r now rest </proc/uptime
        now=${now%.*}${now#*.}
        while [ "${now#0}" != "$now" ]; do
            now=${now#0}
        done
        [ "${now:-0}" -ge "$last" ] || failure "uptime fell from $last to $now hundredths"
        last=${now:-0} i=$((i + 1))
    done
    success
}

#: check: clock.drift
#: purpose: the guest's seconds are as long as the host's
#: pass: over ten seconds of the host or more, the guest counts the same within three percent
#: source: the persona's clock
#: by: host drift 10 300
#: mandatory: yes
#: needs: agent
#: seconds: 60
check_clock_drift()
{
    say "uptime $(cut -d ' ' -f 1 /proc/uptime)"
    success
}

#: check: clock.wall
#: purpose: the guest's date is the host's
#: pass: the guest's seconds since 1970 differ by at most three from the host's
#: source: MC146818A; the persona's wall clock
#: by: host wall 3
#: needs: agent
check_clock_wall()
{
    say "date $(date +%s)"
    success
}
