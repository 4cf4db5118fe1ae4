# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Sourced by /init in the guests of boot tests that have iperf3; the host side is with_iperf.

# transfer OPTION...: moves bytes for five seconds, towards the host unless options say else, and tells how many.
transfer()
{
    iperf3 -c 10.0.2.2 -p "$(word port)" -t 5 "$@" >/tmp/iperf 2>&1 || failure "iperf3 $*: $(tail -n 1 /tmp/iperf)"
    echo "iperf3 $*: $(grep receiver /tmp/iperf)"
}
