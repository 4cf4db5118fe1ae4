# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# iperf3 over a virtio network card and the user network, both ways, over every ring.
variants='o=plain o=packed o=modern'
kernel=6.1-cloud
modules='virtio_pci virtio_net'
programs='/usr/bin/iperf3'
timeout=240

host()
{
    # iperf3 maps a file there, which not every root file system of a host lets it.
    export TMPDIR=/dev/shm
    iperf3 -s -1 -p 5301 >"$work/up.txt" &
    iperf3 -s -1 -p 5302 >"$work/down.txt" &
    run --persona "kvm,$(echo "$o" | sed 's/plain/no-rng/')" --nic user </dev/null
    code=$?
    kill %1 %2 2>/dev/null
    return $code
}

guest()
{
    ip link set lo up
    ip link set eth0 up
    ip address add 10.0.2.15/24 dev eth0
    ip route add default via 10.0.2.2
    ping -c 2 -W 5 10.0.2.2 >/dev/null || failure "no answer to ping"
    iperf3 -c 10.0.2.2 -p 5301 -t 5 >/tmp/up 2>&1 || failure "iperf3 up: $(tail -n 1 /tmp/up)"
    iperf3 -c 10.0.2.2 -p 5302 -t 5 -R >/tmp/down 2>&1 || failure "iperf3 down: $(tail -n 1 /tmp/down)"
    grep -E 'sender|receiver' /tmp/up /tmp/down
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'eth0|virtio' && failure "complaints in dmesg"
    success
}
