# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# Guest and host see one tree: xenstore-ls in the guest, `hospes info --xenstore` and `hospes data` outside. The guest
# reboots when it is asked to, and obeys `hospes stop` within 5 seconds.
variants='host_kernel=6.1 host_kernel=6.12'
programs='/usr/bin/xenstore-ls /usr/bin/xenstore-read /usr/bin/xenstore-write'
args="--persona xen --nic none --cpus 2"
timeout=400

said=

# wait_for N TEXT: until the guest has said TEXT N times.
waits_for()
{
    wait_said "$2" "$1" || said="$said; the guest did not say '$2' $1 times"
}

# has WHAT TEXT COMMAND...: COMMAND prints TEXT.
has()
{
    local what=$1 text=$2
    shift 2
    "$@" >"$work/has" 2>&1 || said="$said; $what: exit code $?"
    grep -qF -- "$text" "$work/has" || said="$said; $what: $(head -n 3 "$work/has" | tr '\n' ' ')"
}

host()
{
    local code=0 start n
    begin --name xenlife
    waits_for 1 'guest is ready'
    has tree '/local/domain/1/data/said = "hello host"' "$hospes" info --xenstore xenlife
    has data 'data/said=hello host' "$hospes" data xenlife data/
    has write '' "$hospes" info --xenstore xenlife vm-data/colour=blue
    has 'written' 'vm-data/colour=blue' "$hospes" data xenlife vm-data
    waits_for 1 'colour is blue'
    "$hospes" info xenlife
    "$hospes" data xenlife device/vbd=0 2>/dev/null && said="$said; the host may write what drivers agree by"
    has reboot '' "$hospes" ask xenlife reboot
    waits_for 2 'guest is ready'
    sleep 1
    start=$(date +%s%N)
    "$hospes" stop xenlife || code=$?
    ended || code=$?
    n=$((($(date +%s%N) - start) / 1000000))
    if [ $code != 0 ]; then
        said="$said; exit code $code"
    elif [ $n -gt 5000 ] && [ "${HOSPES_HOST:-}" = kvm ]; then
        said="$said; stopped only after $n ms"
    fi
    echo "stopped after $n ms"
    [ -z "$said" ] || echo "verdict: failure ${said#; }"
    [ -n "$said" ] || echo "verdict: success"
}

guest()
{
    xenstore-ls >/tmp/ls || failure "xenstore-ls"
    grep -q 'name = "xenlife"' /tmp/ls || failure "no name in the tree"
    grep -q 'availability = "online"' /tmp/ls || failure "no processors in the tree"
    cat /tmp/ls
    # Linux runs this when it is asked to power off, and does no more when it cannot.
    mkdir -p /sbin
    printf '#!/bin/busybox sh\nexec /bin/busybox poweroff -f\n' >/sbin/poweroff
    chmod +x /sbin/poweroff
    xenstore-write data/said 'hello host' || failure "xenstore-write"
    echo "guest is ready"
    n=0
    while ! xenstore-read vm-data/colour >/tmp/colour 2>/dev/null && [ $n -lt 600 ]; do
        n=$((n + 1))
        sleep 0.5
    done
    echo "colour is $(cat /tmp/colour)"
    sleep 1000
}
