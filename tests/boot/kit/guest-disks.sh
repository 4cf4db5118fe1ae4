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
