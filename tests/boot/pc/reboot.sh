# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A guest reboots 20 times in a row and finds its disk as it left it each time.
kernel=6.1-cloud
modules='virtio_pci virtio_blk'
timeout=900
append='reboot=k'

host()
{
    truncate -s 1M "$work/count.img"
    run --disk "$work/count.img,format=raw,write" </dev/null
}

guest()
{
    count=$(head -c 3 /dev/vda | tr -d '\0')
    count=$((${count:-0} + 1))
    printf %s "$count" | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null || error "cannot write /dev/vda"
    [ "$count" -le 20 ] || success
    reboot -f
    sleep 1000
}
