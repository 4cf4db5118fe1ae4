# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# xen-netfront reaches the user network: ping, and iperf3 both ways.
variants='o=portable cpus=4,o=portable host_kernel=6.12 cpus=4,host_kernel=6.12'
kernel=6.1-cloud
modules='xen-netfront'
programs='/usr/bin/iperf3'
args="--cpus ${cpus:-1}"
timeout=300

host() { with_iperf run --persona "xen${o:+,$o}" --nic user,mac=02:00:00:00:00:17 </dev/null; }

guest()
{
    wait_for 10 test -e /sys/class/net/eth0 || failure "there is no network card: $(dmesg | grep -iE 'xen|vif' | tail -n 3)"
    want "MAC address" "$(cat /sys/class/net/eth0/address)" 02:00:00:00:00:17
    ip link set lo up
    ip link set eth0 up
    ip address add 10.0.2.15/24 dev eth0
    ip route add default via 10.0.2.2
    ping -c 3 -W 5 10.0.2.2 || failure "no answer to ping"
    ping -c 2 -W 5 -s 1400 10.0.2.2 >/dev/null || failure "no answer to long pings"
    transfer
    transfer -R
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'eth0|vif' && failure "complaints in dmesg"
    success
}
