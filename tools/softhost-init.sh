#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: Apache-2.0
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
while read -r m; do
    case $m in
    */kvm.ko*) $b insmod "$m" enable_vmware_backdoor=1 ;;
    *) $b insmod "$m" ;;
    esac
done </modules
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=mmap,access=any root /mnt || exec $b poweroff -f
$b mount --rbind /proc /mnt/proc
$b mount -t sysfs sysfs /mnt/sys
$b mount -t debugfs debugfs /mnt/sys/kernel/debug
$b mount -t tracefs tracefs /mnt/sys/kernel/tracing
$b mount --rbind /dev /mnt/dev
$b mkdir -p /mnt/dev/pts /mnt/dev/shm
$b mount -t devpts devpts /mnt/dev/pts
$b mount -t tmpfs tmpfs /mnt/dev/shm
$b mount -t tmpfs tmpfs /mnt/run
$b ip link set lo up
$b ip link set eth0 up && $b ip addr add 10.0.2.15/24 dev eth0 && $b ip route add default via 10.0.2.2
$b mkdir -p /mnt/dev/net
echo "softhost: up"
AGENT=$($b sed -n 's/.*hospes.agent=\([^ ]*\).*/\1/p' /proc/cmdline)
$b chroot /mnt "$AGENT" agent
$b poweroff -f
