#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# device.sh HOSPES - block devices, links and full disks as where an image goes.
# shellcheck source=tests/image/kit.sh
. "$(dirname "$0")/kit.sh"
begin "$1" qemu-img losetup mount python3

python3 -c '
f = open("src.raw", "wb")
f.truncate(8 << 20)
f.seek(3 << 20)
f.write(b"x" * 4096)
open("full.raw", "wb").write(bytes(range(1, 251)) * 40000)'

# A link stays one.
mkdir far
echo old >far/target.raw
ln -s far/target.raw link.raw
"$hospes" image convert -q src.raw link.raw
[ -L link.raw ]
cmp src.raw far/target.raw

fails 66 "$hospes" image convert -q -O qcow2 src.raw nowhere/out
grep -q 'its directory does not exist' said

# Nothing stays where there is no room.
mkdir small
if mount -t tmpfs -o size=2M none small 2>/dev/null; then
    trap 'umount small; at_end' EXIT
    for sub in twoGbMaxExtentSparse twoGbMaxExtentFlat monolithicFlat monolithicSparse; do
        fails 74 "$hospes" image convert -q -O vmdk -o subformat=$sub full.raw small/out.vmdk
        same "$(ls small)" "" "$sub"
    done
    umount small
    trap at_end EXIT
fi

python3 -c 'open("device.img", "wb").write(b"J" * (16 << 20))'
loop=$(losetup --show -f device.img 2>/dev/null) || {
    echo "skip: no loop device can be had here"
    exit 77
}
# What lay on the device does not show through, and is not taken for tables.
device()
{
    "$hospes" image convert -q src.raw "$loop"
    cmp -n 8388608 src.raw "$loop"
    same "$(tail -c 4 "$loop")" JJJJ
    "$hospes" image convert -q -O qcow2 src.raw "$loop"
    "$hospes" image check "$loop" >out
    qemu-img check -q -f qcow2 "$loop"
    qemu-img compare -q -f qcow2 -F raw "$loop" src.raw
    # Nor does the device's node go when something fails.
    fails 64 "$hospes" image convert -q -O vhdx src.raw "$loop"
    truncate -s 32M big.raw
    fails 74 "$hospes" image convert -q big.raw "$loop"
    fails 74 "$hospes" image create -q "$loop" 32M
    [ -b "$loop" ]
    printf precious | dd of="$loop" conv=notrunc status=none
    "$hospes" image create -q -f raw "$loop" 1M
    cmp -n 1048576 /dev/zero "$loop"
}
(device) && code=0 || code=$?
losetup -d "$loop"
exit "$code"
