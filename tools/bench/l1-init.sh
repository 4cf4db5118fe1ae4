#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: Apache-2.0
#
# l1-init.sh - /init of the machine in which everything is counted. lab.py puts the jobs in.
/bin/busybox --install -s /bin
PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /run
mount -t tmpfs tmpfs /dev/shm
echo 0 >/proc/sys/kernel/randomize_va_space
while read -r m; do insmod "$m"; done </modules
ip link set lo up
export HOME=/root XDG_RUNTIME_DIR=/run HOSPES_HOST=kvm
#JOBS#
poweroff -f
