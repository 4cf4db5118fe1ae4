# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# Ten minutes of guest time: fio writes at random in mixed sizes, discards, and reads back, without
# one error. Not for every change.
variants='cpus=2'
kernel=6.1-cloud
modules='virtio_pci virtio_blk'
programs='/usr/bin/fio'
args="--cpus ${cpus:-2}"
append="seconds=${seconds:-600}"
timeout=3000

host() { scratch_run 256M; }

guest()
{
    fio_until /dev/vda "$(word seconds)"
    complaints 'vda|virtio|I/O error' && failure "complaints in dmesg"
    success
}
