# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Sourced by /init in the guests of boot tests that have kexec; the host side is kexec_run. The test defines
#   kexec_disks   sets these to the disks that kexec_run gives; false while they are not there
tree='' core=''

kexec_devices_there() { kexec_disks && [ -e /sys/class/net/eth0 ]; }

# kexec_devices WHICH: disks and network answer in that kernel.
kexec_devices()
{
    wait_for 30 kexec_devices_there
    kexec_disks || {
        dmesg | tail -n 20
        failure "no disks in the $1 kernel"
    }
    ip addr add 10.0.2.15/24 dev eth0
    ip link set eth0 up || failure "no network card in the $1 kernel"
    ping -c 1 -w 20 10.0.2.2 >/dev/null || failure "no answer by the network in the $1 kernel"
}

# kexec_start: the first kernel starts the second, by kexec or by a crash, on the processor that on= names if it does.
kexec_start()
{
    local words on
    mkdir -p /mnt
    mount -t ext4 -o ro "$tree" /mnt || {
        dmesg | tail -n 5
        failure "no disk"
    }
    words="$(sed 's/crashkernel=[^ ]*//' /proc/cmdline) second=$(word how)"
    if [ "$(word how)" = kexec ]; then
        kexec -s -l /mnt/vmlinuz --initrd=/mnt/initrd --command-line="$words" || failure "kexec -l"
        umount /mnt
        kexec -e
    else
        kexec -s -p /mnt/vmlinuz --initrd=/mnt/initrd --command-line="$words nr_cpus=1 irqpoll" || failure "kexec -p"
        umount /mnt
        sync
        on=$(word on)
        [ -z "$on" ] || taskset -p $((1 << on)) $$ >/dev/null || error "taskset"
        echo c >/proc/sysrq-trigger
    fi
    failure "the second kernel did not start"
}

# kexec_test: the part of this kernel, be it the first or the second.
kexec_test()
{
    case $(word second) in
    kexec)
        kexec_devices second
        success
        ;;
    kdump)
        kexec_devices crash
        [ -e /proc/vmcore ] || failure "there is no core"
        dd if=/proc/vmcore of="$core" bs=1M count=64 conv=fsync || failure "the core cannot be written"
        success
        ;;
    esac
    kexec_devices first
    kexec_start
}
