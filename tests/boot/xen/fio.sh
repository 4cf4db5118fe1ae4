# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# fio writes at random, mixes sizes, trims, and reads all of it back without an error.
variants='cpus=1,o=portable cpus=4,o=portable cpus=4,host_kernel=6.12'
kernel=6.1-cloud
modules='xen-blkfront'
programs='/usr/bin/fio'
args="--persona xen${o:+,$o} --cpus ${cpus:-1} --nic none"
append="mib=${mib:-16}"
timeout=500

host()
{
    local code=0
    # In memory: what is slow here is the emulated host's file system. A path with a comma would need two.
    dir=$(mktemp -d /dev/shm/fio.XXXXXX) && cd "$dir" || exit
    truncate -s 256M disk.img
    run --disk disk.img,format=raw,write </dev/null || code=$?
    cd / && rm -r "$dir"
    return $code
}

guest()
{
    n=0
    while [ ! -e /dev/xvda ] && [ $n -lt 50 ]; do
        n=$((n + 1))
        sleep 0.2
    done
    mib=$(sed -n 's/.*[ ]mib=\([0-9]*\).*/\1/p' /proc/cmdline)
    for job in 'rw=randwrite bsrange=512-256k iodepth=32' 'rw=randrw bsrange=4k-64k iodepth=8' \
        'rw=randtrimwrite bs=64k iodepth=4' 'rw=randwrite bs=4k iodepth=1 fsync=16'; do
        verify='verify=crc32c verify_fatal=1 do_verify=1'
        case $job in *trim*) verify= ;; esac
        set --
        for word in $job $verify; do
            set -- "$@" "--$word"
        done
        fio --name=job --filename=/dev/xvda --ioengine=libaio --direct=1 --size=256M --io_size="${mib}M" \
            --randrepeat=1 "$@" >/tmp/fio 2>&1 || {
            tail -n 5 /tmp/fio
            failure "fio $job"
        }
    done
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'xvda|vbd|I/O error' && failure "complaints in dmesg"
    success
}
