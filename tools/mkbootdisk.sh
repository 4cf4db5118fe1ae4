#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# mkbootdisk.sh OUT KERNEL INITRD APPEND [prompt] - writes a raw disk that a BIOS starts: MBR, one
# FAT16 partition, SYSLINUX on the serial line, the kernel and its initial RAM disk. With `prompt` the
# loader waits for a name, which is `linux`. Needs no root.
set -eu

out=$1 kernel=$2 initrd=$3 append=$4
sectors=$((($(stat -Lc %s "$kernel") + $(stat -Lc %s "$initrd")) / 512 + 32768))
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
dd if=/usr/lib/syslinux/mbr/mbr.bin of="$out" conv=notrunc status=none
# One active entry: FAT16, sector 2048 and on; the cylinders say "see there".
{
    printf '\200\376\377\377\006\376\377\377'
    le32 2048
    le32 $sectors
} | dd of="$out" bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of="$out" bs=1 seek=510 conv=notrunc status=none
mformat -i "$out@@1M" -T $sectors -h 16 -s 63 -H 2048 -v BOOT ::
cat >"$tmp/syslinux.cfg" <<END
SERIAL 0 115200
DEFAULT linux
PROMPT $([ "${5:-}" = prompt ] && echo 1 || echo 0)
LABEL linux
  LINUX vmlinuz
  INITRD initrd
  APPEND $append
END
mcopy -i "$out@@1M" "$tmp/syslinux.cfg" ::syslinux.cfg
mcopy -i "$out@@1M" "$kernel" ::vmlinuz
mcopy -i "$out@@1M" "$initrd" ::initrd
syslinux -t $((2048 * 512)) -i "$out"
