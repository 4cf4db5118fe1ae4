#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# /init of every boot test: the least that a test's guest() needs, then guest(). success, failure, want and more
# come from the agent of `hospes validate`, and its suites' functions (check_AREA_NAME) may be called.
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

export PATH=/bin:/sbin
# The shell finds its applets through /proc/self/exe.
/bin/busybox mount -t proc proc /proc
# shellcheck source=src/validation/suites/agent.sh
. /agent.sh
agent_mounts
refused='' # modules that do not load: an error, unless the test sets may_refuse and looks itself
while read -r module; do
    # NAME.PARAMETER=VALUE on the kernel's command line, as modprobe would; names are written with _ there.
    name=$(basename "$module" .ko | tr - _)
    # shellcheck disable=SC2046 # a list of words
    insmod "$module" $(tr ' ' '\n' </proc/cmdline | sed -n "s/^$name\.//p") || refused="$refused ${module##*/}"
done </modules

for part in /suites/*.sh /kit/*.sh; do
    # shellcheck source=/dev/null
    [ ! -e "$part" ] || . "$part"
done
# shellcheck source=/dev/null # the test
. /test.sh
[ -z "$refused" ] || [ -n "${may_refuse:-}" ] || error "insmod$refused"
guest
failure "guest() came to its end without a verdict"
