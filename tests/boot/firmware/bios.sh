# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A whole disk starts by itself: BIOS, boot loader, kernel, and the kernel finds the disk again.
variants='persona=kvm cpus=2,persona=kvm'
kernel=6.1-cloud
modules='virtio_pci virtio_blk'
timeout=240

host()
{
    local code=0
    cd "$work" || exit
    export TMPDIR=$work
    "$top/tools/mkbootdisk.sh" disk.img "$kernel_image" "$initrd" "console=ttyS0 quiet panic=-1" ||
        return 1
    "$hospes" run --host kvm --persona "$persona" --cpus "${cpus:-1}" --nic none disk.img,format=raw \
        </dev/null | tee console.txt || code=$?
    for said in SeaBIOS SYSLINUX; do
        grep -q "$said" console.txt || {
            echo "verdict: failure $said did not speak on the serial line"
            return 1
        }
    done
    return $code
}

guest()
{
    want "the partition on the disk" "$(cat /sys/block/vda/vda1/start)" 2048
    want "processors that came up" "$(cat /sys/devices/system/cpu/online)" "$(cat /sys/devices/system/cpu/present)"
    grep -q ACPI /proc/interrupts || grep -q acpi /proc/interrupts || failure "no ACPI interrupt"
    success
}
