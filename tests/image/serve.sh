#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# serve.sh HOSPES - `hospes image serve --nbd` as libnbd and QEMU see it.
# shellcheck source=tests/image/kit.sh
. "$(dirname "$0")/kit.sh"
begin "$1" qemu-img qemu-io nbdinfo nbdcopy

qemu-img create -q -f qcow2 a.qcow2 64M
qemu-io -c 'write -P 7 1M 3M' a.qcow2 >out
serve --write a.qcow2
nbdinfo "$uri" >out
for line in 'export-size: 67108864 (64M)' 'can_fua: true' 'can_multi_conn: true' 'can_trim: true'; do
    grep -q "$line" out || same "$(cat out)" "$line"
done
same "$(nbdinfo --map "$uri" | tr -s ' ' | cut -d' ' -f2-5 | tr '\n' ';')" \
    '0 1048576 3 hole,zero;1048576 3145728 0 data;4194304 62914560 3 hole,zero;'
nbdinfo --map=qemu:allocation-depth "$uri" | grep -q '1048576 *3145728 *1 *local'

# Unaligned, zeroed, trimmed and durable writes.
qemu-io -f raw "$uri" -c 'write -P 9 1000 5000' -c 'read -P 9 1000 5000' -c 'read -P 0 0 1000' \
    -c 'write -z -u 2M 1M' -c 'read -P 0 2M 1M' -c 'discard 3M 64k' -c flush \
    -c 'write -f -P 3 20M 20M' -c 'read -P 3 20M 20M' >out
fails 1 grep -i fail out

# Nobody else may write meanwhile, or read what is being written.
fails 1 qemu-io -c 'write 0 512' a.qcow2
grep -q lock said
fails 73 "$hospes" image resize a.qcow2 +1M

# Four clients at once, and again after they are gone.
nbdcopy --connections=4 "$uri" copy.raw
qemu-img convert -f raw -O raw "$uri" copy2.raw
cmp copy.raw copy2.raw
unserve
qemu-img check -q a.qcow2
qemu-img compare -q -f qcow2 a.qcow2 -F raw copy.raw

# Many clients that write their own parts.
serve --write a.qcow2
dd if=/dev/urandom of=random.raw bs=1M count=64 status=none
nbdcopy --connections=4 --requests=64 random.raw "$uri"
unserve
qemu-img check -q a.qcow2
qemu-img compare -q -f qcow2 a.qcow2 -F raw random.raw

# Read-only unless asked otherwise; two may read.
serve a.qcow2
fails any qemu-io -f raw "$uri" -c 'write 0 512'
qemu-io -r -c 'read 0 1M' a.qcow2 >out
nbdinfo "$uri" | grep -q 'is_read_only: true'
unserve
