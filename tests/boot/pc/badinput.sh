# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# What cannot run is refused in one clear sentence with the right exit code, and no file is touched.

host()
{
    local bad=0
    cd "$work" || exit
    # expect CODE TEXT OPTION...: what `hospes run` says and how it ends
    expect()
    {
        local want=$1 text=$2 got=0
        shift 2
        timeout 60 "$hospes" run --host kvm "$@" </dev/null >out 2>err || got=$?
        grep '^hospes: ' err >said
        if [ $got != "$want" ] || ! grep -q -e "$text" said || [ "$(wc -l <said)" != 1 ]; then
            echo "run $*: exit $got instead of $want, said: $(cat err)"
            bad=$((bad + 1))
        fi
    }
    head -c 2000000 "$kernel_image" >short
    head -c 100000 /dev/zero >zeros
    : >empty
    truncate -s 1M disk.img
    mkdir folder
    sum=$(cat short zeros disk.img "$kernel_image" | sha256sum)

    expect 66 'no-such' --kernel no-such
    expect 66 'no-such' --kernel "$kernel_image" --initrd no-such
    expect 66 'no-such' --kernel "$kernel_image" --disk no-such
    expect 65 truncated --kernel short
    expect 65 zeros --kernel zeros
    expect 65 empty --kernel empty
    expect 65 folder --kernel folder
    expect 65 folder --kernel "$kernel_image" --disk folder
    expect 64 'use less' --kernel "$kernel_image" --memory 4T
    expect 64 '1 to 255' --kernel "$kernel_image" --cpus 256
    expect 64 '1 to 255' --kernel "$kernel_image" --cpus 0
    expect 64 'no pvscsi bus' --kernel "$kernel_image" --disk disk.img,format=raw,bus=pvscsi
    expect 64 wibble --kernel "$kernel_image" --disk disk.img,format=raw,wibble=1
    expect 65 'truncated\|probed\|VHDX\|format' --kernel "$kernel_image" --disk zeros,format=vhdx

    # Somebody who may not use /dev/kvm.
    if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && [ "$(stat -c %a /dev/kvm)" != 666 ]; then
        chmod 755 "$work"
        bare=$hospes
        hospes=$work/nobody
        printf '#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups %s "$@"\n' "$bare" >"$hospes"
        chmod 755 "$hospes"
        expect 69 'no permission on /dev/kvm' --kernel "$kernel_image" --nic none
        hospes=$bare
    fi

    # Another process has the disk, or the port.
    ("$hospes" run --host kvm --name holder --kernel "$kernel_image" --disk disk.img,format=raw,write \
        --nic user,forward=tcp:127.0.0.1:47111-:22 --append 'console=ttyS0 panic=0' >held 2>&1) &
    for _ in $(seq 100); do
        grep -q '^control' held && break
        sleep 0.2
    done
    expect 73 'disk.img' --kernel "$kernel_image" --disk disk.img,format=raw,write --nic none
    expect 73 '47111' --kernel "$kernel_image" --nic user,forward=tcp:127.0.0.1:47111-:22
    expect 73 'holder' --name holder --kernel "$kernel_image" --nic none
    "$hospes" stop --now holder >/dev/null
    wait

    [ "$(cat short zeros disk.img "$kernel_image" | sha256sum)" = "$sum" ] || {
        echo "a file was touched"
        bad=$((bad + 1))
    }
    if [ "$bad" = 0 ]; then
        echo 'verdict: success'
    else
        echo "verdict: failure $bad answers are wrong"
    fi
}

guest()
{
    success
}
