# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# xen-fbfront's picture is seen by `hospes screenshot`, and what `hospes type` types comes by xen-kbdfront.
kernel=6.1
timeout=300
args="--persona xen --nic none"

host()
{
    local code=0
    begin --name xenscreen
    wait_said 'guest is ready'
    "$hospes" screenshot xenscreen "$work/a.png" || echo "verdict: failure no screenshot"
    "$hospes" type xenscreen 'sir robin\n' || echo "verdict: failure cannot type"
    "$hospes" info xenscreen
    ended || code=$?
    colours "$work/a.png" | tee "$work/colours"
    grep -q '^800 600 555555=' "$work/colours" || echo "verdict: failure the picture is not what the guest drew"
    return $code
}

guest()
{
    wait_for 10 test -c /dev/fb0 || failure "there is no frame buffer"
    want "frame buffer" "$(cat /sys/class/graphics/fb0/name)" xen
    grep -q 'Xen Virtual Keyboard' /proc/bus/input/devices || failure "there is no keyboard"
    grep -q 'Xen Virtual Pointer' /proc/bus/input/devices || failure "there is no pointer"
    dd if=/dev/zero bs=1920 count=1000 2>/dev/null | tr '\0' '\125' >/dev/fb0
    echo "guest is ready"
    read -r name </dev/tty1
    want "typed" "$name" "sir robin"
    success
}
