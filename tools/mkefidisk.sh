#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# mkefidisk.sh OUT KERNEL INITRD APPEND [signed] - writes a raw disk that UEFI starts: an MBR with one EFI
# system partition, GRUB as the fallback loader \EFI\BOOT\BOOTX64.EFI, the kernel and its initial RAM disk.
# signed: shim and GRUB as Debian signs them, instead of one made here. Needs no root.
set -eu

out=$1 kernel=$2 initrd=$3 append=$4 signed=${5:-}
sectors=$((($(stat -Lc %s "$kernel") + $(stat -Lc %s "$initrd")) / 512 + 98304))
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# le32 N: its four bytes.
le32()
{
    for shift in 0 8 16 24; do
        # shellcheck disable=SC2059 # the format is the byte
        printf "\\$(printf %o $(($1 >> shift & 255)))"
    done
}

rm -f "$out"
truncate -s $(((sectors + 4096) * 512)) "$out"
# One entry: EFI system partition, sector 2048 and on; the cylinders say "see there".
{
    printf '\000\376\377\377\357\376\377\377'
    le32 2048
    le32 $sectors
} | dd of="$out" bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of="$out" bs=1 seek=510 conv=notrunc status=none
cat >"$tmp/grub.cfg" <<END
serial --unit=0 --speed=115200
terminal_output serial console
search --no-floppy --file --set=root /vmlinuz
echo "GRUB starts the kernel"
linux /vmlinuz $append
initrd /initrd
boot
END
loader=$tmp/boot.efi
[ -z "$signed" ] || loader=/usr/lib/shim/shimx64.efi.signed
grub-mkimage -O x86_64-efi -o "$tmp/boot.efi" -p '(memdisk)' -c "$tmp/grub.cfg" \
    part_msdos part_gpt fat search search_fs_file linux serial terminal echo boot configfile normal
mformat -i "$out@@1M" -T $sectors -h 16 -s 63 -H 2048 -v ESP ::
mmd -i "$out@@1M" ::EFI ::EFI/BOOT
mcopy -i "$out@@1M" "$loader" ::EFI/BOOT/BOOTX64.EFI
if [ -n "$signed" ]; then
    mmd -i "$out@@1M" ::EFI/debian
    mcopy -i "$out@@1M" /usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed ::EFI/BOOT/grubx64.efi
    mcopy -i "$out@@1M" "$tmp/grub.cfg" ::EFI/debian/grub.cfg
fi
mcopy -i "$out@@1M" "$kernel" ::vmlinuz
mcopy -i "$out@@1M" "$initrd" ::initrd
