# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# iperf3 over a virtio network card and the user network, both ways, over every ring.
variants='o=plain o=packed o=modern'
kernel=6.1-cloud
modules='virtio_pci virtio_net'
programs='/usr/bin/iperf3'
timeout=240

host() { with_iperf run --persona "kvm,$(echo "$o" | sed 's/plain/no-rng/')" --nic user </dev/null; }

guest()
{
    ip link set lo up
    ip link set eth0 up
    ip address add 10.0.2.15/24 dev eth0
    ip route add default via 10.0.2.2
    ping -c 2 -W 5 10.0.2.2 >/dev/null || failure "no answer to ping"
    transfer
    transfer -R
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'eth0|virtio' && failure "complaints in dmesg"
    success
}
