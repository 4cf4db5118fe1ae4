# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034 # read by the runner
# netvsc gets an address from the user network and pings its gateway.
variants='cpus=1 cpus=4'
modules='hv_vmbus hv_netvsc'
timeout=300
args="--persona hyperv --cpus ${cpus:-1} --nic user,mac=02:00:00:00:00:17"

guest()
{
    wait_for 10 test -e /sys/class/net/eth0 || failure "there is no network card"
    want "MAC address" "$(cat /sys/class/net/eth0/address)" 02:00:00:00:00:17
    ip link set eth0 up
    ip addr add 10.0.2.15/24 dev eth0
    ip route add default via 10.0.2.2
    sleep 1
    dmesg | grep hv_
    ls /sys/class/net/eth0/queues
    ping -c 3 -W 2 10.0.2.2 || failure "the gateway does not answer"
    ping -c 3 -W 2 -s 1400 10.0.2.2 || failure "the gateway does not answer long packets"
    success
}
