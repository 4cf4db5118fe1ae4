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
    local code=0 id
    cd "$work" || exit
    truncate -s 64M base.img
    truncate -s 32M one.img
    truncate -s 16M two.img
    begin --name vmhot --persona vmware --nic none --disk "base.img,format=raw,write,bus=$bus"
    wait_said 'wants a disk'
    id=$("$hospes" attach vmhot "one.img,format=raw,write,bus=$bus") || code=$?
    echo "$id"
    wait_said 'has done with it'
    "$hospes" info vmhot | grep -F one.img || code=1
    "$hospes" detach vmhot disk1 || code=$?
    "$hospes" detach vmhot disk1 2>/dev/null && code=2
    wait_said 'wants another'
    "$hospes" attach vmhot "two.img,format=raw,readonly,bus=$bus,unit=12" || code=$?
    ended || code=$?
    [ "$(head -c 5 one.img)" = guest ] || code=4
    [ $code = 0 ] || echo "verdict: failure code $code"
}

guest()
{
    # size_of DISK: in sectors, once it is there
    size_of()
    {
        n=0
        while [ ! -e "/sys/block/$1/size" ] && [ $n -lt 120 ]; do
            sleep 0.5
            n=$((n + 1))
        done
        cat "/sys/block/$1/size"
    }
    want "the disk from the start" "$(size_of sda)" 131072
    while [ ! -e /tmp/enough ]; do
        dd if=/dev/zero of=/dev/sda bs=64k count=64 oflag=direct 2>/dev/null || touch /tmp/broken
    done &
    echo 'the guest wants a disk'
    want "the first disk" "$(size_of sdb)" 65536
    printf guest | dd of=/dev/sdb conv=notrunc,fsync 2>/dev/null || failure "cannot write"
    echo 'the guest has done with it'
    n=0
    while [ -e /sys/block/sdb ] && [ $n -lt 120 ]; do
        sleep 0.5
        n=$((n + 1))
    done
    [ ! -e /sys/block/sdb ] || failure "the disk did not go"
    echo 'the guest wants another'
    want "the second disk" "$(size_of sdb)" 32768
    want "read-only" "$(cat /sys/block/sdb/ro)" 1
    touch /tmp/enough
    wait
    [ ! -e /tmp/broken ] || failure "the first disk broke meanwhile"
    success
}
