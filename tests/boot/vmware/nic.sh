# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A vmxnet3 card reaches the user network.
variants='cpus=1 cpus=2'
kernel=6.1-cloud
modules='vmxnet3'
args="--cpus ${cpus:-1}"
timeout=240

host()
{
    run --persona vmware --nic user </dev/null
}

guest()
{
    card_up
    want "the speed" "$(cat /sys/class/net/eth0/speed)" 10000
    [ -d /sys/bus/pci/slots/160 ] || failure "no slot 160: $(ls /sys/bus/pci/slots)"
    check_network_ping
}
