# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Do the smallest and the largest machine start?
#: name: sizes
#: version: 1
#: owner: hospes

#: check: sizes.smallest
#: purpose: one processor and little memory are enough
#: pass: the guest starts with 1 processor and 128 MiB and counts them
#: source: the guest's own requirements
#: by: host machine cpus=1,memory=128M
#: level: full
#: mandatory: yes
#: needs: agent
#: seconds: 90
check_sizes_smallest()
{
    want "number of processors" "$(grep -c ^processor /proc/cpuinfo)" 1
    success
}

#: check: sizes.largest
#: purpose: sixteen processors come up
#: pass: the guest counts 16
#: source: ACPI 6.4, 5.2.12 (MADT)
#: by: host machine cpus=16,memory=1G
#: level: full
#: mandatory: yes
#: needs: agent
#: seconds: 240
check_sizes_largest()
{
    want "number of processors" "$(grep -c ^processor /proc/cpuinfo)" 16
    success
}
