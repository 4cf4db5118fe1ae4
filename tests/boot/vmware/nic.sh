# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A vmxnet3 card reaches the user network.
variants='cpus=1 cpus=2'
kernel=6.1-cloud
modules='vmxnet3'
args="--cpus ${cpus:-1}"
timeout=240

host()
{
    run --persona vmware --nic user </dev/null
}

guest()
{
    ip link set lo up
    ip link set eth0 up || failure "no eth0"
    ip address add 10.0.2.15/24 dev eth0
    want "the speed" "$(cat /sys/class/net/eth0/speed)" 10000
    ping -c 3 -W 5 10.0.2.2 >/dev/null || failure "no answer to ping"
    ping -c 3 -W 5 -s 1400 10.0.2.2 >/dev/null || failure "no answer to large pings"
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'eth0|vmxnet3' && failure "complaints in dmesg"
    success
}
