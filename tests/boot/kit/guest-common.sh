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

# gone DISK: it is not there any more; for wait_for.
gone() { [ ! -e "/sys/block/$1" ]; }

# come_and_go DISK: the guest's part of plug_run, whose disks come as DISK.
come_and_go()
{
    local at=/sys/block/$1
    echo 'the guest wants a disk'
    wait_for 60 test -e "$at/size"
    want "the first disk" "$(cat "$at/size")" 65536
    printf guest | dd of="/dev/$1" conv=notrunc,fsync 2>/dev/null || failure "cannot write"
    echo 'the guest has done with it'
    wait_for 60 gone "$1" || failure "the disk did not go"
    echo 'the guest wants another'
    wait_for 60 test -e "$at/size"
    want "the second disk" "$(cat "$at/size")" 32768
    want "read-only" "$(cat "$at/ro")" 1
}

# handler NAME: the event device of the input device of that name, once it is there.
handler() { sed -n "/Name=\"$1\"/,/^\$/s/.*Handlers=.*\(event[0-9]*\).*/\1/p" /proc/bus/input/devices | head -n 1; }

# event FILE TYPE CODE: its last value among what was read of an event device.
event() { od -An -v -tu2 -w24 "$1" | awk -v t="$2" -v c="$3" '$9 == t && $10 == c { v = $11 } END { print v + 0 }'; }
