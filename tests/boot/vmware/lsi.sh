# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A file system on a disk of LSI Logic's controllers keeps what is written.
variants='bus=lsilogic,cpus=1 bus=lsilogic,cpus=4 bus=lsisas1068,cpus=1 bus=lsisas1068,cpus=4'
kernel=6.1
case ${bus:-lsilogic} in
lsilogic) driver=mptspi ;;
*) driver=mptsas ;;
esac
modules="$driver sd_mod crc32c_generic ext4"
programs='/usr/sbin/mkfs.ext4'
args="--cpus ${cpus:-1}"
timeout=400

host()
{
    cd "$work" || exit # a path with a comma would need two
    truncate -s 256M disk.img
    truncate -s 192M other.img
    run --persona vmware --nic none --disk "disk.img,format=raw,write,bus=$bus" \
        --disk "other.img,format=raw,write,bus=$bus,unit=9" </dev/null
}

guest()
{
    local n=0 small=sdb # disks are looked at side by side, so that either may be first
    while [ ! -b /dev/sda ] || [ ! -b /dev/sdb ]; do
        [ $n -lt 30 ] || failure "no disks: $(dmesg | grep -i -E 'mpt|ioc0' | tail -n 5)"
        sleep 1
        n=$((n + 1))
    done
    [ "$(cat /sys/block/sdb/size)" = 393216 ] || small=sda
    want "the other disk's size" "$(cat /sys/block/$small/size)" 393216
    want "the disk's maker" "$(tr -d ' ' </sys/block/sda/device/vendor)" VMware
    dmesg | grep -q "ioc0: LSI.* FwRev=01032920h, Ports=1, MaxQ=128" || failure "not introduced: $(dmesg | grep ioc0)"
    if [ -d /sys/bus/pci/drivers/mptspi ]; then
        readlink /sys/block/$small | grep -q '/0:0:9:0/' || failure "place: $(readlink /sys/block/$small)"
    else
        want "disks behind phys" "$(find /sys/class/sas_end_device -mindepth 1 | wc -l)" 2
        want "the other disk's phy" "$(cat /sys/class/sas_device/end_device-0:1/phy_identifier)" 9
    fi
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'mpt|ioc0' && failure "complaints in dmesg"
    check_storage_filesystem 32
}
