# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Has the guest the memory that it was given, and does it keep what is written?
#: name: memory
#: version: 2
#: owner: hospes

#: check: memory.size
#: purpose: the guest sees the memory that it was given
#: pass: MemTotal is 70 to 100 percent of it; the kernel keeps the rest
#: source: ACPI 6.4, 15 (address map)
#: by: guest
#: mandatory: yes
check_memory_size()
{
    total=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)
    given=$(($(word hospes.memory) / 1024))
    [ "$total" -le "$given" ] || failure "$total KiB are more than the $given that were given"
    [ $((total * 100 / given)) -ge 70 ] || failure "$total KiB are too few of $given"
    success
}

#: check: memory.pattern
#: purpose: memory keeps its contents
#: pass: a third of the memory, filled with noise, has the same digest twice
#: source: none: a machine's first duty
#: by: guest
#: level: full
#: mandatory: yes
#: seconds: 180
check_memory_pattern()
{
    free=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
    mount -t tmpfs -o size=90% tmpfs /mnt || error "no tmpfs"
    dd if=/dev/urandom of=/mnt/noise bs=1M count=$((free / 3072)) 2>/dev/null
    sum=$(sha256sum </mnt/noise)
    want "the second digest" "$(sha256sum </mnt/noise)" "$sum"
    umount /mnt
    success
}

#: check: memory.balloon
#: purpose: the guest gives memory back when its persona's channel asks for it
#: pass: MemTotal or MemFree falls by half of what was asked for, and comes back
#: source: virtio 1.2, 5.5; Hyper-V dynamic memory; Xen memory/target; VMware balloon
#: by: host balloon
#: level: full
#: personas: kvm hyperv xen vmware
#: needs: agent
#: seconds: 120
check_memory_balloon()
{
    # Has used memory passed the mark? $1 is up or down, $2 the mark in KiB.
    free() { sed -n 's/^MemFree: *\([0-9]*\) kB/\1/p' /proc/meminfo; }
    case $1 in
    free)
        say "free $(free)"
        success
        ;;
    below)
        # shellcheck disable=SC2317 # by wait_for
        below() { [ "$(free)" -lt "$1" ]; }
        wait_for 40 below "$2" || failure "$(free) KiB are free, not below $2"
        ;;
    above)
        # shellcheck disable=SC2317 # by wait_for
        above() { [ "$(free)" -gt "$1" ]; }
        wait_for 40 above "$2" || failure "$(free) KiB are free, not above $2"
        ;;
    esac
    success
}

#: check: memory.hotadd
#: purpose: the guest takes more memory than it started with, and can use all of it
#: pass: MemTotal grows by 90 percent of what was added, and what then fills it is read back
#: source: Hyper-V dynamic memory, hot add; Linux drivers/hv/hv_balloon.c
#: by: host grow 256M
#: level: full
#: personas: hyperv
#: needs: agent
#: seconds: 120
check_memory_hotadd()
{
    total() { sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo; }
    # shellcheck disable=SC2317 # by wait_for
    grown() { [ "$(total)" -ge "$1" ]; }
    case $1 in
    first)
        wait_for 30 test -e /sys/module/hv_balloon || failure "hv_balloon is not there"
        # Reports begin at once instead of after 45 s; what comes is used without anybody's help.
        echo 0 >/sys/module/hv_balloon/parameters/pressure_report_delay
        echo online >/sys/devices/system/memory/auto_online_blocks || error "this kernel adds no memory"
        total >/tmp/first
        success
        ;;
    esac
    first=$(cat /tmp/first)
    wait_for 60 grown $((first + $2 * 9 / 10)) || failure "$(total) KiB after $first: $2 were added"
    mkdir -p /mnt
    mount -t tmpfs -o size=95% tmpfs /mnt || error "no tmpfs"
    dd if=/dev/urandom of=/mnt/0 bs=1M count=16 2>/dev/null
    n=$((($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024 - 48) / 16))
    [ $((n * 16384)) -gt "$2" ] || failure "room for $n times 16 MiB alone"
    for i in $(seq "$n"); do
        cp /mnt/0 "/mnt/$i" || failure "no room for copy $i of $n"
    done
    for i in $(seq "$n"); do
        cmp -s /mnt/0 "/mnt/$i" || failure "copy $i of $n differs"
    done
    umount /mnt
    success
}
