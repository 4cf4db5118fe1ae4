# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# Linux reads and writes a floppy by DMA, finds another in the drive, of half the size, writes to it, and then none.
kernel=6.1
modules='floppy'
timeout=240

# kept FILE OFFSET: is there what the guest wrote?
kept()
{
    [ "$(dd if="$1" bs=1 skip="$2" count=16 2>/dev/null)" = "written by Linux" ] ||
        echo "verdict: failure $1 has not what the guest wrote"
}

host()
{
    local code=0
    cd "$work" || exit
    dd if=/dev/urandom of=a.img bs=1k count=1440 2>/dev/null
    dd if=/dev/urandom of=b.img bs=1k count=720 2>/dev/null
    printf 'the first sector' | dd of=a.img conv=notrunc 2>/dev/null
    printf 'the other sector' | dd of=b.img conv=notrunc 2>/dev/null
    begin --name pc --persona bare --nic none --floppy a.img,format=raw,write
    wait_said 'wants another' && "$hospes" disc pc b.img,format=raw,write || code=1
    wait_said 'wants none' && "$hospes" disc --eject pc || code=2
    ended || code=$?
    [ $code = 0 ] || echo "verdict: failure code $code"
    kept a.img 737280
    kept b.img 368640
}

# holds TEXT: does the disk begin so?
holds() { [ "$(dd if=/dev/fd0 bs=16 count=1 2>/dev/null)" = "$1" ]; }

write_to() { printf 'written by Linux' | dd of=/dev/fd0 bs=512 seek="$1" conv=sync,fsync 2>/dev/null; }

guest()
{
    want "the first sector" "$(dd if=/dev/fd0 bs=16 count=1 2>/dev/null)" "the first sector"
    want "the floppy's size" "$(cat /sys/block/fd0/size)" 2880
    dd if=/dev/fd0 of=/tmp/all bs=18k 2>/dev/null || failure "cannot read it all"
    want "bytes read" "$(stat -c %s /tmp/all)" 1474560
    write_to 1440 || failure "cannot write"
    echo 'the guest wants another'
    wait_for 60 holds 'the other sector' || failure "the other disk was not seen"
    want "the other's size" "$(cat /sys/block/fd0/size)" 1440
    write_to 720 || failure "cannot write to the other"
    echo 'the guest wants none'
    # shellcheck disable=SC2317 # wait_for calls it
    empty() { ! dd if=/dev/fd0 of=/dev/null bs=512 count=1 2>/dev/null; }
    wait_for 60 empty || failure "it reads without a disk"
    success
}
