# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Does the network card carry frames, whole and both ways?
#: name: network
#: version: 2
#: owner: hospes

#: check: network.ping
#: purpose: small and large packets reach the gateway and come back
#: pass: replies to three pings each of 56 and 1400 bytes
#: source: RFC 792
#: by: guest
#: mandatory: yes
#: needs: nic
check_network_ping()
{
    card_up
    ping -c 3 -W 10 10.0.2.2 >/dev/null || failure "no answer to ping"
    ping -c 3 -W 10 -s 1400 10.0.2.2 >/dev/null || failure "no answer to large pings"
    # shellcheck disable=SC2154 # set by card_up
    found=$(complaints "$nic|vmxnet3|netvsc|vif" | head -n 1)
    [ -z "$found" ] || failure "the kernel complains: $found"
    success
}

#: check: network.transfer
#: purpose: a stream of a MiB arrives whole in both directions
#: pass: both digests are those of what was sent
#: source: RFC 9293
#: by: host peer 1
#: mandatory: yes
#: needs: nic agent
#: seconds: 90

#: check: network.stream
#: purpose: a long stream arrives whole in both directions
#: pass: as network.transfer, with 32 MiB
#: source: RFC 9293
#: by: host peer 32
#: level: full
#: mandatory: yes
#: needs: nic agent
#: seconds: 300
check_network_stream() { stream "$@"; }
check_network_transfer() { stream "$@"; }
stream()
{
    card_up
    # Their port and count of MiB; what comes is the same byte pattern that goes.
    got=$(echo "get $2" | timeout 240 nc 10.0.2.2 "$1" | sha256sum | cut -d ' ' -f 1)
    want "the digest of what came" "$got" "$3"
    (
        echo "put $2"
        yes hospes | head -c $(($2 * 1048576))
    ) | timeout 240 nc 10.0.2.2 "$1" >/tmp/answer
    want "the digest of what went" "$(tr -d '\r\n' </tmp/answer)" "$3"
    success
}

#: check: network.link
#: purpose: a card that is taken down and up again works
#: pass: a ping is answered after five rounds
#: source: Linux Documentation/networking/operstates.rst
#: by: guest
#: mandatory: yes
#: needs: nic
#: seconds: 60
check_network_link()
{
    card_up
    for round in 1 2 3 4 5; do
        # shellcheck disable=SC2154 # set by card_up
        ip link set "$nic" down || failure "down, round $round"
        ip link set "$nic" up || failure "up, round $round"
    done
    ip route add default via 10.0.2.2 2>/dev/null
    wait_for 15 ping -c 1 -W 2 10.0.2.2 || failure "no answer to ping afterwards"
    success
}

#: check: network.mtu
#: purpose: the card bears smaller and larger frames
#: pass: pings are answered at 576, and at 1500 again
#: source: RFC 894
#: by: guest
#: level: full
#: needs: nic
#: seconds: 60
check_network_mtu()
{
    card_up
    for mtu in 576 1280 1500; do
        ip link set "$nic" mtu "$mtu" || failure "no MTU of $mtu"
        wait_for 15 ping -c 1 -W 2 -s $((mtu - 28)) 10.0.2.2 || failure "no answer at an MTU of $mtu"
    done
    success
}

#: check: network.several
#: purpose: a machine with three cards has three cards
#: pass: three cards are bound, and the first one carries pings
#: source: the persona's bus
#: by: host machine nics=3
#: level: full
#: needs: nic agent
#: seconds: 90
check_network_several()
{
    card_up
    # shellcheck disable=SC2317 # by wait_for
    three() { [ "$(cards | wc -l)" = 3 ]; }
    wait_for 20 three || failure "$(cards | wc -l) cards are there, not 3"
    ping -c 2 -W 10 10.0.2.2 >/dev/null || failure "no answer to ping"
    success
}
