# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A disk grows while the guest writes to it: the guest sees the new size, what it wrote stays, and the new part can be
# written. Linux's drivers of VMware's controllers are told, and wait until a user has them look.
variants='bus=virtio bus=scsi bus=nvme bus=xvd bus=vmbus bus=pvscsi bus=lsisas1068'
kernel=6.1
persona=kvm
case ${bus:-virtio} in
virtio) modules='virtio_pci virtio_blk' ;;
scsi) modules='virtio_pci virtio_scsi sd_mod' ;;
nvme) modules='nvme' ;;
xvd) modules='xen-blkfront' persona=xen ;;
vmbus) modules='hv_vmbus hv_storvsc sd_mod' persona=hyperv ;;
pvscsi) modules='vmw_pvscsi sd_mod' persona=vmware ;;
lsisas1068) modules='mptsas sd_mod' persona=vmware ;;
esac
args="--cpus 2 --nic none"
append="bus=${bus:-virtio}"
timeout=400

host()
{
    local code=0 words=",bus=$bus"
    cd "$work" || exit
    [ "$bus" != vmbus ] || words=
    "$hospes" image create -f qcow2 grows.img 32M || exit
    truncate -s 8M thrown.img
    begin --name resize --persona "$persona" --disk "grows.img,write$words" --disk thrown.img,format=raw,snapshot
    wait_said 'the guest writes'
    "$hospes" resize resize disk0 16M 2>/dev/null && code=1
    "$hospes" resize resize disk1 16M 2>/dev/null && code=2
    "$hospes" resize resize disk7 16M 2>/dev/null && code=3
    "$hospes" resize resize disk0 96M || code=4
    ended || code=$?
    "$hospes" image info grows.img
    "$hospes" image check grows.img || code=5
    [ $code = 0 ] || echo "verdict: failure code $code"
}

guest()
{
    bus=$(word bus)
    there()
    {
        for disk in sda sdb vda xvda nvme0n1; do
            has 65536 && return
        done
        return 1
    }
    has() { [ "$(cat "/sys/block/$disk/size" 2>/dev/null)" = "$1" ]; }
    grown()
    {
        case $bus in
        pvscsi | lsi*) echo 1 >"/sys/block/$disk/device/rescan" ;;
        esac
        has 196608
    }
    wait_for 60 there || failure "there is no disk"
    printf guest | dd "of=/dev/$disk" bs=512 seek=65535 conv=sync,notrunc,fsync 2>/dev/null || failure "cannot write"
    while [ ! -e /tmp/enough ]; do
        dd if=/dev/zero "of=/dev/$disk" bs=64k count=64 oflag=direct conv=notrunc 2>/dev/null || touch /tmp/broken
    done &
    sleep 1
    echo 'the guest writes'
    wait_for 90 grown || failure "it has $(cat "/sys/block/$disk/size") sectors: $(dmesg | tail -n 5)"
    touch /tmp/enough
    wait
    [ ! -e /tmp/broken ] || failure "a write failed meanwhile"
    want "what was written" "$(dd "if=/dev/$disk" bs=512 skip=65535 count=1 2>/dev/null | head -c 5)" guest
    want "the new part" "$(dd "if=/dev/$disk" bs=64k skip=512 2>/dev/null | tr -d '\0' | wc -c)" 0
    printf more | dd "of=/dev/$disk" bs=512 seek=196607 conv=sync,notrunc,fsync 2>/dev/null ||
        failure "cannot write to the new part"
    echo 3 >/proc/sys/vm/drop_caches
    want "the last sector" "$(dd "if=/dev/$disk" bs=512 skip=196607 2>/dev/null | head -c 4)" more
    success
}
