# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A guest resets itself in the middle of its I/O, 100 times; nothing is lost that it had flushed. Not
# for every change.
kernel=6.1-cloud
modules='virtio_pci virtio_blk'
programs='/usr/bin/fio'
timeout=3000
append="reboot=k rounds=${rounds:-100}"

host() { scratch_run 64M --cpus 2; }

# Block 1000 + N of 4 KiB holds N. It is written and flushed, and then block 0 says so. (48 MiB hold 11,000 of them.)
guest()
{
    rounds=$(sed -n 's/.*[ ]rounds=\([0-9]*\).*/\1/p' /proc/cmdline)
    # shellcheck disable=SC2046 # round and last number
    set -- $(head -c 64 /dev/vda | tr -d '\0') 0 0
    round=$1 last=$2
    # All of them at one go: a line for each block, its zeroes left out.
    lost=$(dd if=/dev/vda bs=4k skip=1001 count="$last" 2>/dev/null | tr -s '\0' '\n' |
        awk -v last="$last" '$1 != NR { print "block " NR " is " $1; exit } END { if (NR < last) print NR " blocks" }')
    [ -z "$lost" ] || failure "in round $round, of $last flushed blocks: $lost"
    [ "$round" -lt "$rounds" ] || {
        echo "resets: $round in the middle of I/O, $last flushed blocks"
        success
    }
    fio --name=load --filename=/dev/vda --offset=48M --size=16M --ioengine=libaio --direct=1 --rw=randwrite \
        --bsrange=4k-64k --iodepth=16 --time_based --runtime=60 >/dev/null 2>&1 &
    # 64 lives of less than ten seconds in a row end a machine that keeps resetting.
    [ $((round % 32)) != 31 ] || sleep 12
    # Not at the same place each time.
    end=$((last + 5 + round % 17))
    while :; do
        last=$((last + 1))
        printf '%s' "$last" | dd of=/dev/vda bs=4k seek=$((1000 + last)) conv=sync,notrunc,fsync 2>/dev/null
        printf '%s %s\n' "$((round + 1))" "$last" | dd of=/dev/vda bs=4k conv=sync,notrunc,fsync 2>/dev/null
        if [ "$last" -ge "$end" ]; then
            echo b >/proc/sysrq-trigger
        fi
    done
}
