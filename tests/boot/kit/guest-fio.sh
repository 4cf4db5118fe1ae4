# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Sourced by /init in the guests of boot tests that have fio: what it is asked to do to a disk.

# fio_job DISK-OR-FILE WORD...: one job on 256 MiB; words as in a job file.
fio_job()
{
    local disk=$1 word args=''
    shift
    for word; do
        args="$args --$word"
    done
    # shellcheck disable=SC2086 # a list of words
    fio --name=job --filename="$disk" --ioengine=libaio --direct=1 --size=256M $args >/tmp/fio 2>&1 && return
    tail -n 5 /tmp/fio
    failure "fio $*"
}

fio_verify='verify=crc32c verify_fatal=1 do_verify=1'
fio_jobs='rw=randwrite,bsrange=512-256k,iodepth=32 rw=randrw,bsrange=4k-64k,iodepth=8 rw=randwrite,bs=4k,iodepth=1,fsync=16'

# fio_once DEVICE MIB [trims]: writes MIB at random in mixed sizes, and discards where the disk can; each job reads back.
fio_once()
{
    local job
    for job in $fio_jobs; do
        # shellcheck disable=SC2046,SC2086 # lists of words
        fio_job "$1" "io_size=${2}M" randrepeat=1 $(echo "$job" | tr , ' ') $fio_verify
    done
    [ "${3:-}" != trims ] || fio_job "$1" "io_size=${2}M" randrepeat=1 rw=randtrimwrite bs=64k iodepth=4
}

# fio_round DEVICE N: the same with the seeds of round N. Discards come before each job, so that reading back finds each
# block's last state. Not every disk discards.
fio_round()
{
    local job discards
    discards=$(cat "/sys/block/${1##*/}/queue/discard_max_bytes")
    for job in $fio_jobs; do
        [ "$discards" = 0 ] || fio_job "$1" io_size=4M rw=randtrim bs=64k "randseed=$2"
        # shellcheck disable=SC2046,SC2086 # lists of words
        fio_job "$1" io_size=6M "randseed=$2" $(echo "$job" | tr , ' ') $fio_verify
    done
}

# fio_until DEVICE SECONDS [FILE]: rounds until the guest has run that long, one at least; and on 64 MiB of FILE.
fio_until()
{
    local round=0
    while [ $round = 0 ] || [ "$(cut -d. -f1 /proc/uptime)" -lt "$2" ]; do
        round=$((round + 1))
        fio_round "$1" $round
        # shellcheck disable=SC2086 # a list of words
        [ -z "${3:-}" ] || fio_job "$3" size=64M io_size=4M rw=randwrite bs=4k iodepth=4 fsync=16 $fio_verify
    done
    echo "fio: $round rounds in $(cut -d. -f1 /proc/uptime) s," \
        "$(awk '{ print int(($3 + $7) / 2048) " MiB in " $1 + $5 " requests" }' "/sys/block/${1##*/}/stat")"
}
