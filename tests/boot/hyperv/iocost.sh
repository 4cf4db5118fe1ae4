# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# A read from storvsc costs the processor one exit to user space: 2000 of them, one at a time, add fewer than 2400.
modules='hv_vmbus hv_storvsc sd_mod'
timeout=300
args="--persona hyperv --nic none"

host()
{
    local exits
    truncate -s 64M "$work/a.img"
    dd if=/dev/urandom of="$work/a.img" bs=1M count=16 conv=notrunc 2>/dev/null
    begin --name iocost --disk "$work/a.img,format=raw,write"
    wait_said 'guest is ready'
    "$hospes" info iocost >"$work/before"
    echo go >&9
    wait_said 'guest is done'
    "$hospes" info iocost >"$work/after"
    exits=$(($(awk '$1 == "exits" {print $2}' "$work/after") - $(awk '$1 == "exits" {print $2}' "$work/before")))
    "$hospes" stop --now iocost
    ended || true
    if ! grep -q 'guest is done' "$work/out"; then
        echo "verdict: failure the guest did not read its disk"
    elif [ $exits -ge 2400 ]; then
        echo "verdict: failure $exits exits"
    else
        echo "$exits exits"
        echo "verdict: success"
    fi
}

guest()
{
    sleep 2
    echo "guest is ready"
    read -r _
    dd if=/dev/sda of=/dev/null bs=4k count=2000 iflag=direct
    echo "guest is done"
    sleep 1000
}
