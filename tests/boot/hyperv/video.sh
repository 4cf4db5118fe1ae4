# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# hyperv_drm binds, puts its frame buffer into VMBus's window, and what is drawn there is memory, not exits.
kernel=6.1
modules='hv_vmbus hyperv_drm'
timeout=300
args="--persona hyperv --nic none"

host()
{
    local code=0
    begin --name hvvideo
    wait_said 'guest is ready'
    "$hospes" info hvvideo | tee "$work/info"
    echo >&9
    ended || code=$?
    if [ $code != 0 ]; then
        echo "verdict: failure exit code $code"
    elif ! grep -q 'video .*version 3.5, [0-9]* x [0-9]*, ' "$work/info"; then
        echo "verdict: failure info shows no picture"
    fi
}

guest()
{
    wait_for 10 test -c /dev/fb0
    dmesg | grep -iE 'hyperv_drm|hv_vmbus|fb0|drm'
    [ -c /dev/fb0 ] || failure "there is no frame buffer"
    cat /sys/class/graphics/fb0/name /sys/class/graphics/fb0/virtual_size
    dd if=/dev/urandom of=/dev/fb0 bs=1M count=1 2>/dev/null || failure "cannot draw"
    echo "guest is ready"
    read -r _
    success
}
