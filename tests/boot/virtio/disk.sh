# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A file system on a virtio disk keeps what is written, over every ring and both interfaces.
variants='o=plain o=packed o=modern o=direct cpus=4,o=plain'
kernel=6.1-cloud
modules='virtio_pci virtio_blk ext4'
programs='/usr/sbin/mkfs.ext4'
args="--cpus ${cpus:-1}"
timeout=240

host()
{
    cd "$work" || exit # a path with a comma would need two
    truncate -s 256M disk.img
    run --persona "kvm,$(echo "$o" | sed 's/plain/no-rng/')" --disk "disk.img,format=raw,write" </dev/null
}

guest()
{
    # One for each processor that there may be: "0-1" are two.
    want "queues" "$(find /sys/block/vda/mq -mindepth 1 -maxdepth 1 | wc -l)" "$(($(sed 's/.*-//' /sys/devices/system/cpu/possible) + 1))"
    check_storage_filesystem 32
}
