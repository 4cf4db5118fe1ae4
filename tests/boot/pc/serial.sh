# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034 # read by the runner
# What is typed reaches the guest, and what the guest writes arrives byte for byte.
kernel=6.1-cloud

host()
{
    mkfifo "$work/keys"
    # Both ends open, so that neither side waits for the other.
    exec 3<>"$work/keys"
    run <"$work/keys" | while IFS= read -r line; do
        printf '%s\n' "$line"
        case $line in
        *ready*) echo 'the quick brown fox 0123456789' >&3 ;;
        esac
    done
}

guest()
{
    stty -F /dev/ttyS0 raw -echo
    echo ready
    read -r typed </dev/ttyS0
    want "what was typed" "$typed" 'the quick brown fox 0123456789'
    success
}
