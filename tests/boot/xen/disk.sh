# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A file system on xvda keeps what is written, with and without a KVM that knows Xen.
variants='o=portable cpus=4,o=portable host_kernel=6.12 cpus=4,host_kernel=6.12'
kernel=6.1-cloud
modules='xen-blkfront ext4'
programs='/usr/sbin/mkfs.ext4'
args="--cpus ${cpus:-1}"
timeout=300

host()
{
    cd "$work" || exit
    truncate -s 256M disk.img
    run --persona "xen${o:+,$o}" --disk "disk.img,format=raw,write" --nic none </dev/null
}

guest()
{
    wait_for 10 test -e /dev/xvda || failure "there is no disk: $(dmesg | grep -iE 'xen|xvd' | tail -n 3)"
    want "queues" "$(find /sys/block/xvda/mq -mindepth 1 -maxdepth 1 | wc -l)" "$(grep -c ^processor /proc/cpuinfo)"
    check_storage_filesystem 32
}
