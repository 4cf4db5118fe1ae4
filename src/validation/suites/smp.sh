# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Do all processors work?
#: name: smp
#: version: 1
#: owner: hospes

#: check: smp.count
#: purpose: every processor comes up
#: pass: the number of processors in cpuinfo is that of the machine
#: source: ACPI 6.4, 5.2.12 (MADT)
#: by: guest
#: mandatory: yes
check_smp_count()
{
    want "number of processors" "$(grep -c ^processor /proc/cpuinfo)" "$(word hospes.cpus)"
    success
}

#: check: smp.work
#: purpose: each processor does work and gets timer interrupts
#: pass: a process runs on each, and each one's count of local timer interrupts, or the persona's, rises
#: source: Intel manual 3A, 11.5.4
#: by: guest
#: mandatory: yes
check_smp_work()
{
    cpus=$(word hospes.cpus) cpu=0
    want "number of processors" "$(grep -c ^processor /proc/cpuinfo)" "$cpus"
    while [ "$cpu" -lt "$cpus" ]; do
        before=$(awk -v c=$((cpu + 2)) 'NR > 1 { n += $c } END { print n }' /proc/interrupts)
        # shellcheck disable=SC2016 # for the inner shell
        taskset -c "$cpu" sh -c 'i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); done; sleep 0.1' ||
            failure "no work on processor $cpu"
        after=$(awk -v c=$((cpu + 2)) 'NR > 1 { n += $c } END { print n }' /proc/interrupts)
        [ "$after" -gt "$before" ] || failure "processor $cpu got no interrupt"
        cpu=$((cpu + 1))
    done
    success
}
