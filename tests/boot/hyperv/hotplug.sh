# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# A unit of the SCSI controller is taken away and others come while fio works on all of them: fio on the disk that stays
# sees no error, the guest loses the unit that went, and finds and uses the ones that came.
modules='hv_vmbus hv_storvsc sd_mod'
programs='/usr/bin/fio'
timeout=400
args="--persona hyperv --cpus 2 --nic none"

host()
{
    local code=0
    cd "$work" || exit
    truncate -s 64M stays.img
    truncate -s 32M goes.img
    truncate -s 16M comes.img
    truncate -s 24M again.img
    begin --name hvplug --disk stays.img,format=raw,write --disk goes.img,format=raw,write
    wait_said 'under load'
    "$hospes" detach hvplug disk1 || code=1
    "$hospes" attach hvplug comes.img,format=raw,write || code=2
    wait_said 'one has come'
    "$hospes" info hvplug | grep -F comes.img || code=3
    "$hospes" detach hvplug disk2 || code=4
    "$hospes" detach hvplug disk2 2>/dev/null && code=5
    wait_said 'it has gone'
    "$hospes" attach hvplug again.img,format=raw,readonly || code=6
    ended || code=$?
    [ "$(head -c 5 comes.img)" = guest ] || code=7
    [ $code = 0 ] || echo "verdict: failure code $code"
}

# is_there SECTORS: a disk of that size; its name in $found.
is_there()
{
    for found in /sys/block/sd*; do
        [ "$(cat "$found/size" 2>/dev/null)" = "$1" ] && found=${found##*/} && return 0
    done
    return 1
}
is_gone() { ! is_there "$1"; }
both() { is_there 131072 && is_there 65536; }

load()
{
    fio --name="$1" --filename="/dev/$1" --ioengine=libaio --direct=1 --rw=randrw --bs=4k --iodepth=16 \
        --time_based --runtime=600 --verify=crc32c --verify_backlog=64 --verify_fatal=1 >"/tmp/$1.log" 2>&1
    echo $? >"/tmp/$1.code"
}

guest()
{
    wait_for 30 both || failure "there are no disks"
    is_there 131072 && stays=$found
    is_there 65536 && goes=$found
    load "$stays" &
    load "$goes" &
    sleep 3
    echo 'the guest is under load'
    wait_for 60 is_gone 65536 || failure "the disk did not go"
    wait_for 60 is_there 32768 || failure "no disk came"
    is_there 32768
    printf guest | dd of="/dev/$found" conv=notrunc,fsync 2>/dev/null || failure "cannot write"
    echo 'one has come'
    wait_for 60 is_gone 32768 || failure "the second disk did not go"
    echo 'it has gone'
    wait_for 60 is_there 49152 || failure "no third disk came"
    is_there 49152
    want "read-only" "$(cat "/sys/block/$found/ro")" 1
    wait_for 60 test -e "/tmp/$goes.code" || failure "fio still works on the disk that went"
    [ "$(cat "/tmp/$goes.code")" != 0 ] || failure "fio saw no error on the disk that went"
    [ ! -e "/tmp/$stays.code" ] || failure "fio ended on the disk that stays: $(tail -n 3 "/tmp/$stays.log")"
    killall -INT fio
    wait_for 60 test -e "/tmp/$stays.code" || failure "fio does not end"
    grep -E 'err= *[1-9]|verify:' "/tmp/$stays.log" && failure "fio saw errors on the disk that stays"
    success
}
