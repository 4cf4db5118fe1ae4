# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# In the narrowest sandbox, and in the one that is usual, a guest of each persona finds its disk, writes, flushes and reads it, and powers off.
variants='persona=kvm persona=bare persona=hyperv persona=xen persona=vmware mode=on'
kernel=6.1
persona=${persona:-kvm}
case $persona in
bare) modules='ata_piix sd_mod' ;;
hyperv) modules='hv_vmbus hv_storvsc sd_mod' ;;
xen) modules='xen-blkfront' ;;
vmware) modules='vmw_pvscsi sd_mod' ;;
*) modules='virtio_pci virtio_blk' ;;
esac

host()
{
    cd "$work" || exit # a path with a comma would need two
    truncate -s 64M disk.img
    run --persona "$persona" --sandbox "${mode:-strict}" --cpus 2 --nic user --disk disk.img,format=raw,write </dev/null
}

guest()
{
    local n=0 disk
    while :; do
        disk=$(find /sys/block -name 'vda' -o -name 'sda' -o -name 'xvda' | head -n 1)
        [ -z "$disk" ] || [ ! -b "/dev/${disk##*/}" ] || break
        [ $n -lt 100 ] || failure "no disk: $(echo /sys/block/*)"
        usleep 100000
        n=$((n + 1))
    done
    disk=/dev/${disk##*/}
    echo 'held, and yet at work' | dd of="$disk" bs=512 seek=7 conv=sync,fsync 2>/dev/null || failure "cannot write $disk"
    echo 3 >/proc/sys/vm/drop_caches
    want 'what was written' "$(dd if="$disk" bs=512 skip=7 count=1 2>/dev/null | tr -d '\0')" 'held, and yet at work'
    success
}
