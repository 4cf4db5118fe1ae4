# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034 # read by the runner
# The guest finds the memory that it was given, below and above the hole under 4 GiB.
variants='mib=128 mib=1024 mib=8192'
args="--memory ${mib:-128}M"
append="mib=${mib:-128}"

guest()
{
    wanted=$(sed -n 's/.*[ ]mib=\([0-9]*\).*/\1/p' /proc/cmdline)
    kib=$(awk '/^[0-9a-f]+-[0-9a-f]+ : System RAM/ { print $1 }' /proc/iomem | {
        sum=0
        while IFS=- read -r from to; do
            sum=$((sum + 0x$to - 0x$from + 1))
        done
        echo $((sum / 1024))
    })
    # A PC gives less than 1 MiB of it to the firmware's places.
    [ "$kib" -gt $((wanted * 1024 - 1024)) ] || failure "only $kib KiB of $wanted MiB"
    [ "$kib" -le $((wanted * 1024)) ] || failure "$kib KiB instead of $wanted MiB"
    success
}
