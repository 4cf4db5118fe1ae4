# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# A guest held to each version that it speaks finds its disk, mounts it, and pings by its network card.
variants='version=2.4 version=3.0 version=4.0 version=4.1 version=5.0 version=5.1 version=5.2 version=5.3'
modules='hv_vmbus hv_storvsc hv_netvsc sd_mod crc32c_generic ext4'
timeout=240
version=${version:-5.3}
args="--persona hyperv --cpus 2"
append="version=$version hv_vmbus.max_version=$((${version%.*} << 16 | ${version#*.}))"

host()
{
    truncate -s 64M "$work/a.img"
    mkfs.ext4 -q "$work/a.img"
    run --disk "$work/a.img,format=raw,write" </dev/null
}

ready() { [ -b /dev/sda ] && [ -e /sys/class/net/eth0 ]; }
echoed() { ping -c 1 -W 2 10.0.2.2; }

guest()
{
    local v
    v=$(word version)
    dmesg | grep 'Vmbus version' | tail -n 1 | grep -q "Vmbus version:$v" || failure "VMBus is not at $v: $(dmesg | grep -i 'vmbus version')"
    wait_for 30 ready || failure "no disk or no network card: $(dmesg | tail -n 3)"
    wait_for 20 mount -t ext4 /dev/sda /mnt || failure "the disk cannot be mounted"
    echo "$v" >/mnt/it && sync || failure "the disk cannot be written"
    umount /mnt
    ip link set eth0 up
    ip address add 10.0.2.15/24 dev eth0
    wait_for 20 echoed || failure "the gateway does not answer"
    complaints 'hv_|hyperv|storvsc|netvsc' && failure "complaints in dmesg"
    success
}
