# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Does the guest stand hours of work?
#: name: stress
#: version: 1
#: owner: hospes

#: check: stress.minutes
#: purpose: ten minutes of processor, memory, disk and network work at once
#: pass: no digest differs, and the kernel does not complain
#: source: Microsoft System.Server.SystemStress.ServerStress, in small
#: by: guest
#: level: full
#: mandatory: yes
#: seconds: 900

#: check: stress.day
#: purpose: twenty-four hours of the same
#: pass: as stress.minutes
#: source: Microsoft System.Server.SystemStress.ServerStress
#: by: guest
#: level: long
#: mandatory: yes
#: seconds: 100000
stress()
{
    end=$(($(cut -d . -f 1 /proc/uptime) + $1))
    d=$(disks | head -n 1)
    dd if=/dev/urandom of=/tmp/noise bs=64k count=64 2>/dev/null
    sum=$(sha256sum </tmp/noise)
    [ -z "$(cards)" ] || card_up
    rounds=0
    while [ "$(cut -d . -f 1 /proc/uptime)" -lt "$end" ]; do
        if [ -n "$d" ]; then
            dd if=/tmp/noise of="/dev/$d" bs=64k seek=$((rounds % 8 * 64)) conv=notrunc,fsync 2>/dev/null ||
                failure "writing, round $rounds"
            echo 3 >/proc/sys/vm/drop_caches
            want "the digest of round $rounds" \
                "$(dd if="/dev/$d" bs=64k skip=$((rounds % 8 * 64)) count=64 2>/dev/null | sha256sum)" "$sum"
        fi
        cp /tmp/noise /tmp/copy
        want "the copy of round $rounds" "$(sha256sum </tmp/copy)" "$sum"
        [ -z "$(cards)" ] || ping -c 1 -W 20 -s 1400 10.0.2.2 >/dev/null || failure "no answer, round $rounds"
        rounds=$((rounds + 1))
    done
    say "note $rounds rounds"
    found=$(complaints 'BUG|Oops|stall|I/O error|hung' | head -n 1)
    [ -z "$found" ] || failure "the kernel complains: $found"
    success
}
check_stress_minutes() { stress 600; }
check_stress_day() { stress 86400; }
