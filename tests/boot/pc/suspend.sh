# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# Suspend to RAM: the clock wakes the guest, then the host does by the power button, and disk and network go on. Without
# firmware and, from a disk, by SeaBIOS.
variants='cpus=2 by=bios'
kernel=6.1
modules='virtio_pci virtio_blk virtio_net ata_piix sr_mod'
timeout=400

host()
{
    local vm code=0 n=0
    cd "$work" || exit
    export TMPDIR=$work HOSPES_RUNTIME=$work/run
    truncate -s 16M disk.img
    if [ -n "${by:-}" ]; then
        "$top/tools/mkbootdisk.sh" disk.img "$kernel_image" "$initrd" "console=ttyS0 panic=-1" || return 1
        set -- disk.img,format=raw
    else
        set -- --kernel "$kernel_image" --initrd "$initrd" --append "console=ttyS0 panic=-1" --disk disk.img,format=raw
    fi
    "$hospes" run --host kvm --persona kvm --cpus "${cpus:-1}" --name sleeper --log log "$@" </dev/null >console.txt &
    vm=$!
    while ! grep -q 'sleeps again' console.txt && [ $n -lt 1500 ] && kill -0 $vm 2>/dev/null; do
        sleep 0.2
        n=$((n + 1))
    done
    n=0
    while ! "$hospes" info sleeper | grep -q asleep && [ $n -lt 300 ] && kill -0 $vm 2>/dev/null; do
        sleep 0.2
        n=$((n + 1))
    done
    ! "$hospes" stop --timeout 5 sleeper || echo "verdict: failure a guest that sleeps was stopped"
    "$hospes" ask sleeper wake || { kill $vm; echo "verdict: failure it cannot be woken"; }
    wait $vm || code=$?
    cat console.txt log
    return $code
}

guest()
{
    local n=0 before
    while [ ! -b /dev/vda ] && [ $n -lt 50 ]; do
        usleep 100000
        n=$((n + 1))
    done
    grep -q mem /sys/power/state || failure "no suspend: $(cat /sys/power/state)"
    echo deep >/sys/power/mem_sleep || failure "no deep sleep: $(cat /sys/power/mem_sleep)"
    ip link set eth0 up
    udhcpc -i eth0 -n -q -s /bin/true >/dev/null || failure "no network before"
    before=$(md5sum </dev/vda)
    echo +6 >/sys/class/rtc/rtc0/wakealarm || failure "the clock takes no alarm"
    echo mem >/sys/power/state || failure "the guest cannot sleep"
    echo "woken by the clock"
    echo 3 >/proc/sys/vm/drop_caches
    want "the disk after sleep" "$(md5sum </dev/vda)" "$before"
    udhcpc -i eth0 -n -q -s /bin/true >/dev/null || failure "no network after"
    want "processors after sleep" "$(cat /sys/devices/system/cpu/online)" "$(cat /sys/devices/system/cpu/present)"
    echo "sleeps again"
    echo mem >/sys/power/state || failure "the guest cannot sleep twice"
    want "the button's wake-up" "$(dmesg | grep -c 'PM: suspend exit')" 2
    success
}
