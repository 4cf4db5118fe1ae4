#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# convert.sh HOSPES - what the targets take, and what is left when converting fails.
# shellcheck source=tests/image/kit.sh
. "$(dirname "$0")/kit.sh"
begin "$1" qemu-img qemu-io python3

qemu-img create -q -f raw src.raw 21000192 # no whole MiB
qemu-io -f raw -c 'write -q -P 5 1M 3M' -c 'write -q -P 6 19M 512k' src.raw
# data that begins and ends inside clusters, and two pieces of it in one
qemu-io -f raw -c 'write -q -P 7 10252k 8k' -c 'write -q -P 8 10276k 4k' -c 'write -q -P 9 12284k 8k' src.raw

# to TARGET FORMAT QEMU'S-NAME BYTES
to()
{
    "$hospes" image convert --to "$1" src.raw "out.$2" 2>said
    [ "$1" = kvm ] || grep -q 'the disk grows' said
    same "$("$hospes" image info --json "out.$2" | python3 -c 'import json, sys; print(json.load(sys.stdin)["virtual-size"])')" "$4"
    "$hospes" image compare -q src.raw "out.$2"
    qemu-img compare -q -f raw -F "$3" src.raw "out.$2"
}
to azure vhd vpc 22020096
same "$(stat -c %s out.vhd)" $((22020096 + 512))
to xen vhd vpc 23068672
to hyperv vhdx vhdx 22020096
to kvm qcow2 qcow2 21000192
case $("$hospes" image --help) in
*" vmdk "*)
    to esxi vmdk vmdk 22020096
    qemu-img info out.vmdk | grep -q streamOptimized
    ;;
esac

# Each level is a stream that others read, higher ones are smaller, and there is none beyond the last.
head -c 3000000 "$hospes" >code.raw
head -c 250000 /dev/urandom | dd of=code.raw bs=1M seek=1 conv=notrunc status=none # clusters that do not pack
truncate -s 3M code.raw
# level NAME OPTIONS LEVEL...: sizes fall
level()
{
    last=99999999 name=$1 options=$2
    shift 2
    for n in "$@"; do
        "$hospes" image convert -q -c --level "$n" -O "$name" -o "$options" code.raw "level.$name"
        qemu-img compare -q -f raw -F "$name" code.raw "level.$name"
        size=$(stat -c %s "level.$name")
        [ "$size" -lt "$last" ]
        last=$size
    done
}
level qcow2 compression_type=zlib 1 4 9
level qcow2 compression_type=zstd 1 9 19
fails 64 "$hospes" image convert -q -c --level 10 -O qcow2 code.raw out.qcow2
fails 64 "$hospes" image convert -q --level 1 -O qcow2 code.raw out.qcow2
fails 64 "$hospes" image convert -q -c --level 0 -O qcow2 code.raw out.qcow2
case $("$hospes" image --help) in
*" vmdk "*) level vmdk subformat=streamOptimized 1 6 12 ;;
esac

# What a target does not take is refused, and nothing is left behind.
rm -f out.*
fails 64 "$hospes" image convert -q --to azure -o subformat=dynamic src.raw out.vhd
grep -q 'Azure takes fixed' said
fails 64 "$hospes" image convert -q --to azure -O qcow2 src.raw out.vhd
fails 64 "$hospes" image convert -q --to moon src.raw out.vhd
qemu-img create -q -f qcow2 huge.qcow2 3T
fails 65 "$hospes" image convert -q --to xen huge.qcow2 out.vhd
grep -q '2040 GiB' said
fails 64 "$hospes" image convert -q -O qcow2 -o nonsense=1 src.raw out.vhd
for left in out.*; do [ ! -e "$left" ] || same "$left" nothing; done

# An old image stays until the new one is whole, and while somebody uses it.
echo precious >out.vhd
fails 64 "$hospes" image convert -q -O vhd -o nonsense=1 src.raw out.vhd
same "$(cat out.vhd)" precious
qemu-img create -q -f qcow2 damaged.qcow2 1M
qemu-io -c 'write -q 0 1M' damaged.qcow2
truncate -s 300000 damaged.qcow2
"$hospes" image convert -q -O vhd damaged.qcow2 out.vhd 2>said || {
    same "$(cat out.vhd)" precious
    [ ! -e out.vhd.part ] || same out.vhd.part nothing
}
"$hospes" image create -q -f qcow2 used.qcow2 1M
serve --write used.qcow2
fails 73 "$hospes" image convert -q -O qcow2 src.raw used.qcow2
unserve
"$hospes" image check used.qcow2 >out
fails 64 "$hospes" image convert -q src.raw ./src.raw

# Interrupted: no part stays.
qemu-img create -q -f raw big.raw 400M
python3 -c '
f = open("big.raw", "r+b")
for i in range(400): f.write(bytes([i % 251 + 1]) * (1 << 20))'
"$hospes" image convert -q -O qcow2 -c big.raw big.qcow2 &
part=$!
for _ in $(seq 100); do
    [ ! -e big.qcow2.part ] || break
    sleep 0.01
done
kill -INT "$part" 2>/dev/null || kill -TERM "$part" 2>/dev/null || :
wait "$part" || :
[ ! -e big.qcow2.part ] || same big.qcow2.part nothing

# Verified when asked; mended by its own command.
"$hospes" image convert -q --verify -O vdi src.raw out.vdi
"$hospes" image repair out.vdi >said
grep -q '^errors *0$' said
