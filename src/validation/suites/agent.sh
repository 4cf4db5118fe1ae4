# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# agent.sh - what every check in a guest may use, and the agent that runs checks on request.
#
# The agent speaks over the console. It says lines that begin with "@hospes": `ready` once after each
# start, `end ID STATUS WHY` after each check. It hears lines: `run ID ARGUMENTS...`, `do COMMAND`.
# A check ID AREA.NAME is the function check_AREA_NAME, run in a shell of its own, which ends with one of
# success, skip WHY, error WHY (the test is at fault), failure WHY. Boot tests use the same functions.

success() { verdict success; }
skip() { verdict "skip $*"; }
error() { verdict "error $*"; }
failure() { verdict "failure $*"; }

# want WHAT GOT WANTED: a failure unless both are the same text.
want()
{
    [ "$2" = "$3" ] || failure "$1 is '$2', not '$3'"
}

# one_of WHAT GOT WANTED...
one_of()
{
    what=$1 got=$2
    shift 2
    for wanted in "$@"; do
        # shellcheck disable=SC2254 # patterns
        case $got in
        $wanted) return 0 ;;
        esac
    done
    failure "$what is '$got', not one of: $*"
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for()
{
    read -r since rest </proc/uptime
    limit=$1
    shift
    until "$@" >/dev/null 2>&1; do
        read -r up rest </proc/uptime
        [ $((${up%.*} - ${since%.*})) -lt "$limit" ] || return 1
        sleep 0.2
    done
}

# lines TEXT BYTES: as `yes TEXT | head -c BYTES`, which in busybox takes each byte by itself and seconds for a MiB.
lines()
{
    chunk="$1
" left=$2
    while [ ${#chunk} -lt 16384 ]; do
        chunk=$chunk$chunk
    done
    while [ "$left" -ge ${#chunk} ]; do
        printf %s "$chunk"
        left=$((left - ${#chunk}))
    done
    printf "%.${left}s" "$chunk"
}

# word NAME: the value of NAME= on the kernel's command line.
word()
{
    sed -n "s/^\(.* \)*$1=\([^ ]*\).*/\2/p" /proc/cmdline
}
persona() { word hospes.persona; }

# The first disk and the first card that are not the kernel's own inventions.
disks()
{
    for d in /sys/block/*; do
        [ -e "$d/device" ] && [ "$(cat "$d/removable")" = 0 ] && echo "${d##*/}"
    done
}
cards()
{
    for n in /sys/class/net/*; do
        [ -e "$n/device" ] && echo "${n##*/}"
    done
}
has_disk() { [ -n "$(disks)" ]; }
has_card() { [ -n "$(cards)" ]; }
disk()
{
    wait_for 20 has_disk && disks | head -n 1
}
card()
{
    wait_for 20 has_card && cards | head -n 1
}
# driver_of PATH: of a device in /sys, or of the nearest parent that has one.
driver_of()
{
    at=$(readlink -f "$1")
    while [ "$at" != / ] && [ -n "$at" ]; do
        if [ -e "$at/driver" ]; then
            basename "$(readlink "$at/driver")"
            return
        fi
        at=$(dirname "$at")
    done
}
complaints()
{
    # Warnings count; EXT4 tells of ext2 in one, and warnings print the machine's name.
    dmesg -r | grep -E '^<[0-4]>' | grep -E "$1" | grep -vE 'mounting ext2|Hardware name'
}

# The address that every user network gives.
card_up()
{
    nic=$(card)
    [ -n "$nic" ] || failure "there is no network card"
    ip link set lo up
    ip link set "$nic" up || failure "$nic does not come up"
    ip address show dev "$nic" | grep -q 10.0.2.15 || {
        ip address add 10.0.2.15/24 dev "$nic" || failure "$nic takes no address"
        ip route add default via 10.0.2.2
    }
}

# --- the agent ---

say() { printf '\n@hospes %s\n' "$*"; }

agent_mounts()
{
    mount -t sysfs sysfs /sys
    mount -t devtmpfs dev /dev
    mount -t tmpfs tmpfs /tmp
}

# The power button has no keeper in a guest this small.
agent_button()
{
    for event in /dev/input/event*; do
        [ -e "$event" ] || continue
        grep -q 'Power Button' "/sys/class/input/${event##*/}/device/name" || continue
        (
            dd if="$event" of=/dev/null bs=24 count=1 2>/dev/null
            poweroff -f
        ) &
    done
}

# What a check ends with, inside its own shell.
agent_verdict()
{
    say "end $agent_id $*"
    exit 0
}

agent_run()
{
    agent_id=$1
    shift
    (
        verdict() { agent_verdict "$@"; }
        function=check_$(echo "$agent_id" | tr . _)
        type "$function" >/dev/null 2>&1 || error "the suite has no function $function"
        "$function" "$@"
        error "$function came to its end without a verdict"
    )
    # Whatever ended the shell, the runner hears of it once more.
    say "done $agent_id"
}

agent_main()
{
    stty -echo 2>/dev/null
    echo 1 >/proc/sys/kernel/sysrq
    agent_button
    say "ready $(uname -r) $(cat /proc/uptime)"
    while :; do
        read -r order id rest || continue
        case $order in
        run)
            # shellcheck disable=SC2086 # words
            agent_run "$id" $rest
            ;;
        do) eval "$id $rest" ;;
        esac
    done
}
