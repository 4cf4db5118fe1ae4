# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Does the network card carry frames, whole and both ways?
#: name: network
#: version: 5
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
    # One by one: busybox waits a second between pings, and is content with one reply of three.
    for size in 56 1400; do
        for n in 1 2 3; do
            ping -c 1 -W 10 -s $size 10.0.2.2 >/dev/null || failure "no answer to ping $n of $size bytes"
        done
    done
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
    streams "$@"
    success
}
# streams PORT MIB DIGEST [HOW]: there and back.
streams()
{
    # Their port and count of MiB; what comes is the same byte pattern that goes.
    got=$(echo "get $2" | timeout 240 nc 10.0.2.2 "$1" | sha256sum | cut -d ' ' -f 1)
    want "the digest of what came${4:+ with $4}" "$got" "$3"
    (
        echo "put $2"
        lines hospes $(($2 * 1048576))
    ) | timeout 240 nc 10.0.2.2 "$1" >/tmp/answer
    want "the digest of what went${4:+ with $4}" "$(tr -d '\r\n' </tmp/answer)" "$3"
}

#: check: network.offloads
#: purpose: whatever the card does for the guest may be switched off and on
#: pass: with each combination of checksums, scattered frames, segmentation and coalescing that the driver takes, a MiB
#: source: Linux Documentation/networking/netdev-features.rst, segmentation-offloads.rst
#: by: host peer 1
#: level: full
#: needs: nic agent
#: programs: ethtool
#: seconds: 300
check_network_offloads()
{
    card_up
    seen='' count=0
    for send in 'tx off' 'tx on sg off' 'sg on gso off tso off' 'gso on tso off' 'tso on'; do
        for receive in 'rx off gro off lro off' 'rx on gro off' 'gro on' 'lro on'; do
            # shellcheck disable=SC2086,SC2154 # words; set by card_up
            switch "$nic" $send $receive
            state=$(offloads "$nic")
            case $seen in
            *"<$state>"*) continue ;;
            esac
            seen="$seen<$state>"
            count=$((count + 1))
            streams "$1" "$2" "$3" "$state"
        done
    done
    say "note $count combinations of offloads"
    [ $count -gt 1 ] || skip "the driver switches nothing: $state"
    success
}
# switch CARD [FEATURE on|off]...: what the driver does not take stays as it is.
switch()
{
    card=$1
    shift
    while [ $# -gt 1 ]; do
        ethtool -K "$card" "$1" "$2" >/dev/null 2>&1
        shift 2
    done
}
offloads()
{
    names='rx-checksumming|tx-checksumming|scatter-gather|tcp-segmentation|generic-segmentation|generic-receive|large-receive'
    ethtool -k "$1" | sed -n -E "s/^($names)[a-z-]*: (on|off).*/\1 \2/p" | tr '\n' ',' | sed 's/,$//'
}

#: check: network.cable
#: purpose: a cable that is pulled takes the link with it, and one that is put back brings it again
#: pass: twice, the carrier goes and comes, and then a ping is answered
#: source: Linux Documentation/networking/operstates.rst; virtio 1.2, 5.1.4 (status); NDIS media events; vmxnet3_defs.h (link)
#: by: host link
#: level: full
#: needs: nic agent
#: seconds: 90
check_network_cable()
{
    # shellcheck disable=SC2317 # by wait_for
    carrier() { [ "$(cat "/sys/class/net/$nic/carrier" 2>/dev/null)" = "$1" ]; }
    [ "$(persona)" != xen ] || skip "a Xen front end has no carrier: its frames just stop"
    nic=$(card)
    [ -n "$nic" ] || failure "there is no network card"
    case $1 in
    first)
        ip link set "$nic" up
        ip address add 10.9.0.2/24 dev "$nic" || failure "$nic takes no address"
        ;;
    down)
        wait_for 40 carrier 0 || failure "the link is up without a cable"
        success
        ;;
    esac
    wait_for 40 carrier 1 || failure "there is no link"
    wait_for 40 ping -c 1 -W 2 10.9.0.1 || failure "nobody answers over the cable"
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
#: pass: pings are answered at 576, 1280 and 1500, and at 4000 and 9000 where the driver takes that; none is cut
#: source: RFC 894; RFC 791, 3.2
#: by: guest
#: level: full
#: needs: nic
#: seconds: 60
check_network_mtu()
{
    card_up
    most=0
    for mtu in 576 1280 1500 4000 9000; do
        # A driver may take it and then keep to what its device says.
        if ! ip link set "$nic" mtu "$mtu" 2>/dev/null || [ "$(cat "/sys/class/net/$nic/mtu")" != "$mtu" ]; then
            [ "$mtu" -gt 1500 ] || failure "no MTU of $mtu"
            continue
        fi
        cut=$(fragments)
        wait_for 15 ping -c 1 -W 2 -s $((mtu - 28)) 10.0.2.2 || failure "no answer at an MTU of $mtu"
        want "the number of frames that were cut at an MTU of $mtu" "$(fragments)" "$cut"
        most=$mtu
    done
    ip link set "$nic" mtu 1500 || failure "no MTU of 1500 any more"
    say "note frames of up to $most bytes"
    success
}
# How many fragments this system has made.
fragments()
{
    awk '/^Ip:/ && !n++ { for (i = 1; i <= NF; i++) if ($i == "FragCreates") at = i; next } /^Ip:/ { print $at }' \
        /proc/net/snmp
}

#: check: network.several
#: purpose: a machine with three cards has three cards
#: pass: three cards are bound, and each carries pings while the others are down
#: source: the persona's bus
#: by: host machine nics=3
#: level: full
#: needs: nic agent
#: seconds: 90
check_network_several()
{
    # shellcheck disable=SC2317 # by wait_for
    three() { [ "$(cards | wc -l)" = 3 ]; }
    wait_for 20 three || failure "$(cards | wc -l) cards are there, not 3"
    for each in $(cards); do
        ip link set "$each" up || failure "$each does not come up"
        ip address add 10.0.2.15/24 dev "$each" || failure "$each takes no address"
        wait_for 20 ping -c 2 -W 5 -I "$each" 10.0.2.2 || failure "no answer to ping through $each"
        ip address flush dev "$each"
        ip link set "$each" down
    done
    success
}
