# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A vmxnet3 card reaches the user network.
variants='cpus=1 cpus=2'
kernel=6.1-cloud
modules='vmxnet3'
programs='/usr/bin/iperf3 /usr/sbin/ethtool'
args="--cpus ${cpus:-1}"
timeout=240

host() { with_iperf run --persona vmware --nic user </dev/null; }

guest()
{
    card_up
    want "the speed" "$(cat /sys/class/net/eth0/speed)" 10000
    [ -d /sys/bus/pci/slots/160 ] || failure "no slot 160: $(ls /sys/bus/pci/slots)"
    wait_for 20 ping -c 1 -W 2 10.0.2.2 || failure "the gateway does not answer"
    for feature in tx-checksumming tcp-segmentation-offload large-receive-offload; do
        ethtool -k eth0 | grep -q "^$feature: on" || failure "$feature is off"
    done
    transfer
    transfer -R
    ip link set eth0 mtu 9000 || failure "no jumbo frames"
    wait_for 20 ping -c 1 -W 2 -s 8972 10.0.2.2 || failure "no answer to a jumbo frame"
    transfer -R
    complaints 'eth0|vmxnet3' && failure "complaints in dmesg"
    success
}
