# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Does the disk keep what is written to it? Everything on it is lost.
#: name: storage
#: version: 5
#: owner: hospes
#: modules: crc32c_generic ext4

#: check: storage.verify
#: purpose: what is written is read back, past every cache of the guest
#: pass: the digest of 2 MiB at three places is that of what was written
#: source: the disk's own protocol
#: by: guest
#: mandatory: yes
#: needs: disk
#: seconds: 60
check_storage_verify()
{
    d=$(disk)
    [ -n "$d" ] || failure "there is no disk"
    dd if=/dev/urandom of=/tmp/pattern bs=64k count=32 2>/dev/null
    sum=$(sha256sum </tmp/pattern)
    for place in 0 24 56; do
        dd if=/tmp/pattern of="/dev/$d" bs=64k seek=$((place * 16)) conv=notrunc,fsync 2>/dev/null ||
            failure "writing to $d at $place MiB"
    done
    echo 3 >/proc/sys/vm/drop_caches
    for place in 0 24 56; do
        want "the digest at $place MiB" \
            "$(dd if="/dev/$d" bs=64k skip=$((place * 16)) count=32 2>/dev/null | sha256sum)" "$sum"
    done
    rm /tmp/pattern
    success
}

#: check: storage.filesystem
#: purpose: a file system on the disk keeps files across a mount
#: pass: a copy has the digest of its original, and the kernel does not complain
#: source: Linux Documentation/admin-guide/ext4.rst
#: by: guest
#: mandatory: yes
#: needs: disk
#: seconds: 60
check_storage_filesystem()
{
    d=$(disk)
    [ -n "$d" ] || failure "there is no disk"
    options=rw
    [ "$(cat "/sys/block/$d/queue/discard_max_bytes")" = 0 ] || options=discard
    if [ -x /bin/mkfs.ext4 ]; then
        mkfs.ext4 -q "/dev/$d" || failure "mkfs.ext4 on $d"
    else
        mke2fs "/dev/$d" >/dev/null 2>&1 || failure "mke2fs on $d"
    fi
    mkdir -p /mnt
    mount -t ext4 -o "$options" "/dev/$d" /mnt || failure "mount"
    dd if=/dev/urandom of=/mnt/a bs=1M count="${1:-2}" 2>/dev/null || failure "writing a file"
    sum=$(sha256sum </mnt/a)
    cp /mnt/a /mnt/b || failure "copying a file"
    umount /mnt || failure "umount"
    mount -t ext4 -o "$options" "/dev/$d" /mnt || failure "the second mount"
    want "the digest of the copy" "$(sha256sum </mnt/b)" "$sum"
    rm /mnt/a /mnt/b
    sync
    umount /mnt || failure "the second umount"
    found=$(complaints "$d|EXT4|virtio|pvscsi|blkfront|storvsc|I/O error" | head -n 1)
    [ -z "$found" ] || failure "the kernel complains: $found"
    success
}

#: check: storage.discard
#: purpose: a disk that takes back space harms nothing else
#: pass: after blkdiscard of 1 MiB each 64 KiB of it are zeroes or as they were, and the MiB behind it is as it was; skipped where the disk offers none
#: source: SCSI SBC-4, UNMAP command (a block that stays mapped keeps its data); virtio 1.2, 5.2.6.2 (discard)
#: by: guest
#: needs: disk
check_storage_discard()
{
    d=$(disk)
    [ -n "$d" ] || failure "there is no disk"
    [ "$(cat "/sys/block/$d/queue/discard_max_bytes")" -gt 0 ] || skip "the disk offers no discard"
    dd if=/dev/urandom of=/tmp/pattern bs=64k count=32 2>/dev/null
    dd if=/tmp/pattern of="/dev/$d" bs=64k conv=notrunc,fsync 2>/dev/null || failure "writing"
    blkdiscard -o 0 -l 1048576 "/dev/$d" || failure "blkdiscard"
    echo 3 >/proc/sys/vm/drop_caches
    zeroes=$(dd if=/dev/zero bs=64k count=1 2>/dev/null | sha256sum)
    i=0
    while [ $i -lt 16 ]; do
        now=$(dd if="/dev/$d" bs=64k skip=$i count=1 2>/dev/null | sha256sum)
        [ "$now" = "$zeroes" ] ||
            want "what is left of block $i" "$now" "$(dd if=/tmp/pattern bs=64k skip=$i count=1 2>/dev/null | sha256sum)"
        i=$((i + 1))
    done
    want "the MiB behind it" "$(dd if="/dev/$d" bs=64k skip=16 count=16 2>/dev/null | sha256sum)" \
        "$(dd if=/tmp/pattern bs=64k skip=16 count=16 2>/dev/null | sha256sum)"
    rm /tmp/pattern
    success
}

#: check: storage.parallel
#: purpose: many requests at once do not disturb each other
#: pass: eight writers read back what each wrote
#: source: the disk's own protocol
#: by: guest
#: level: full
#: mandatory: yes
#: needs: disk
#: seconds: 120
check_storage_parallel()
{
    d=$(disk)
    [ -n "$d" ] || failure "there is no disk"
    for job in 0 1 2 3 4 5 6 7; do
        (
            dd if=/dev/urandom of="/tmp/p$job" bs=64k count=32 2>/dev/null
            dd if="/tmp/p$job" of="/dev/$d" bs=64k seek=$((job * 32)) conv=notrunc,fsync 2>/dev/null
        ) &
    done
    wait
    echo 3 >/proc/sys/vm/drop_caches
    for job in 0 1 2 3 4 5 6 7; do
        dd if="/dev/$d" bs=64k skip=$((job * 32)) count=32 2>/dev/null | cmp -s - "/tmp/p$job" ||
            failure "writer $job reads something else than it wrote"
        rm "/tmp/p$job"
    done
    success
}

#: check: storage.powercut
#: purpose: what was flushed is there after the power failed
#: pass: after a pulled plug, the blocks that fsync covered have their digests
#: source: SCSI SBC-4, SYNCHRONIZE CACHE; virtio 1.2, 5.2.6.2
#: by: host powercut
#: level: full
#: mandatory: yes
#: needs: disk agent
#: seconds: 90
check_storage_powercut()
{
    d=$(disk)
    [ -n "$d" ] || failure "there is no disk"
    case $1 in
    write)
        # Numbered blocks, each synced; the last number that was synced is said aloud.
        i=0
        while [ $i -lt 40 ]; do
            lines "block $i" 65536 | dd of="/dev/$d" bs=64k seek=$i conv=notrunc,fsync 2>/dev/null ||
                failure "writing block $i"
            i=$((i + 1))
        done
        # Not synced: may be lost, must not disturb the others.
        lines unsynced 4194304 | dd of="/dev/$d" bs=64k seek=40 conv=notrunc 2>/dev/null
        success
        ;;
    check)
        i=0
        while [ $i -lt 40 ]; do
            want "block $i" "$(dd if="/dev/$d" bs=64k skip=$i count=1 2>/dev/null | sha256sum)" \
                "$(lines "block $i" 65536 | sha256sum)"
            i=$((i + 1))
        done
        success
        ;;
    esac
}

#: check: storage.resize
#: purpose: a disk that grew between two starts is seen with its new size
#: pass: the block device has the new number of sectors
#: source: the disk's own protocol
#: by: host resize 16M
#: level: full
#: needs: disk agent
#: seconds: 90
check_storage_resize()
{
    d=$(disk)
    [ -n "$d" ] || failure "there is no disk"
    want "the number of bytes" "$(($(cat "/sys/block/$d/size") * 512))" "$1"
    success
}

#: check: storage.hotplug
#: purpose: a disk that comes while the guest runs is found, keeps what is written to it, and goes again
#: pass: a disk of the new size appears, 1 MiB is read back from it past every cache, and it is gone once it is taken away
#: source: virtio 1.2, 5.6.6.3 (scsi); Linux drivers/scsi/storvsc_drv.c (ENUMERATE_BUS), drivers/scsi/vmw_pvscsi.h (messages)
#: by: host hotplug 24M
#: level: full
#: needs: disk agent
#: seconds: 90

#: check: storage.pciplug
#: purpose: a disk that is a PCI device of its own comes and goes
#: pass: as storage.hotplug, and the guest gives up its slot
#: source: ACPI 6.4, 5.6.6 and 6.3 (device insertion, _EJ0); virtio 1.2, 4.1
#: by: host hotplug 24M function
#: level: full
#: personas: kvm
#: needs: disk agent
#: seconds: 90
check_storage_hotplug() { hotplug "$@"; }
check_storage_pciplug() { hotplug "$@"; }
# of_size BYTES: the disk that has so many.
of_size()
{
    for d in $(disks); do
        [ $(($(cat "/sys/block/$d/size") * 512)) = "$1" ] && echo "$d" && return
    done
    return 1
}
not_of_size() { ! of_size "$1"; }
hotplug()
{
    case $1 in
    come)
        wait_for 60 of_size "$2" || failure "no disk of $2 bytes came"
        d=$(of_size "$2")
        dd if=/dev/urandom of=/tmp/pattern bs=64k count=16 2>/dev/null
        dd if=/tmp/pattern of="/dev/$d" bs=64k seek=8 conv=notrunc,fsync 2>/dev/null || failure "writing to $d"
        echo 3 >/proc/sys/vm/drop_caches
        want "the digest on $d" "$(dd if="/dev/$d" bs=64k skip=8 count=16 2>/dev/null | sha256sum)" \
            "$(sha256sum </tmp/pattern)"
        ;;
    gone)
        wait_for 60 not_of_size "$2" || failure "the disk of $2 bytes is there still"
        dd if="/dev/$(disk)" of=/dev/null bs=64k count=1 iflag=direct 2>/dev/null ||
            failure "the disk that stays does not answer any more"
        ;;
    esac
    success
}
