# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# Ten minutes of guest time: fio writes at random in mixed sizes, discards, and reads back, without
# one error. Not for every change.
variants='cpus=2,o=portable cpus=2,host_kernel=6.12'
kernel=6.1-cloud
modules='xen-blkfront'
programs='/usr/bin/fio'
args="--persona xen${o:+,$o} --cpus ${cpus:-2} --nic none"
append="seconds=${seconds:-600}"
timeout=3000

host()
{
    local code=0
    dir=$(mktemp -d /dev/shm/fio.XXXXXX) && cd "$dir" || exit
    truncate -s 256M disk.img
    run --disk disk.img,format=raw,write </dev/null || code=$?
    cd / && rm -r "$dir"
    return $code
}

guest()
{
    seconds=$(sed -n 's/.*[ ]seconds=\([0-9]*\).*/\1/p' /proc/cmdline)
    n=0
    while [ ! -e /dev/xvda ] && [ $n -lt 50 ]; do
        n=$((n + 1))
        sleep 0.2
    done
    round=0
    while [ "$(cut -d. -f1 /proc/uptime)" -lt "$seconds" ]; do
        round=$((round + 1))
        for job in 'rw=randwrite bsrange=512-256k iodepth=32' 'rw=randrw bsrange=4k-64k iodepth=8' \
            'rw=randwrite bs=4k iodepth=1 fsync=16'; do
            set --
            for word in $job; do
                set -- "$@" "--$word"
            done
            # First discards between them, so that reading back finds each block's last state.
            fio --name=trim --filename=/dev/xvda --ioengine=libaio --direct=1 --size=256M --io_size=16M \
                --rw=randtrim --bs=64k --randseed="$round" >/tmp/fio 2>&1 || failure "fio trim, round $round"
            fio --name=job --filename=/dev/xvda --ioengine=libaio --direct=1 --size=256M --io_size=24M \
                --randseed="$round" --verify=crc32c --verify_fatal=1 --do_verify=1 "$@" >/tmp/fio 2>&1 || {
                tail -n 5 /tmp/fio
                failure "fio $job, round $round"
            }
        done
    done
    echo "fio: $round rounds in $(cut -d. -f1 /proc/uptime) s," \
        "$(awk '{ print int(($3 + $7) / 2048) " MiB in " $1 + $5 " requests" }' /sys/block/xvda/stat)"
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'xvda|vbd|I/O error' && failure "complaints in dmesg"
    success
}
