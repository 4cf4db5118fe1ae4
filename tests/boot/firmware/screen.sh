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

# shows COLOURS ELSE PID: what the screen shows now.
shows()
{
    local seen
    "$hospes" screenshot seen seen.png
    seen=$(colours seen.png)
    echo "$seen"
    # shellcheck disable=SC2254 # a pattern
    case $seen in
    $1) ;;
    *) echo "verdict: failure $2"; kill "$3"; return 1 ;;
    esac
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
    shows "720 400 000000=* aaaaaa=*" "the loader's screen is not white on black" $vm || return 1
    "$hospes" type seen 'linux\n' || code=1
    await 'all is red' $vm || return 1
    shows "720 400 aa0000=*" "the screen is not red" $vm || return 1
    "$hospes" type seen 'Hospes 42!\n' || code=1
    wait $vm || code=$?
    cat console.txt
    return $code
}

guest()
{
    local keyboards=1 n=0
    [ ! -d /sys/bus/vmbus ] || keyboards=2
    # The kernel finds them while it goes on, and what is typed before it has is lost.
    while [ "$(grep -c keyboard /proc/bus/input/devices)" -lt $keyboards ] && [ $n -lt 300 ]; do
        usleep 100000
        n=$((n + 1))
    done
    printf '\033[41m\033[2J' >/dev/tty0
    (sleep 1 && echo "all is red" >/dev/ttyS0) &
    read -r line </dev/tty0
    want "what was typed" "$line" "Hospes 42!"
    success
}
