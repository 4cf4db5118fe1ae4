# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A file system on a pvscsi disk keeps what is written.
variants='cpus=1 cpus=4'
kernel=6.1-cloud
modules='vmw_pvscsi sd_mod ext4'
programs='/usr/sbin/mkfs.ext4'
args="--cpus ${cpus:-1}"
timeout=240

host()
{
    cd "$work" || exit # a path with a comma would need two
    truncate -s 256M disk.img
    run --persona vmware --nic none --disk "disk.img,format=raw,write" </dev/null
}

guest()
{
    for try in 1 2 3 4 5; do
        [ -b /dev/sda ] && break
        sleep 1
    done
    want "the disk's maker" "$(tr -d ' ' </sys/block/sda/device/vendor)" VMware
    check_storage_filesystem 32
}
