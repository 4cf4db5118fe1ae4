# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# Systems that nobody made for us start from their own media: memtest86+ from a floppy, iPXE from a CD-ROM. A floppy without
# a boot signature is passed by.
variants='media=floppy media=cdrom media=unsigned'
timeout=300

# until_said TEXT: the console has it; then the plug is pulled.
until_said()
{
    local n=0 vm=$1
    while ! grep -q "$2" console.txt; do
        if [ $n -ge 1000 ] || ! kill -0 "$vm" 2>/dev/null; then
            strings console.txt | tail -n 30
            echo "verdict: failure the console never said '$2'"
            kill "$vm" 2>/dev/null
            return 0
        fi
        sleep 0.2
        n=$((n + 1))
    done
    "$hospes" stop --now media >&2
    wait "$vm"
    echo "verdict: success"
}

host()
{
    cd "$work" || exit
    export TMPDIR=$work
    case $media in
    floppy)
        mformat -C -i a.img -f 1440 -v BOOT :: && mcopy -i a.img /boot/memtest86+x64.bin ::memtest || return 1
        printf 'SERIAL 0 115200\nDEFAULT m\nLABEL m\n  LINUX memtest\n  APPEND console=ttyS0,115200\n' >syslinux.cfg
        mcopy -i a.img syslinux.cfg ::syslinux.cfg && syslinux -i a.img || return 1
        "$hospes" run --host kvm --persona bare --name media --memory 64M --nic none --floppy a.img,format=raw \
            </dev/null >console.txt &
        until_said $! 'Memtest86+ v'
        ;;
    unsigned)
        printf '\372\364\353\375' >a.img # cli, hlt: it would say nothing more
        truncate -s 1440K a.img
        "$hospes" run --host kvm --persona bare --name media --memory 64M --nic none --floppy a.img,format=raw \
            </dev/null >console.txt &
        until_said $! 'not a bootable disk'
        ;;
    cdrom)
        "$hospes" run --host kvm --persona kvm --name media --nic user --cdrom /usr/lib/ipxe/ipxe.iso </dev/null \
            >console.txt &
        until_said $! '10.0.2.15'
        ;;
    esac
}

guest() { error "media have their own"; }
