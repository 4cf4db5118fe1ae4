#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# /init of the demo's guest: looks at its machine, checks the files on its disk, writes to it, sends
# one of them to whoever asks on port 80, and powers off. Facts are lines `demo: NAME VALUE`.

fact() { echo "demo: $*"; }

# driver DEVICE: the name of the driver that has it.
driver() { basename "$(readlink -f "/sys/class/$1/device/driver")"; }

export PATH=/bin:/sbin
/bin/busybox mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "$module"
done </modules

fact kernel "$(uname -r)"
fact cpus "$(grep -c ^processor /proc/cpuinfo)"
fact hypervisor "$(dmesg | sed -n 's/.*Hypervisor detected: //p')"
fact clock "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
fact disk-driver "$(driver block/vda)"
fact nic-driver "$(driver net/eth0)"
mount -t ext4 /dev/vda /mnt || fact broken "cannot mount the disk"
fact files "$(cd /mnt && sha256sum -c SHA256SUMS 2>/dev/null | grep -c ': OK$')"
rm -rf /mnt/docs && sync && [ ! -e /mnt/docs ] && fact deleted yes
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
fact ready
{
    printf 'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n'
    cat /mnt/LICENSE
} | nc -l -p 80 >/dev/null
umount /mnt
poweroff -f
