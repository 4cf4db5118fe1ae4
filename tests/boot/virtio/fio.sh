# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# fio writes at random, mixes sizes, trims, and reads all of it back without an error.
variants='cpus=1 cpus=4,options=packed cpus=16'
kernel=6.1-cloud
modules='virtio_pci virtio_blk'
programs='/usr/bin/fio'
args="--cpus ${cpus:-1}"
append="mib=${mib:-16}"
timeout=400

host() { scratch_run 256M ${options:+--persona "kvm,$options"}; }

guest()
{
    fio_once /dev/vda "$(word mib)" trims
    complaints 'vda|virtio|I/O error' && failure "complaints in dmesg"
    success
}
