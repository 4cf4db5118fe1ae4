# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# Firmware's menu: who presses Escape in time chooses what starts, on COM1 or on the screen's keyboard. Of two disks the
# second one is taken; each has a boot sector that says its letter on COM1 and powers the machine off. UEFI's menu is a
# screen of its own, whose "Boot Manager" starts a disk with GRUB.
variants='keys=serial keys=screen keys=screen,persona=xen keys=serial,boot=uefi'
kernel=6.1
modules='virtio_pci virtio_blk'
timeout=400

# press TEXT: as `hospes type` spells it.
press()
{
    # shellcheck disable=SC2059 # escapes are meant
    case $keys in
    serial) printf "$(echo "$1" | sed 's/\\e/\\033/g; s/\\n/\\r/g')" >&9 ;;
    *) "$hospes" type menu "$1" ;;
    esac
}

# await TEXT: until firmware has said it on COM1, or on the screen where it is not told of COM1.
await()
{
    local n=0
    until grep -aq "$1" console.txt || "$hospes" screenshot --text menu 2>/dev/null | grep -q "$1"; do
        if [ $n -ge 600 ] || ! kill -0 "$vm" 2>/dev/null; then
            cat -v console.txt
            "$hospes" screenshot --text menu
            echo "verdict: failure '$1' was not seen"
            kill "$vm" 2>/dev/null
            return 1
        fi
        sleep 0.3
        n=$((n + 1))
    done
}

# start OPTION...: with a keyboard on COM1, whose bytes come from descriptor 9.
start()
{
    mkfifo keys
    "$hospes" run --host kvm --name menu --nic none "$@" <keys >console.txt &
    vm=$!
    exec 9>keys
}

sectors()
{
    local menu=menu=40
    [ "${persona:-kvm}" != xen ] || menu=menu
    sector A a.img
    sector B b.img
    start --persona "${persona:-kvm}" --memory 64M --firmware "bios,$menu" --disk a.img,format=raw --disk b.img,format=raw
    await 'Press ESC for boot menu' && press '\e' && await 'Select boot device' && press 2 || return 0
    wait "$vm" || echo "verdict: failure exit code $?"
    cat -v console.txt
    case $(tail -c 1 console.txt) in
    B) echo "verdict: success" ;;
    *) echo "verdict: failure the second disk did not start" ;;
    esac
}

uefi()
{
    "$top/tools/mkefidisk.sh" disk.img "$kernel_image" "$initrd" "console=ttyS0 panic=-1" || return 1
    start --persona kvm --firmware uefi,menu=40 --nvram none --disk disk.img,format=raw
    # It has no word for who is to press Escape, and takes one that stands alone.
    until grep -aq 'Boot Manager' console.txt; do
        kill -0 "$vm" 2>/dev/null && ! grep -aq 'GRUB starts' console.txt || {
            cat -v console.txt
            echo "verdict: failure it started without waiting for a key"
            return 0
        }
        press '\e'
        sleep 4
    done
    # Language, Device Manager, Boot Manager
    press '\e[B' && sleep 1 && press '\e[B' && sleep 1 && press '\n'
    await 'Boot Manager Menu' && press '\n' && await 'GRUB starts' || return 0
    wait "$vm" || echo "verdict: failure exit code $?"
    cat -v console.txt | tail -n 40
    tr -d '\r' <console.txt | grep -a '^verdict: '
}

host()
{
    cd "$work" || exit
    export TMPDIR=$work
    case ${boot:-} in
    uefi) uefi ;;
    *) sectors ;;
    esac
}

guest() { success; }
