# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# Each release of Hyper-V that can be chosen: the kernel sees its build number, and works at the bus of that release.
# Linux speaks none that is as old as 2008 R2's, and its bus driver says so.
variants='release=2008r2 release=2012r2 release=2016 release=2019 release=2022 release=2025'
modules='hv_vmbus hv_storvsc hv_netvsc hv_utils sd_mod'
timeout=300
args="--persona hyperv,release=${release:-2025}"
append="release=${release:-2025}"
may_refuse=yes

host()
{
    truncate -s 16M "$work/a.img"
    run --disk "$work/a.img,format=raw,write" </dev/null
}

ready() { [ -b /dev/sda ] && [ -e /sys/class/net/eth0 ]; }
echoed() { ping -c 1 -W 2 10.0.2.2; }

guest()
{
    dmesg | grep -iE 'hyper-v|vmbus'
    case $(word release) in
    2008r2) build=7601 bus= ;;
    2012r2) build=9600 bus=3.0 ;;
    2016) build=14393 bus=4.0 ;;
    2019) build=17763 bus=5.2 ;;
    2022) build=20348 bus=5.3 ;;
    2025) build=26100 bus=5.3 ;; # of 6.0, what this kernel knows
    esac
    dmesg | grep -q "Hyper-V.*$build" || failure "the kernel does not see build $build"
    if [ -z "$bus" ]; then
        dmesg | grep -q 'hv_vmbus: Unable to connect to host' || failure "VMBus says nothing"
        [ ! -e /dev/sda ] || failure "there is a disk without a bus"
        want "modules that do not load" "$refused" " hv_vmbus.ko hv_storvsc.ko hv_netvsc.ko hv_utils.ko"
        success
    fi
    want "modules that do not load" "$refused" ""
    dmesg | grep -q "Vmbus version:$bus" || failure "VMBus is not at $bus"
    wait_for 30 ready || failure "no disk or no network card"
    dd if=/dev/sda of=/dev/null bs=1M count=4 2>/dev/null || failure "the disk cannot be read"
    ip link set eth0 up
    ip address add 10.0.2.15/24 dev eth0
    wait_for 20 echoed || failure "the gateway does not answer"
    success
}
