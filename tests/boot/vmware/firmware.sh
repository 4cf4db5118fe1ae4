# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A whole disk starts by itself from each SCSI controller.
variants='bus=pvscsi bus=lsilogic bus=lsisas1068'
kernel=6.1
modules='vmw_pvscsi mptspi mptsas sd_mod'
timeout=400

host()
{
    cd "$work" || exit
    export TMPDIR=$work
    "$top/tools/mkbootdisk.sh" disk.img "$kernel_image" "$initrd" "console=ttyS0 quiet panic=-1" || return 1
    "$hospes" run --host kvm --persona vmware --nic none --disk "disk.img,format=raw,bus=$bus" </dev/null
}

guest()
{
    local n=0
    while [ ! -b /dev/sda1 ]; do
        [ $n -lt 30 ] || failure "no disk with a partition: $(echo /dev/s*)"
        sleep 1
        n=$((n + 1))
    done
    want "the partition" "$(cat /sys/block/sda/sda1/start)" 2048
    success
}
