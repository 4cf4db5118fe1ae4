# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# A kernel that is started by another one (how=kexec), or by one that crashed (how=kdump, on the vCPU on=), finds xvda and its
# network card again. A core is written to xvdb. Xen guests tell of no crash that a crash kernel follows.
variants='how=kexec how=kdump how=kdump,on=1 how=kexec,host_kernel=6.12 how=kdump,host_kernel=6.12 how=kdump,on=1,host_kernel=6.12'
modules='xen-blkfront xen-netfront crc32c_generic ext4'
programs='/usr/sbin/kexec'
kernel=6.1
timeout=600
args="--persona xen --cpus 2 --memory 1G"
append="crashkernel=384M how=${how:-kexec} on=${on:-0}"

host()
{
    local code=0
    mkdir "$work/tree"
    cp "$kernel_image" "$work/tree/vmlinuz"
    cp "$initrd" "$work/tree/initrd"
    truncate -s 512M "$work/a.img" "$work/core.img"
    mkfs.ext4 -q -d "$work/tree" "$work/a.img"
    run --disk "$work/a.img,format=raw,write" --disk "$work/core.img,format=raw,write" </dev/null || code=$?
    if [ "$how" = kdump ] && [ "$(head -c 4 "$work/core.img" | tr -d '\177')" != ELF ]; then
        echo "verdict: failure there is no core on the disk"
    fi
    return $code
}

devices()
{
    n=0
    while ! { [ -b /dev/xvda ] && [ -b /dev/xvdb ] && [ -e /sys/class/net/eth0 ]; } && [ $n -lt 150 ]; do
        n=$((n + 1))
        sleep 0.2
    done
    [ -b /dev/xvdb ] || { dmesg | grep -iE 'xen|vbd' | tail -n 20; failure "no disks in the $1 kernel"; }
    ip addr add 10.0.2.15/24 dev eth0
    ip link set eth0 up || failure "no network card in the $1 kernel"
    ping -c 1 -w 20 10.0.2.2 >/dev/null || failure "no answer by the network in the $1 kernel"
}

guest()
{
    how=$(sed -n 's/.*how=\([a-z]*\).*/\1/p' /proc/cmdline)
    case $(cat /proc/cmdline) in
    *second=kexec*)
        devices second
        want "processors" "$(grep -c ^processor /proc/cpuinfo)" 2
        success
        ;;
    *second=kdump*)
        devices crash
        [ -e /proc/vmcore ] || failure "there is no core"
        dd if=/proc/vmcore of=/dev/xvdb bs=1M count=64 conv=fsync || failure "the core cannot be written"
        success
        ;;
    esac
    devices first
    mkdir -p /mnt
    mount -t ext4 -o ro /dev/xvda /mnt || { dmesg | tail -5; failure "no disk"; }
    words="$(sed 's/crashkernel=[^ ]*//' /proc/cmdline) second=$how"
    if [ "$how" = kexec ]; then
        kexec -s -l /mnt/vmlinuz --initrd=/mnt/initrd --command-line="$words" || failure "kexec -l"
        umount /mnt
        kexec -e
    else
        kexec -s -p /mnt/vmlinuz --initrd=/mnt/initrd --command-line="$words nr_cpus=1 irqpoll" || failure "kexec -p"
        umount /mnt
        sync
        # A kernel that crashes leaves the next one the vCPU that it crashed on.
        on=$(sed -n 's/.*on=\([0-9]*\).*/\1/p' /proc/cmdline)
        taskset $((1 << on)) sh -c 'echo c >/proc/sysrq-trigger'
    fi
    failure "the second kernel did not start"
}
