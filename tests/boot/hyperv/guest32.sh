# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# A guest of our own, in 32-bit mode: hypercalls, messages, a storage channel and its rings.
timeout=200
exit=1 # what the exit port of kvm-unit-tests makes of 0

host()
{
    cc -std=gnu11 -O2 -m32 -ffreestanding -fno-pic -fno-stack-protector -mno-sse -nostdlib -static \
        "-Wl,-T,$top/tools/bench/exits.ld" -Wl,--build-id=none -Wl,--no-warn-rwx-segments \
        -o "$work/guest32" "$top/tests/boot/hyperv/guest32.c" || {
        echo "verdict: error it does not compile"
        return 1
    }
    truncate -s 1M "$work/a.img"
    "$hospes" run --host kvm --persona hyperv --testdev --nic none --memory 64M --kernel "$work/guest32" \
        --disk "$work/a.img,format=raw,write" </dev/null
}

guest() { error "this guest has no init"; }
