# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Sourced by /init in the guests of boot tests.

# disk_of SECTORS: the SCSI or ATA disk of that size, as /dev/NAME. Which of several is sda depends on which answers first.
disk_of()
{
    local d
    for d in /sys/block/[sh]d*; do
        [ "$(cat "$d/size" 2>/dev/null)" = "$1" ] && echo "/dev/${d##*/}" && return
    done
    return 1
}

# handler NAME: the event device of the input device of that name, once it is there.
handler() { sed -n "/Name=\"$1\"/,/^\$/s/.*Handlers=.*\(event[0-9]*\).*/\1/p" /proc/bus/input/devices | head -n 1; }

# event FILE TYPE CODE: its last value among what was read of an event device.
event() { od -An -v -tu2 -w24 "$1" | awk -v t="$2" -v c="$3" '$9 == t && $10 == c { v = $11 } END { print v + 0 }'; }
