#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuse.sh HOSPES - `hospes image serve --fuse`: a disk as a file, for programs that know only files.
# shellcheck source=tests/image/kit.sh
. "$(dirname "$0")/kit.sh"
begin "$1" qemu-img qemu-io fusermount3 cmp
[ -w /dev/fuse ] || {
    echo "skip: /dev/fuse is not there, or not for this user"
    exit 77
}

# mounted FILE OPTION... : serves at folder/FILE
mounted()
{
    file=$1
    shift
    "$hospes" image serve --fuse folder "$@" 2>serve.log &
    served=$!
    for _ in $(seq 3000); do
        [ ! -e "folder/$file" ] || return 0
        kill -0 "$served" 2>/dev/null || break
        sleep 0.02
    done
    if grep -q 'cannot mount' serve.log && [ "$(id -u)" = 0 ]; then
        echo "skip: this root may not mount: $(cat serve.log)"
        exit 77
    fi
    cat serve.log
    return 1
}

mkdir folder
qemu-img create -q -f raw src.raw 21M
qemu-io -f raw -c 'write -q -P 5 1M 3M' -c 'write -q -P 6 20M 1M' src.raw
qemu-img convert -f raw -O qcow2 src.raw a.qcow2

mounted a.raw a.qcow2
cmp folder/a.raw src.raw
fails any dd if=src.raw of=folder/a.raw bs=1M count=1 conv=notrunc
fails any rm folder/a.raw
fails any touch folder/b
cp --sparse=always folder/a.raw copy.raw
cmp copy.raw src.raw
unserve
[ ! -e folder/a.raw ]

# Any offset and length; what fsync() promised is in the image when the server is killed.
mounted a.raw --write a.qcow2
cp src.raw new.raw
for to in folder/a.raw new.raw; do
    printf 'some bytes' | dd of=$to bs=1 seek=3000001 conv=notrunc,fsync status=none
    fallocate -p -o 1048576 -l 500000 $to
done
dd if=folder/a.raw of=/dev/null bs=1M status=none
sync -f folder/a.raw
python3 -c 'import os; os.fsync(os.open("folder/a.raw", os.O_RDWR))'
fails any truncate -s 1M folder/a.raw
kill -9 "$served"
wait "$served" || :
served=
fusermount3 -u folder
qemu-img compare -q -f raw -F qcow2 new.raw a.qcow2

# As another format; unmounting ends the server.
mounted a.vhdx --as vhdx a.qcow2
qemu-img compare -q -f raw -F vhdx new.raw folder/a.vhdx
fusermount3 -u folder
wait "$served"
served=

fails 66 "$hospes" image serve --fuse nowhere a.qcow2
fails 64 "$hospes" image serve --fuse folder --nbd unix=x a.qcow2
