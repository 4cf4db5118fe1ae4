# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# A guest of 512 MiB is given 512 MiB more while it runs, uses all of it, lends half of it back, gets that again, and
# reports how much it needs.
modules='hv_vmbus hv_balloon'
timeout=400
args="--persona hyperv,memory-max=1G --memory 512M --nic none"

host()
{
    local code=0
    begin --name hvmem
    wait_said 'guest is ready'
    sleep 3
    "$hospes" info hvmem | grep balloon
    "$hospes" ask hvmem memory=2G && code=1
    "$hospes" ask --timeout 100 hvmem memory=1G || code=2
    echo more >&9
    wait_said 'guest has more'
    "$hospes" info hvmem | grep balloon | tee "$work/info"
    "$hospes" ask --timeout 100 hvmem memory=768M || code=3
    echo less >&9
    wait_said 'guest has less'
    "$hospes" ask --timeout 100 hvmem memory=1G || code=4
    "$hospes" info hvmem | grep balloon
    echo again >&9
    ended || code=$?
    grep -q '512 MiB added, [1-9][0-9]* MiB available, [1-9][0-9]* MiB committed' "$work/info" || code=5
    [ $code = 0 ] || echo "verdict: failure code $code"
}

total() { awk '$1 == "MemTotal:" {print int($2 / 1024)}' /proc/meminfo; }
free() { awk '$1 == "MemFree:" {print int($2 / 1024)}' /proc/meminfo; }
at_least() { [ "$(total)" -ge "$1" ]; }

guest()
{
    # Reports begin at once instead of after 45 s.
    echo 0 >/sys/module/hv_balloon/parameters/pressure_report_delay
    echo online >/sys/devices/system/memory/auto_online_blocks
    first=$(total)
    echo "guest is ready"
    read -r _
    wait_for 60 at_least $((first + 500)) || failure "$(total) MiB after $first: $(dmesg | tail -n 3)"
    # More than the first memory alone could hold.
    mount -t tmpfs -o size=700m,huge=always tmpfs /mnt || failure "no tmpfs"
    dd if=/dev/zero of=/mnt/file bs=1M count=550 2>/dev/null || failure "cannot use it"
    echo marker >>/mnt/file
    want size "$(stat -c %s /mnt/file)" $(((550 << 20) + 7))
    want end "$(tail -c 7 /mnt/file)" marker
    rm /mnt/file
    echo "guest has more"
    before=$(free)
    read -r _
    [ "$(free)" -lt $((before - 200)) ] || failure "$(free) MiB are free after $before: nothing was lent"
    echo "guest has less"
    read -r _
    [ "$(free)" -gt $((before - 50)) ] || failure "$(free) MiB are free after $before: it was not returned"
    dmesg -r | grep -E '^<[0-4]>' | grep -iE 'hv_balloon|memory' && failure "complaints in dmesg"
    success
}
