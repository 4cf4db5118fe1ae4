# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A guest that started with one processor is given a second, works on it, and has both from the start after a restart.
kernel=6.1
modules='virtio_pci virtio_blk'
timeout=300

host()
{
    local code=0 n=0
    cd "$work" || exit
    truncate -s 16M one.img
    run --name cpus --cpus 1 --disk one.img,format=raw,write </dev/null >"$work/out" 2>"$work/err" &
    local pid=$!
    while ! grep -q 'wants a processor' "$work/out" && [ $n -lt 600 ] && kill -0 $pid 2>/dev/null; do
        sleep 0.5
        n=$((n + 1))
    done
    "$hospes" ask cpus cpus=3 && code=1 # it may come to two
    "$hospes" ask cpus cpus=2 || code=2
    wait $pid || code=$?
    cat "$work/out" "$work/err"
    [ $code = 0 ] || echo "verdict: failure code $code"
}

guest()
{
    local n=0
    if [ "$(head -c 5 /dev/vda)" = again ]; then
        want 'processors after the restart' "$(nproc)" 2
        success
    fi
    want 'processors at the start' "$(nproc)" 1
    want 'queues of the disk' "$(set -- /sys/block/vda/mq/*; echo $#)" 2
    echo 'the guest wants a processor'
    while [ ! -e /sys/devices/system/cpu/cpu1/online ]; do
        [ $n -lt 240 ] || failure 'no processor came'
        sleep 0.5
        n=$((n + 1))
    done
    echo 1 >/sys/devices/system/cpu/cpu1/online || failure "it does not start: $(dmesg | tail -n 5)"
    want 'processors now' "$(nproc)" 2
    want 'where a program runs that wants it' "$(taskset 2 sh -c 'cut -d " " -f 39 /proc/self/stat')" 1
    taskset 2 sh -c 'printf again | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null' || failure 'cannot write from it'
    sync
    reboot -f
}
