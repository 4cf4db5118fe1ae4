#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# view.sh HOSPES - disks shown as images of other formats, as QEMU reads those.
# shellcheck source=tests/image/kit.sh
. "$(dirname "$0")/kit.sh"
begin "$1" qemu-img qemu-io nbdcopy

qemu-img create -q -f raw src.raw 41M
for at in 0 3 9 17 40; do
    qemu-io -f raw -c "write -q -P $((at + 1)) ${at}M $((at * 4 + 1))k" src.raw
done
"$hospes" image convert -q -O qcow2 -c src.raw src.qcow2
"$hospes" image convert -q -O vhd src.raw src.vhd

# as SOURCE FORMAT QEMU'S-NAME [OPTIONS]
as()
{
    serve --as "$2" ${4:+-o} ${4:+"$4"} "$1"
    nbdcopy "$uri" view
    qemu-img compare -q -f raw -F "$3" src.raw view || same bad "$2 of $1"
    case $3 in
    raw | vpc) ;;
    *) qemu-img check -q -f "$3" view || same damaged "$2 of $1" ;;
    esac
    "$hospes" image compare -q -F "$2" src.raw view
    unserve
}
formats=$("$hospes" image --help | sed -n '/^Formats:/,$p')
as src.raw raw raw
as src.raw vhd vpc subformat=fixed
as src.raw vdi vdi
as src.raw vdi vdi static=on
as src.raw qcow2 qcow2 cluster_size=2M
as src.raw vhdx vhdx subformat=fixed
for src in src.qcow2 src.vhd; do
    as $src vhd vpc
    as $src qcow2 qcow2
    as $src vhdx vhdx
    case $formats in
    *" vmdk "*) as $src vmdk vmdk ;;
    esac
done

# What is read of it directly, without a copy in between.
serve --as qcow2 src.vhd
qemu-img compare -q --image-opts driver=raw,file.filename=src.raw \
    "driver=qcow2,file.driver=nbd,file.server.type=unix,file.server.path=$work/socket"
unserve

# Written through: the disk changes, the tables stay.
cp src.raw changed.raw
qemu-io -f raw -c 'write -q -P 77 20M 64k' changed.raw
serve --write --as qcow2 src.raw
qemu-io -c 'write -q -P 77 20M 64k' -c 'flush' --image-opts \
    "driver=qcow2,file.driver=nbd,file.server.type=unix,file.server.path=$work/socket"
unserve
cmp src.raw changed.raw

fails 64 "$hospes" image serve --as nonsense --nbd unix=socket src.raw
grep -q 'no image format' said
fails 64 "$hospes" image serve --as vhd -o nonsense=1 --nbd unix=socket src.raw
grep -q nonsense said
