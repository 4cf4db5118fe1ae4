# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# netvsc at a cable whose other end is pulled and put back: the guest sees its link go and come. Frames with VLAN tags
# go both ways: the other end answers to the tags that it got, and to frames of 9014 bytes.
modules='hv_vmbus hv_netvsc 8021q'
programs='/usr/sbin/ethtool'
timeout=300
args="--persona hyperv"

# The other end: answers ARP and echo requests for 10.9.*.1 with the tags of the question; gone while the file `pulled` is there.
peer()
{
    cat >"$work/peer.py" <<'END'
import os, select, socket, struct, sys
work = sys.argv[1]
MAC = bytes.fromhex("020000000001")
def tail(n, s):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data
def checksum(b):
    s = sum(struct.unpack("!%dH" % (len(b) // 2), b[:len(b) // 2 * 2])) + (b[-1] << 8 if len(b) % 2 else 0)
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
def answer(f):
    at = 12
    while f[at:at + 2] == b"\x81\x00":
        at += 4
    kind, body = f[at:at + 2], f[at + 2:]
    if kind == b"\x08\x06" and body[7] == 1 and body[24:26] == b"\x0a\x09" and body[27] == 1:
        body = body[:7] + b"\x02" + MAC + body[24:28] + body[8:18] + body[28:]
    elif kind == b"\x08\x00" and body[9] == 1 and body[20] == 8:
        icmp = b"\0\0\0\0" + body[24:struct.unpack("!H", body[2:4])[0]]
        icmp = icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:]
        body = body[:12] + body[16:20] + body[12:16] + icmp
        print("echo, tag %s" % f[12:at].hex(), flush=True)
    else:
        return None
    return f[6:12] + MAC + f[12:at] + kind + body
while True:
    # Whoever comes second connects: hospes listens itself while nobody is there.
    path = os.path.join(work, "cable")
    s = socket.socket(socket.AF_UNIX)
    if s.connect_ex(path):
        if os.path.exists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        s, _ = listener.accept()
        listener.close()
        os.unlink(path)
    try:
        while not os.path.exists(os.path.join(work, "pulled")):
            if not select.select([s], [], [], 0.2)[0]:
                continue
            f = tail(struct.unpack("!I", tail(4, s))[0], s)
            r = answer(f)
            if r:
                s.sendall(struct.pack("!I", len(r)) + r)
    except EOFError:
        pass
    s.close()
    while os.path.exists(os.path.join(work, "pulled")):
        select.select([], [], [], 0.2)
END
    python3 "$work/peer.py" "$work" >"$work/peer.txt" 2>&1
}

host()
{
    local n code=0 other
    peer &
    other=$!
    n=0
    while [ ! -S "$work/cable" ] && [ $n -lt 50 ]; do
        sleep 0.2
        n=$((n + 1))
    done
    begin --name hvlink --nic "socket=$work/cable"
    wait_said 'pull the cable'
    touch "$work/pulled"
    wait_said 'put it back'
    rm "$work/pulled"
    ended || code=$?
    kill $other
    sort "$work/peer.txt" | uniq -c
    # Priority 0, VLAN 5; and the same with priority 3.
    grep -q 'tag 81000005' "$work/peer.txt" || echo "verdict: failure no tag of VLAN 5 came"
    grep -q 'tag 81006007' "$work/peer.txt" || echo "verdict: failure no tag of VLAN 7 with priority 3 came"
    return $code
}

carrier() { [ "$(cat /sys/class/net/eth0/carrier)" = "$1" ]; }
echoed() { ping -c 1 -W 2 "$1"; }
echoed_long() { ping -c 1 -W 2 -s 8972 "$1"; }

guest()
{
    wait_for 20 test -e /sys/class/net/eth0 || failure "there is no network card"
    ip link set eth0 up
    ip address add 10.9.0.2/24 dev eth0
    wait_for 20 carrier 1 || failure "there is no link"
    ethtool eth0 | grep -q 'Link detected: yes' || failure "ethtool sees no link"
    wait_for 20 echoed 10.9.0.1 || failure "no answer without a tag"
    ip link add link eth0 name eth0.5 type vlan id 5 || failure "no VLAN 5"
    ip link set eth0.5 up
    ip address add 10.9.5.2/24 dev eth0.5
    wait_for 20 echoed 10.9.5.1 || failure "no answer in VLAN 5"
    ip link add link eth0 name eth0.7 type vlan id 7 && vconfig set_egress_map eth0.7 0 3 >/tmp/map || failure "no VLAN 7"
    ip link set eth0.7 up
    ip address add 10.9.7.2/24 dev eth0.7
    wait_for 20 echoed 10.9.7.1 || failure "no answer in VLAN 7"
    ip link set eth0 mtu 9000 || failure "no MTU of 9000"
    wait_for 20 carrier 1 || failure "there is no link after the MTU changed"
    wait_for 20 echoed_long 10.9.0.1 || failure "no answer to a long frame"
    echo 'pull the cable'
    wait_for 30 carrier 0 || failure "the link does not go"
    ethtool eth0 | grep -q 'Link detected: no' || failure "ethtool sees a link"
    echo 'put it back'
    wait_for 30 carrier 1 || failure "the link does not come back"
    wait_for 20 echoed 10.9.5.1 || failure "no answer after the link came back"
    success
}
