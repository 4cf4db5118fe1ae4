#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# /init of every boot test: the least that a test's guest() needs, then guest().
# The last line on the console is the verdict, with the meaning of XTF's four:
#   verdict: success | skip WHY | error WHY (the test itself is at fault) | failure WHY
# Every busybox applet works as a command.

verdict()
{
    sync
    echo "verdict: $*"
    poweroff -f
    sleep 1000
}
success() { verdict success; }
skip() { verdict "skip $*"; }
error() { verdict "error $*"; }
failure() { verdict "failure $*"; }

# want WHAT GOT WANTED: ends the test unless both are the same text.
want()
{
    [ "$2" = "$3" ] || failure "$1 is '$2', not '$3'"
}

export PATH=/bin:/sbin
# The shell finds its applets through /proc/self/exe.
/bin/busybox mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
while read -r module; do
    insmod "$module" || error "insmod $module"
done </modules

# shellcheck source=/dev/null # the test
. /test.sh
guest
failure "guest() came to its end without a verdict"
