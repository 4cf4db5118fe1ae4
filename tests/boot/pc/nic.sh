# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# Emulated cards reach the user network: both ways in bulk, with what the driver switches on.
variants='model=e1000 model=e1000e model=rtl8139 model=dec21140'
kernel=6.1
programs='/usr/bin/iperf3'
timeout=300
case ${model:-} in
e1000e) modules='e1000e' ;;
rtl8139) modules='8139cp' ;;
dec21140) modules='tulip' ;;
*) modules='e1000' ;;
esac

append="driver=$modules no_timer_check"

host() { with_iperf run --persona bare --nic "user,model=$model" </dev/null; }

guest()
{
    local driver
    driver=$(word driver)
    ip link set lo up
    card_up
    want "the driver" "$(basename "$(readlink /sys/class/net/eth0/device/driver)")" "$driver"
    ping -c 2 -W 5 10.0.2.2 >/dev/null || failure "no answer to ping"
    transfer
    transfer -R
    grep eth0 /proc/interrupts
    dmesg -r | grep -E '^<[0-4]>' | grep -E "eth0|$driver" | grep -v "Hardware name" && failure "complaints in dmesg"
    success
}
