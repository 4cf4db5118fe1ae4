# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A machine without a disk starts from the network: iPXE's ROM on a card, DHCP, TFTP, a script, a kernel.
variants='model=e1000 model=e1000e model=rtl8139 model=virtio model=vmxnet3'
kernel=6.1-cloud
timeout=400

host()
{
    [ -e "/usr/lib/ipxe/qemu/pxe-$model.rom" ] || {
        echo "verdict: skip no package ipxe-qemu"
        return
    }
    local persona=bare
    case $model in
    virtio) persona=kvm ;;
    vmxnet3) persona=vmware ;;
    esac
    mkdir "$work/tftp"
    cp "$kernel_image" "$work/tftp/kernel"
    cp "$initrd" "$work/tftp/initrd"
    cat >"$work/tftp/boot.ipxe" <<EOF
#!ipxe
kernel kernel console=ttyS0 quiet panic=-1 no_timer_check by=ipxe
initrd initrd
boot
EOF
    "$hospes" run --host kvm --persona $persona --firmware bios --nic "user,model=$model,tftp=$work/tftp,bootfile=boot.ipxe" </dev/null
}

guest()
{
    grep -q by=ipxe /proc/cmdline || failure "started otherwise: $(cat /proc/cmdline)"
    success
}
