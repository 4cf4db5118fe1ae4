# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# Entropy, balloon and console answer a Debian guest; drivers come and go.
kernel=6.1-cloud
modules='virtio_pci virtio_rng virtio_balloon virtio_console'
timeout=180

host()
{
    local code=0
    run --persona "kvm,hvc=file=$work/hvc.txt" --nic none </dev/null || code=$?
    grep -q 'written by the guest' "$work/hvc.txt" || {
        echo "verdict: failure nothing came out of hvc0"
        return 1
    }
    return $code
}

guest()
{
    want "the source of entropy" "$(cat /sys/class/misc/hw_random/rng_current)" virtio_rng.0
    want "bytes of entropy" "$(dd if=/dev/hwrng bs=1 count=1000 2>/dev/null | wc -c)" 1000
    echo written by the guest >/dev/hvc0 || failure "hvc0"
    for round in 1 2 3 4 5; do
        for driver in /sys/bus/virtio/drivers/*; do
            for device in "$driver"/virtio*; do
                [ -e "$device" ] || continue
                name=${device##*/}
                echo "$name" >"$driver/unbind" || failure "unbind $name"
                echo "$name" >"$driver/bind" || failure "bind $name, round $round"
            done
        done
    done
    want "bytes of entropy" "$(dd if=/dev/hwrng bs=1 count=100 2>/dev/null | wc -c)" 100
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'virtio|hvc' && failure "complaints in dmesg"
    success
}
