# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# vmwgfx binds to SVGA II, and what is drawn into its frame buffer is on the screen.
kernel=6.1
modules='vmwgfx'
timeout=300
args="--persona vmware,svga --nic none"

host()
{
    local code=0
    begin --name vmscreen
    wait_said 'guest is ready'
    "$hospes" screenshot vmscreen "$work/screen.png" || code=1
    "$hospes" info vmscreen | tee "$work/info"
    echo >&9
    ended || code=$?
    if [ $code != 0 ]; then
        echo "verdict: failure exit code $code"
    elif ! grep -q 'mode .*[0-9]*x[0-9]*, 32 bits' "$work/info"; then
        echo "verdict: failure info shows no mode"
    elif [ "$(wc -c <"$work/screen.png")" -lt 10000 ]; then
        echo "verdict: failure what was drawn is not on the screen" # noise does not pack
    fi
}

guest()
{
    wait_for 20 test -c /dev/fb0
    dmesg | grep -iE 'vmwgfx|fb0'
    [ -c /dev/fb0 ] || failure "there is no frame buffer"
    cat /sys/class/graphics/fb0/name /sys/class/graphics/fb0/virtual_size
    dd if=/dev/urandom of=/dev/fb0 bs=1M count=1 2>/dev/null || failure "cannot draw"
    sleep 1 # the driver copies what was drawn after a while
    echo "guest is ready"
    read -r _
    success
}
