# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# fio writes at random, mixes sizes, trims, and reads all of it back without an error.
variants='cpus=1,o=portable cpus=4,o=portable cpus=4,host_kernel=6.12'
kernel=6.1-cloud
modules='xen-blkfront'
programs='/usr/bin/fio'
args="--persona xen${o:+,$o} --cpus ${cpus:-1} --nic none"
append="mib=${mib:-16}"
timeout=500

host() { scratch_run 256M; }

guest()
{
    wait_for 50 test -b /dev/xvda || failure "there is no disk"
    fio_once /dev/xvda "$(word mib)" trims
    complaints 'xvda|vbd|I/O error' && failure "complaints in dmesg"
    success
}
