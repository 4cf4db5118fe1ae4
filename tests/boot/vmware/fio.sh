# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# fio writes at random, mixes sizes, and reads all of it back without an error, on each SCSI controller. With
# seconds= it goes on for so long; not for every change.
variants='bus=pvscsi,cpus=4 bus=lsilogic,cpus=2 bus=lsisas1068,cpus=2 bus=pvscsi,cpus=2,seconds=600 bus=lsilogic,cpus=2,seconds=600
    bus=lsisas1068,cpus=2,seconds=600'
kernel=6.1
case ${bus:-pvscsi} in
pvscsi) modules='vmw_pvscsi sd_mod' ;;
lsilogic) modules='mptspi sd_mod' ;;
*) modules='mptsas sd_mod' ;;
esac
programs='/usr/bin/fio'
args="--cpus ${cpus:-1}"
disk_words=bus=${bus:-pvscsi}
append="mib=${mib:-8} seconds=${seconds:-0}"
timeout=$((500 + ${seconds:-0} * 4))

host() { scratch_run 256M --persona vmware --nic none; }

guest()
{
    wait_for 50 test -b /dev/sda || failure "there is no disk"
    if [ "$(word seconds)" = 0 ]; then fio_once /dev/sda "$(word mib)"; else fio_until /dev/sda "$(word seconds)"; fi
    complaints 'sda|pvscsi|mpt|I/O error' && failure "complaints in dmesg"
    success
}
