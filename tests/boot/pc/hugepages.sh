# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A guest runs in memory from the host's pool of huge pages, and the pool gets it back.

host()
{
    local code=0 pool=/proc/sys/vm/nr_hugepages
    old=$(cat $pool)
    echo 70 >$pool 2>/dev/null
    [ "$(cat $pool)" -ge 70 ] || {
        echo "verdict: skip no huge pages to be had"
        return 0
    }
    run --memory 128M --hugepages </dev/null || code=$?
    [ "$(awk '/HugePages_Free/ { print $2 }' /proc/meminfo)" -ge 70 ] || code=5
    echo "$old" >$pool
    return $code
}

guest()
{
    dd if=/dev/zero of=/tmp/fill bs=1M count=24 2>/dev/null || failure "no memory"
    success
}
