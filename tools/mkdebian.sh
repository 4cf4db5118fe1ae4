#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# mkdebian.sh DIR PERSONA [efi] - writes DIR/PERSONA.img: a Debian 12 on a whole raw disk, as an installer
# leaves it on that hypervisor: MBR, GRUB, ext4, the generic kernel, and an initial RAM disk with the
# drivers of PERSONA alone. With efi it is DIR/PERSONA-efi.img, for UEFI: GPT, an EFI system partition with
# shim and GRUB as Debian signs them. Needs root for debootstrap and chroot, the network once, no loop device.
#
# DIR/PERSONA.img.md5 tells later whether it is still the same.
#
# Log in as root with the password `hospes`; ~/facts tells what the machine found.
set -eu

dir=$1 persona=$2 efi=${3:-}
mib=1400 home=/root name=$persona${3:+-efi}
case $persona in
kvm) modules='virtio_pci virtio_blk ext4' ;;
hyperv) modules='hv_vmbus hv_storvsc sd_mod ext4' ;;
xen) modules='xen-blkfront ext4' ;;
vmware) modules='vmw_pvscsi sd_mod ext4' ;;
bare) modules='ata_piix sd_mod ext4' ;;
*)
    echo "mkdebian: there is no persona $persona" >&2
    exit 64
    ;;
esac
mkdir -p "$dir"

# What all of them share, kept for the next one.
if [ ! -e "$dir/base.tar" ]; then
    rm -rf "$dir/base"
    debootstrap --variant=minbase \
        --include=linux-image-amd64,systemd-sysv,udev,kmod,initramfs-tools,iproute2,ifupdown,isc-dhcp-client,dbus,login,util-linux,e2fsprogs \
        bookworm "$dir/base" >&2
    rm -rf "$dir/base/var/cache/apt" "$dir/base/var/lib/apt/lists" "$dir/base/usr/share/doc" \
        "$dir/base/usr/share/man" "$dir/base/usr/share/locale"
    tar -C "$dir/base" -cf "$dir/base.tar.part" .
    mv "$dir/base.tar.part" "$dir/base.tar"
    rm -rf "$dir/base"
fi

root=$dir/$name.root img=$dir/$name.img.part
rm -rf "$root"
mkdir "$root"
trap 'rm -rf "$root" "$img" "$img.esp" "$img.cfg"' EXIT
tar -C "$root" -xf "$dir/base.tar"

echo "$persona" >"$root/etc/hostname"
echo "127.0.0.1 localhost $persona" >"$root/etc/hosts"
echo 'LABEL=root / ext4 errors=remount-ro 0 1' >"$root/etc/fstab"
if [ -n "$efi" ]; then
    echo 'LABEL=ESP /boot/efi vfat umask=0077 0 0' >>"$root/etc/fstab"
    mkdir -p "$root/boot/efi"
fi
printf 'auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n' >"$root/etc/network/interfaces"
# On an emulated processor udev may need longer than the 90 s after which systemd gives a terminal up.
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultDeviceTimeoutSec=900\nDefaultTimeoutStartSec=900\n' >"$root/etc/systemd/system.conf.d/slow.conf"
echo 'root:hospes' | chroot "$root" chpasswd
echo 'MODULES=list' >"$root/etc/initramfs-tools/conf.d/persona"
echo 'RESUME=none' >>"$root/etc/initramfs-tools/conf.d/persona"
for m in $modules; do echo "$m"; done >"$root/etc/initramfs-tools/modules"
cat >"$root$home/facts" <<'END'
#!/bin/sh
# What a guest knows of its machine, for those who look from outside.
{
    echo "fact root $(findmnt -no SOURCE /)"
    disk=$(basename "$(findmnt -no SOURCE /)" | sed 's/p\?[12]$//')
    echo "fact driver $(basename "$(readlink -f "/sys/block/$disk/device/driver")")"
    echo "fact path $(readlink -f "/sys/block/$disk")"
    echo "fact disks $(lsblk -dno NAME,TYPE | awk '$2 == "disk" { n++ } END { print n }')"
    echo "fact address $(ip -4 -o addr show eth0 2>&1 | awk '{ print $4 }')"
    echo "fact nic $(basename "$(readlink -f /sys/class/net/eth0/device/driver)")"
    echo "fact secure $(od -An -j4 -N1 -tu1 /sys/firmware/efi/efivars/SecureBoot-* 2>/dev/null | tr -d ' ')"
    echo "fact virt $(systemd-detect-virt)"
    echo "fact failed $(systemctl --failed --no-legend | wc -l)"
    echo "fact end"
} >/dev/ttyS0
END
chmod +x "$root$home/facts"
chroot "$root" update-initramfs -u >&2

# menu: GRUB's own settings.
menu()
{
    cat <<END
set timeout=2
menuentry 'Debian GNU/Linux' {
	linux /vmlinuz root=LABEL=root ro quiet net.ifnames=0 console=tty0 console=ttyS0
	initrd /initrd.img
}
END
}

# One partition from 1 MiB on; GRUB's core lies in the gap before it.
disk_bios()
{
    mkdir -p "$root/boot/grub/i386-pc"
    cp /usr/lib/grub/i386-pc/*.mod /usr/lib/grub/i386-pc/*.lst "$root/boot/grub/i386-pc/"
    menu >"$root/boot/grub/grub.cfg"
    truncate -s "${mib}M" "$img"
    echo 'start=2048, type=83, bootable' | sfdisk -q "$img"
    mke2fs -q -t ext4 -L root -d "$root" -E offset=1048576 "$img" $((mib - 1))M
    grub-mkimage -O i386-pc -p '(hd0,msdos1)/boot/grub' -o "$dir/core.img" biosdisk part_msdos ext2 normal linux echo
    dd if=/usr/lib/grub/i386-pc/boot.img of="$img" bs=440 count=1 conv=notrunc status=none
    dd if="$dir/core.img" of="$img" bs=512 seek=1 conv=notrunc status=none
}

# The EFI system partition from 1 MiB on, 64 MiB of it, and the root behind it. The signed GRUB looks for
# its settings in EFI/debian and finds the rest by the root's label; the fallback loader is shim, too.
disk_efi()
{
    mkdir -p "$root/boot/grub"
    menu >"$root/boot/grub/grub.cfg"
    cat >"$img.cfg" <<'END'
search --no-floppy --label --set=root root
set prefix=($root)/boot/grub
configfile $prefix/grub.cfg
END
    truncate -s 64M "$img.esp"
    mformat -i "$img.esp" -F -v ESP ::
    mmd -i "$img.esp" ::EFI ::EFI/BOOT ::EFI/debian
    for to in BOOT/BOOTX64.EFI debian/shimx64.efi; do
        mcopy -i "$img.esp" /usr/lib/shim/shimx64.efi.signed "::EFI/$to"
    done
    for to in BOOT debian; do
        mcopy -i "$img.esp" /usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed "::EFI/$to/grubx64.efi"
    done
    mcopy -i "$img.esp" "$img.cfg" ::EFI/debian/grub.cfg
    truncate -s $((mib + 66))M "$img"
    printf 'label: gpt\nstart=2048, size=131072, type=uefi\nstart=133120, type=linux\n' | sfdisk -q "$img"
    dd if="$img.esp" of="$img" bs=1M seek=1 conv=notrunc status=none
    mke2fs -q -t ext4 -L root -d "$root" -E offset=$((65 * 1048576)) "$img" "${mib}M"
}

rm -f "$img"
if [ -n "$efi" ]; then
    disk_efi
else
    disk_bios
fi
mv "$img" "$dir/$name.img"
(cd "$dir" && md5sum "$name.img" >"$name.img.md5")
