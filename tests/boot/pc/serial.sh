# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034 # read by the runner
# What is typed reaches the guest, and what the guest writes arrives byte for byte.
kernel=6.1-cloud

host() { answer ready 'the quick brown fox 0123456789'; }

guest()
{
    stty -F /dev/ttyS0 raw -echo
    echo ready
    read -r typed </dev/ttyS0
    want "what was typed" "$typed" 'the quick brown fox 0123456789'
    success
}
