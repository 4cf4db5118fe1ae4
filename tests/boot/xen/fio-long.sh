# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# Ten minutes of guest time: fio writes at random in mixed sizes, discards, and reads back, without
# one error. Not for every change.
variants='cpus=2,o=portable cpus=2,host_kernel=6.12'
kernel=6.1-cloud
modules='xen-blkfront'
programs='/usr/bin/fio'
args="--persona xen${o:+,$o} --cpus ${cpus:-2} --nic none"
append="seconds=${seconds:-600}"
timeout=3000

host() { scratch_run 256M; }

guest()
{
    wait_for 50 test -b /dev/xvda || failure "there is no disk"
    fio_until /dev/xvda "$(word seconds)"
    complaints 'xvda|vbd|I/O error' && failure "complaints in dmesg"
    success
}
