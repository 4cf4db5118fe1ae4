# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# Emulated cards reach the user network: both ways in bulk, with what the driver switches on.
variants='model=e1000 model=e1000e model=rtl8139 model=dec21140'
kernel=6.1
programs='/usr/bin/iperf3'
timeout=300
case ${model:-} in
e1000e) modules='e1000e' port=5310 ;;
rtl8139) modules='8139cp' port=5320 ;;
dec21140) modules='tulip' port=5330 ;;
*) modules='e1000' port=5340 ;;
esac

host()
{
    export TMPDIR=/dev/shm # iperf3 maps a file there, which not every root file system of a host lets it
    iperf3 -s -1 -p $port >"$work/up.txt" &
    iperf3 -s -1 -p $((port + 1)) >"$work/down.txt" &
    append="driver=$modules port=$port no_timer_check"
    run --persona bare --nic "user,model=$model" </dev/null
    code=$?
    kill %1 %2 2>/dev/null
    return $code
}

guest()
{
    local driver port
    port=$(sed 's/.*port=\([0-9]*\).*/\1/' /proc/cmdline)
    driver=$(sed 's/.*driver=\([a-z0-9]*\).*/\1/' /proc/cmdline)
    ip link set lo up
    card_up
    want "the driver" "$(basename "$(readlink /sys/class/net/eth0/device/driver)")" "$driver"
    ping -c 2 -W 5 10.0.2.2 >/dev/null || failure "no answer to ping"
    iperf3 -c 10.0.2.2 -p $port -t 5 >/tmp/up 2>&1 || failure "iperf3 up: $(tail -n 1 /tmp/up)"
    iperf3 -c 10.0.2.2 -p $((port + 1)) -t 5 -R >/tmp/down 2>&1 || failure "iperf3 down: $(tail -n 1 /tmp/down)"
    grep -E 'sender|receiver' /tmp/up /tmp/down
    grep eth0 /proc/interrupts
    dmesg -r | grep -E '^<[0-4]>' | grep -E "eth0|$driver" | grep -v "Hardware name" && failure "complaints in dmesg"
    success
}
