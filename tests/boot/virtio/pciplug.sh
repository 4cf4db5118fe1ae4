# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A disk that is a PCI device comes while the guest runs, is used, and is given back when it is asked for; then again.
kernel=6.1
modules='virtio_pci virtio_blk'
timeout=300

host()
{
    local code=0 n
    cd "$work" || exit
    truncate -s 32M one.img
    begin --name pciplug --persona kvm,hotplug
    for n in 0 1; do
        wait_said "wants disk $n"
        "$hospes" attach pciplug one.img,format=raw,write,bus=virtio || code=$?
        wait_said "has done with disk $n"
        "$hospes" detach pciplug "disk$n" | grep asked || code=1
    done
    ended || code=$?
    [ "$(head -c 5 one.img)" = guest ] || code=4
    [ $code = 0 ] || echo "verdict: failure code $code"
}

guest()
{
    for disk in 0 1; do
        echo "the guest wants disk $disk"
        wait_for 60 test -b /dev/vda || failure "the disk did not come"
        want "its sectors" "$(cat /sys/block/vda/size)" 65536
        printf guest | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null || failure "cannot write"
        echo "the guest has done with disk $disk"
        wait_for 60 gone vda || failure "the disk did not go"
    done
    success
}
