# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A disk comes while the guest runs, is used, and goes again; then another comes.
kernel=6.1-cloud
modules='virtio_pci virtio_scsi sd_mod'
timeout=240

host()
{
    local code=0 id
    cd "$work" || exit
    truncate -s 32M one.img
    truncate -s 16M two.img
    begin --name hotplug --persona kvm,scsi
    wait_said 'wants a disk'
    id=$("$hospes" attach hotplug one.img,format=raw,write,bus=scsi) || code=$?
    echo "$id"
    wait_said 'has done with it'
    "$hospes" info hotplug | grep -F one.img || code=1
    "$hospes" detach hotplug disk0 || code=$?
    "$hospes" detach hotplug disk0 2>/dev/null && code=2
    wait_said 'wants another'
    "$hospes" attach hotplug two.img,format=raw,readonly || code=$?
    ended || code=$?
    [ "$(head -c 5 one.img)" = guest ] || code=4
    [ $code = 0 ] || echo "verdict: failure code $code"
}

guest()
{
    # size_of DISK: in sectors, once it is there
    size_of()
    {
        n=0
        while [ ! -e "/sys/block/$1/size" ] && [ $n -lt 60 ]; do
            sleep 0.5
            n=$((n + 1))
        done
        cat "/sys/block/$1/size"
    }
    echo 'the guest wants a disk'
    want "the first disk" "$(size_of sda)" 65536
    printf guest | dd of=/dev/sda conv=notrunc,fsync 2>/dev/null || failure "cannot write"
    echo 'the guest has done with it'
    n=0
    while [ -e /sys/block/sda ] && [ $n -lt 60 ]; do
        sleep 0.5
        n=$((n + 1))
    done
    [ ! -e /sys/block/sda ] || failure "the disk did not go"
    echo 'the guest wants another'
    want "the second disk" "$(size_of sda)" 32768
    want "read-only" "$(cat /sys/block/sda/ro)" 1
    success
}
