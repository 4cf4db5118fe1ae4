# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# While one disk is written to, another comes, is used, and goes again; a third comes in its place.
variants='bus=pvscsi bus=lsisas1068'
kernel=6.1
case ${bus:-pvscsi} in
pvscsi) modules='vmw_pvscsi sd_mod' ;;
*) modules='mptsas sd_mod' ;;
esac
args='--cpus 2'
timeout=300

host()
{
    truncate -s 64M "$work/base.img"
    plug_run disk1 "bus=$bus" "bus=$bus,unit=12" --persona vmware --nic none \
        --disk "$work/base.img,format=raw,write,bus=$bus"
}

guest()
{
    wait_for 60 test -e /sys/block/sda/size
    want "the disk from the start" "$(cat /sys/block/sda/size)" 131072
    while [ ! -e /tmp/enough ]; do
        dd if=/dev/zero of=/dev/sda bs=64k count=64 oflag=direct 2>/dev/null || touch /tmp/broken
    done &
    come_and_go sdb
    touch /tmp/enough
    wait
    [ ! -e /tmp/broken ] || failure "the first disk broke meanwhile"
    success
}
