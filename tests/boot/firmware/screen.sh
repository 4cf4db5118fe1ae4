# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A guest's screen and keyboard from outside: its boot loader and its console are seen, text is typed to both.
variants='persona=bare persona=hyperv'
kernel=6.1
timeout=300
case ${persona:-} in
hyperv) modules='hv_vmbus hyperv_keyboard' ;;
*) modules='' ;;
esac

# await TEXT PID: until the console has it.
await()
{
    local n=0
    while ! grep -q "$1" console.txt; do
        if [ $n -ge 1200 ] || ! kill -0 "$2"; then
            cat console.txt
            echo "verdict: failure the console never said '$1'"
            return 1
        fi
        sleep 0.1
        n=$((n + 1))
    done
}

host()
{
    local code=0 vm
    cd "$work" || exit
    export TMPDIR=$work
    "$top/tools/mkbootdisk.sh" disk.img "$kernel_image" "$initrd" "console=tty0 console=ttyS0 quiet panic=-1" prompt ||
        return 1
    "$hospes" run --host kvm --persona "$persona" --name seen --nic none disk.img,format=raw </dev/null >console.txt &
    vm=$!
    # The loader waits for what to start, and the screen shows its words.
    await 'boot:' $vm || return 1
    "$hospes" screenshot seen loader.png && colours loader.png || code=1
    case $(colours loader.png) in
    "720 400 000000="*" aaaaaa="*) ;;
    *) echo "verdict: failure the loader's screen is not white on black"; kill $vm; return 1 ;;
    esac
    "$hospes" type seen 'linux\n' || code=1
    await 'all is red' $vm || return 1
    "$hospes" screenshot seen red.png && colours red.png || code=1
    case $(colours red.png) in
    "720 400 aa0000="*) ;;
    *) echo "verdict: failure the screen is not red"; kill $vm; return 1 ;;
    esac
    "$hospes" type seen 'Hospes 42!\n' || code=1
    wait $vm || code=$?
    cat console.txt
    return $code
}

guest()
{
    [ -d /sys/bus/vmbus ] && sleep 1 # for its keyboard
    printf '\033[41m\033[2J' >/dev/tty0
    (sleep 1 && echo "all is red" >/dev/ttyS0) &
    read -r line </dev/tty0
    want "what was typed" "$line" "Hospes 42!"
    success
}
