# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# iperf3 over netvsc and the user network, both ways; coalesced frames reach a guest that takes them, and none reach one
# that does not; another MTU, and ethtool's other settings.
variants='cpus=1 cpus=4'
modules='hv_vmbus hv_netvsc'
programs='/usr/bin/iperf3 /usr/sbin/ethtool'
timeout=500
args="--persona hyperv --cpus ${cpus:-1} --nic user"

coalesced() { "$hospes" info hvnet | sed -n 's/.* \([0-9]*\) of them coalesced.*/\1/p'; }

host() { with_iperf listening; }

listening()
{
    local code=0 off on
    begin --name hvnet
    wait_said 'without coalescing'
    off=$(coalesced)
    echo on >&9
    wait_said 'with coalescing'
    on=$(coalesced)
    "$hospes" info hvnet | grep nic0
    echo end >&9
    ended || code=$?
    [ "$off" = 0 ] || echo "verdict: failure $off frames are coalesced for a guest that does not want it"
    [ "${on:-0}" -gt 50 ] || echo "verdict: failure $on frames are coalesced"
    return $code
}

guest()
{
    card_up
    wait_for 20 ping -c 1 -W 2 10.0.2.2 || failure "the gateway does not answer"
    ethtool -K eth0 lro off || failure "ethtool -K lro off"
    ethtool -k eth0 | grep -q 'large-receive-offload: off' || failure "coalescing does not go off"
    transfer
    transfer -R
    echo 'without coalescing'
    read -r _
    ethtool -K eth0 lro on || failure "ethtool -K lro on"
    ethtool -k eth0 | grep -q 'large-receive-offload: on' || failure "coalescing does not go on"
    transfer -R
    transfer --bidir
    echo 'with coalescing'
    read -r _
    for mtu in 1200 1500; do
        ip link set eth0 mtu $mtu || failure "no MTU of $mtu"
        want mtu "$(cat /sys/class/net/eth0/mtu)" $mtu
        wait_for 20 ping -c 1 -W 2 -s $((mtu - 28)) 10.0.2.2 || failure "no answer with an MTU of $mtu"
        transfer -R
    done
    # The driver takes the card down for these and sets it up again.
    ethtool -G eth0 rx 512 || failure "ethtool -G"
    wait_for 20 ping -c 1 -W 2 10.0.2.2 || failure "no answer with other rings"
    ip link set eth0 down
    ip link set eth0 address 02:00:00:00:77:01 && ip link set eth0 up || failure "no other address"
    ip route add default via 10.0.2.2
    wait_for 20 ping -c 1 -W 2 10.0.2.2 || failure "no answer at another address"
    # The driver gives coalesced frames on without saying how long their segments were, which TCP notices.
    complaints 'eth0|netvsc' | grep -v 'suspect GRO' && failure "complaints in dmesg"
    success
}
