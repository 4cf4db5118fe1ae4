# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# One guest takes its VMBus drivers away and loads them again, held to each version that it speaks: each time it finds
# its disk, mounts it, and pings by its network card.
modules='hv_vmbus hv_storvsc hv_netvsc sd_mod crc32c_generic ext4'
timeout=500
args="--persona hyperv --cpus 2"

host()
{
    truncate -s 64M "$work/a.img"
    mkfs.ext4 -q "$work/a.img"
    run --disk "$work/a.img,format=raw,write" </dev/null
}

ready() { [ -b /dev/sda ] && [ -e /sys/class/net/eth0 ]; }
echoed() { ping -c 1 -W 2 10.0.2.2; }
module() { grep "/$1\.ko" /modules; }

# works VERSION
works()
{
    wait_for 30 ready || failure "no disk or no network card at $1: $(dmesg | tail -n 3)"
    wait_for 20 mount -t ext4 /dev/sda /mnt || failure "the disk cannot be mounted at $1"
    echo "$1" >"/mnt/$1" && sync || failure "the disk cannot be written at $1"
    umount /mnt
    ip link set eth0 up
    ip address add 10.0.2.15/24 dev eth0
    wait_for 20 echoed || failure "the gateway does not answer at $1"
    dmesg | grep 'Vmbus version' | tail -n 1 | grep -q "Vmbus version:$1" || failure "VMBus is not at $1"
    echo "works at VMBus $1"
}

# hv_vmbus takes the synthetic timers with it, those in direct mode without a successor: the local APIC's take over first.
# All have one name, and only the one registered last is found by it.
other_timers()
{
    local n left
    cd /sys/devices/system/clockevents || failure "no timers to choose from"
    for n in 1 0; do
        cat "clockevent$n/current_device" >"clockevent$n/unbind_device" || failure "the timer of processor $n stays"
    done
    left=$(grep -l Hyper-V clockevent*/current_device)
    want "processors with a Hyper-V timer" "$left" ""
    cd /
}

guest()
{
    works 5.3
    other_timers
    for version in 2.4 3.0 4.0 4.1 5.0 5.1 5.2 5.3; do
        for m in hv_netvsc hv_storvsc hv_vmbus; do
            echo "takes $m away"
            rmmod $m || failure "$m does not go at $version"
        done
        echo "loads them again, held to $version"
        insmod "$(module hv_vmbus)" "max_version=$((${version%.*} << 16 | ${version#*.}))" || failure "hv_vmbus at $version"
        insmod "$(module hv_storvsc)" && insmod "$(module hv_netvsc)" || failure "the drivers at $version"
        works $version
    done
    complaints 'hv_|hyperv|storvsc|netvsc' && failure "complaints in dmesg"
    success
}
