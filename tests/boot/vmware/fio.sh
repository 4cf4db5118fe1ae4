# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# fio writes at random, mixes sizes, and reads all of it back without an error, on each SCSI controller. mib= makes it
# longer: mib=4096 is some ten minutes.
variants='bus=pvscsi,cpus=4 bus=lsilogic,cpus=2 bus=lsisas1068,cpus=2'
kernel=6.1
case ${bus:-pvscsi} in
pvscsi) modules='vmw_pvscsi sd_mod' ;;
lsilogic) modules='mptspi sd_mod' ;;
*) modules='mptsas sd_mod' ;;
esac
programs='/usr/bin/fio'
args="--cpus ${cpus:-1}"
append="mib=${mib:-8}"
timeout=500

host()
{
    local code=0
    # In memory: what is slow here is the emulated host's file system. A path with a comma would need two.
    dir=$(mktemp -d /dev/shm/fio.XXXXXX) && cd "$dir" || exit
    truncate -s 256M disk.img
    run --persona vmware --nic none --disk "disk.img,format=raw,write,bus=$bus" </dev/null || code=$?
    cd / && rm -r "$dir"
    return $code
}

guest()
{
    mib=$(sed -n 's/.*[ ]mib=\([0-9]*\).*/\1/p' /proc/cmdline)
    n=0
    while [ ! -b /dev/sda ] && [ $n -lt 100 ]; do
        sleep 0.5
        n=$((n + 1))
    done
    for job in 'rw=randwrite bsrange=512-256k iodepth=32' 'rw=randrw bsrange=4k-64k iodepth=8' \
        'rw=randwrite bs=4k iodepth=1 fsync=16'; do
        set --
        for word in $job verify=crc32c verify_fatal=1 do_verify=1; do
            set -- "$@" "--$word"
        done
        fio --name=job --filename=/dev/sda --ioengine=libaio --direct=1 --size=256M --io_size="${mib}M" \
            --randrepeat=1 "$@" >/tmp/fio 2>&1 || {
            tail -n 5 /tmp/fio
            failure "fio $job"
        }
    done
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'sda|pvscsi|mpt|I/O error' && failure "complaints in dmesg"
    success
}
