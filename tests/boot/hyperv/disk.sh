# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# storvsc finds its disks, on one channel or several, and what is written there is what is read back.
variants='cpus=1 cpus=4'
modules='hv_vmbus hv_storvsc sd_mod sr_mod ext4'
timeout=300
args="--persona hyperv --cpus ${cpus:-1} --nic none"

host()
{
    truncate -s 64M "$work/a.img"
    truncate -s 64M "$work/b.img"
    run --disk "$work/a.img,format=raw,write" --disk "$work/b.img,format=raw,write" </dev/null
}

guest()
{
    wait_for 10 test -b /dev/sdb
    dmesg | grep -E 'hv_|scsi|sd ' | tail -20
    { [ -b /dev/sda ] && [ -b /dev/sdb ]; } || failure "there are no disks"
    want vendor "$(cat /sys/block/sda/device/vendor)" "Msft    "
    dd if=/dev/urandom of=/tmp/data bs=1M count=8 2>/dev/null
    dd if=/tmp/data of=/dev/sda bs=1M oflag=direct 2>/dev/null || failure "cannot write"
    dd if=/tmp/data of=/dev/sdb bs=4k seek=100 conv=fsync 2>/dev/null || failure "cannot write"
    echo 3 >/proc/sys/vm/drop_caches
    dd if=/dev/sda bs=1M count=8 iflag=direct 2>/dev/null | cmp - /tmp/data || failure "other data in sda"
    dd if=/dev/sdb bs=4k skip=100 count=2048 2>/dev/null | cmp - /tmp/data || failure "other data in sdb"
    success
}
