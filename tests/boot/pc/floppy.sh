# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# Linux reads and writes a floppy by DMA.
kernel=6.1
modules='floppy'
timeout=240

host()
{
    cd "$work" || exit
    dd if=/dev/urandom of=a.img bs=1k count=1440 2>/dev/null
    printf 'the first sector' | dd of=a.img conv=notrunc 2>/dev/null
    run --persona bare --nic none --floppy a.img,format=raw,write </dev/null || return
    [ "$(dd if=a.img bs=1 skip=737280 count=16 2>/dev/null)" = "written by Linux" ] ||
        echo "verdict: failure the image has not what the guest wrote"
}

guest()
{
    want "the first sector" "$(dd if=/dev/fd0 bs=16 count=1 2>/dev/null)" "the first sector"
    want "the floppy's size" "$(cat /sys/block/fd0/size)" 2880
    dd if=/dev/fd0 of=/tmp/all bs=18k 2>/dev/null || failure "cannot read it all"
    want "bytes read" "$(stat -c %s /tmp/all)" 1474560
    printf 'written by Linux' | dd of=/dev/fd0 bs=512 seek=1440 conv=sync,fsync 2>/dev/null || failure "cannot write"
    success
}
