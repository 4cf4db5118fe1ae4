# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# The guest binds the integration services, keyboard, mouse and balloon, and obeys `hospes stop` within 5 seconds.
modules='hv_vmbus hv_utils hv_balloon hyperv-keyboard hid-hyperv'
timeout=300
args="--persona hyperv --nic none"

host()
{
    local n code=0 start
    begin --name hvstop
    wait_said 'guest is ready'
    sleep 3
    "$hospes" info hvstop | tee "$work/info"
    start=$(date +%s%N)
    "$hospes" stop hvstop || code=$?
    ended || code=$?
    n=$((($(date +%s%N) - start) / 1000000))
    if [ $code != 0 ]; then
        echo "verdict: failure exit code $code"
    elif ! grep -q shutdown "$work/info" || ! grep -q 'heartbeat age' "$work/info"; then
        echo "verdict: failure info does not show the services"
    elif [ $n -gt 5000 ] && [ "${HOSPES_HOST:-}" = kvm ]; then
        echo "verdict: failure stopped only after $n ms"
    else
        echo "stopped after $n ms"
        echo "verdict: success"
    fi
}

guest()
{
    n=0
    while [ "$(ls /sys/bus/vmbus/devices/*/driver/module -d 2>/dev/null | wc -l)" -lt 8 ] && [ $n -lt 20 ]; do
        n=$((n + 1))
        sleep 0.5
    done
    for d in /sys/bus/vmbus/devices/*; do
        echo "$(cat "$d/class_id") $(readlink "$d/driver" | sed 's|.*/||')"
    done
    dmesg | grep -iE 'hv_|hyperv|hid'
    echo "guest is ready"
    sleep 1000
}
