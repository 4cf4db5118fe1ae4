# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A drive that was empty gets a disc, another one, and none, while its guest looks at it. One that the guest has locked
# stays until the guest, which is told of the wish, lets it go, or until it is taken by force.
variants='bus=ide bus=sata bus=scsi bus=vmbus bus=pvscsi bus=lsilogic'
kernel=6.1
persona=kvm
case ${bus:-ide} in
ide) modules='ata_piix sr_mod' persona=bare ;;
sata) modules='ahci sr_mod' ;;
scsi) modules='virtio_pci virtio_scsi sr_mod' ;;
vmbus) modules='hv_vmbus hv_storvsc sr_mod' persona=hyperv ;;
pvscsi) modules='vmw_pvscsi sr_mod' persona=vmware ;;
lsilogic) modules='mptspi sr_mod' persona=vmware ;;
esac
args="--nic none"
append="bus=${bus:-ide}"
timeout=400

host()
{
    local code=0 words=",bus=$bus"
    cd "$work" || exit
    [ "$bus" != vmbus ] || words=",bus=scsi"
    { printf first && head -c 1M /dev/zero; } >first.iso
    { printf second && head -c 3M /dev/zero; } >second.iso
    begin --name discs --persona "$persona" --cdrom "none$words"
    wait_said 'the drive is empty'
    "$hospes" disc discs first.iso || code=1
    wait_said 'it reads first' && "$hospes" disc discs second.iso || code=2
    wait_said "it has locked second" && "$hospes" disc --eject discs
    [ $? = 73 ] || code=3
    "$hospes" info discs | grep -F second.iso || code=4
    echo unlock >&9
    wait_said 'it has unlocked second' && "$hospes" disc --drive cdrom0 discs first.iso || code=5
    wait_said 'it has locked first' && "$hospes" disc --eject --force discs || code=6
    ended || code=$?
    [ $code = 0 ] || echo "verdict: failure code $code"
}

guest()
{
    reads() { [ "$(dd if=/dev/sr0 bs=2048 count=1 2>/dev/null | head -c "${#1}")" = "$1" ]; }
    empty() { ! dd if=/dev/sr0 bs=2048 count=1 2>/dev/null >/dev/null; }
    wait_for 60 test -b /dev/sr0 || failure "there is no drive"
    empty || failure "there is a disc already"
    echo 'the drive is empty'
    wait_for 60 reads first || failure "the first disc: $(dmesg | tail -n 5)"
    echo 'it reads first'
    wait_for 60 reads second || failure "the second disc: $(dmesg | tail -n 5)"
    want "sectors of the second disc" "$(cat /sys/block/sr0/size)" 6144
    exec 3</dev/sr0 # an open drive is a locked one
    echo 'it has locked second'
    read -r line
    reads second || failure "the disc went, and the drive was locked"
    exec 3<&-
    echo 'it has unlocked second'
    wait_for 60 reads first || failure "the first disc again: $(dmesg | tail -n 5)"
    exec 3</dev/sr0
    echo 'it has locked first'
    wait_for 60 empty || failure "it was not taken by force"
    success
}
