#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# mkdebian.sh DIR PERSONA - writes DIR/PERSONA.img: a Debian 12 on a whole raw disk, as an installer
# leaves it on that hypervisor: MBR, GRUB, ext4, the generic kernel, and an initial RAM disk with the
# drivers of PERSONA alone. Needs root for debootstrap and chroot, the network once, no loop device.
#
# Log in as root with the password `hospes`; ~/facts tells what the machine found.
set -eu

dir=$1 persona=$2
mib=1400 home=/root
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

root=$dir/$persona.root img=$dir/$persona.img.part
rm -rf "$root"
mkdir "$root"
trap 'rm -rf "$root" "$img"' EXIT
tar -C "$root" -xf "$dir/base.tar"

echo "$persona" >"$root/etc/hostname"
echo "127.0.0.1 localhost $persona" >"$root/etc/hosts"
echo 'LABEL=root / ext4 errors=remount-ro 0 1' >"$root/etc/fstab"
printf 'auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n' >"$root/etc/network/interfaces"
echo 'root:hospes' | chroot "$root" chpasswd
echo 'MODULES=list' >"$root/etc/initramfs-tools/conf.d/persona"
echo 'RESUME=none' >>"$root/etc/initramfs-tools/conf.d/persona"
for m in $modules; do echo "$m"; done >"$root/etc/initramfs-tools/modules"
cat >"$root$home/facts" <<'END'
#!/bin/sh
# What a guest knows of its machine, for those who look from outside.
{
    echo "fact root $(findmnt -no SOURCE /)"
    disk=$(basename "$(findmnt -no SOURCE /)" | sed 's/p\?1$//')
    echo "fact driver $(basename "$(readlink -f "/sys/block/$disk/device/driver")")"
    echo "fact path $(readlink -f "/sys/block/$disk")"
    echo "fact disks $(lsblk -dno NAME,TYPE | awk '$2 == "disk" { n++ } END { print n }')"
    echo "fact address $(ip -4 -o addr show eth0 2>&1 | awk '{ print $4 }')"
    echo "fact nic $(basename "$(readlink -f /sys/class/net/eth0/device/driver)")"
    echo "fact virt $(systemd-detect-virt)"
    echo "fact failed $(systemctl --failed --no-legend | wc -l)"
    echo "fact end"
} >/dev/ttyS0
END
chmod +x "$root$home/facts"
chroot "$root" update-initramfs -u >&2

mkdir -p "$root/boot/grub/i386-pc"
cp /usr/lib/grub/i386-pc/*.mod /usr/lib/grub/i386-pc/*.lst "$root/boot/grub/i386-pc/"
cat >"$root/boot/grub/grub.cfg" <<END
set timeout=2
menuentry 'Debian GNU/Linux' {
	linux /vmlinuz root=LABEL=root ro quiet net.ifnames=0 console=tty0 console=ttyS0
	initrd /initrd.img
}
END

# One partition from 1 MiB on; GRUB's core lies in the gap before it.
rm -f "$img"
truncate -s "${mib}M" "$img"
echo 'start=2048, type=83, bootable' | sfdisk -q "$img"
mke2fs -q -t ext4 -L root -d "$root" -E offset=1048576 "$img" $((mib - 1))M
grub-mkimage -O i386-pc -p '(hd0,msdos1)/boot/grub' -o "$dir/core.img" biosdisk part_msdos ext2 normal linux echo
dd if=/usr/lib/grub/i386-pc/boot.img of="$img" bs=440 count=1 conv=notrunc status=none
dd if="$dir/core.img" of="$img" bs=512 seek=1 conv=notrunc status=none
mv "$img" "$dir/$persona.img"
