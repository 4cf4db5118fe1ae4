# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2016,SC2034,SC2154 # read by the runner
# Systems that nobody made for hospes, from their own media. Debian's package brings memtest86+; the others lie in the
# folder that HOSPES_MEDIA names, under these names (docs/devel/testing.md tells where they come from):
#   freedos.img kolibri.img openbsd.img   floppies
#   linux-2.6.10                          the kernel of Ubuntu 5.04 for amd64
#   initrd-2.6.10                         its initial RAM disk, of which the IDE modules are taken
#   tulip-2.6.10.ko                       its driver of the DEC 21140; without it there is no network
#   xen.gz                                the hypervisor
variants='guest=memtest guest=memtest32 guest=xen guest=linux-2.6.10 guest=freedos guest=kolibri guest=openbsd'
kernel=6.1
timeout=900

# start OPTION...: hospes in the background, as $vm, with the network $card.
start()
{
    "$hospes" run --host kvm --name other --persona bare --nic "$card" "$@" </dev/null >console.txt &
    vm=$!
}

# until_true SECONDS WHAT COMMAND...: the command holds before the guest ends or time is up.
until_true()
{
    local n=$(($1 * 2)) what=$2
    shift 2
    while ! "$@"; do
        n=$((n - 1))
        if [ $n -le 0 ] || ! kill -0 "$vm" 2>/dev/null; then
            strings console.txt | tail -n 40
            "$hospes" screenshot --text other
            echo "verdict: failure $what was not seen"
            kill "$vm" 2>/dev/null
            return 1
        fi
        sleep 0.5
    done
}

says() { grep -aq "$1" console.txt; }
shows() { "$hospes" screenshot --text other 2>/dev/null | grep -q "$1"; }

# many_colours: a picture with more than 40 of them is a desktop.
many_colours()
{
    local said
    "$hospes" screenshot other now.png >/dev/null 2>&1 && said=$(colours now.png) &&
        [ "${said##*of }" -gt 40 ]
}

plug()
{
    "$hospes" stop --now other >&2
    wait "$vm"
    echo "verdict: success"
}

# medium NAME: its path, or a skip.
medium()
{
    file=${HOSPES_MEDIA:-/nowhere}/$1
    [ -e "$file" ] || { echo "verdict: skip there is no $1 in HOSPES_MEDIA"; return 1; }
}

# A program for a Linux that glibc has left behind, as initramfs, with its modules in the order of their numbers.
old_initrd()
{
    local n=1 name
    command -v musl-gcc >/dev/null || { echo "verdict: skip there is no musl-gcc (package musl-tools)"; return 1; }
    mkdir -p root/dev root/modules && musl-gcc -static -O2 -o root/init "$top/tests/boot/kit/old-init.c" &&
        mknod root/dev/console c 5 1 || return 1
    medium initrd-2.6.10 || return 1
    fsck.cramfs --extract=old "$file" >&2 || return 1
    for name in ide-core piix ide-disk ide-generic; do
        cp "$(find old -name $name.ko)" root/modules/$n-$name.ko || return 1
        n=$((n + 1))
    done
    if medium tulip-2.6.10.ko >/dev/null; then
        cp "$file" root/modules/$n-tulip.ko && card=user,model=dec21140
    fi
    (cd root && find . | cpio -o -H newc 2>/dev/null | gzip) >initrd
}

# A first domain that says one line and goes.
dom0_initrd()
{
    mkdir -p root/bin root/proc root/sys && cp "$(command -v busybox)" root/bin/ || return 1
    printf '%s\n' '#!/bin/busybox sh' '/bin/busybox mount -t sysfs s /sys' \
        'echo "first domain: $(/bin/busybox cat /sys/hypervisor/type)"' '/bin/busybox poweroff -f' >root/init
    chmod +x root/init && (cd root && find . | cpio -o -H newc 2>/dev/null | gzip) >initrd
}

host()
{
    local code=0 file old card=none
    cd "$work" || exit
    export TMPDIR=$work
    case $guest in
    memtest*)
        case $guest in memtest32) file=/boot/memtest86+ia32.bin ;; *) file=/boot/memtest86+x64.bin ;; esac
        start --memory 64M --kernel "$file" --append console=ttyS0,115200
        until_true 240 'a test that runs' says 'Status: Testing' && plug
        ;;
    xen)
        medium xen.gz || return 0
        dom0_initrd || return 1
        # Emulated by QEMU, SMAP lets the first domain's page faults end it; see docs/reference/softhost.md.
        start --memory 1G --kernel "$file" --append 'com1=115200,8n1 console=com1 smap=0' \
            --module "$kernel_image,console=hvc0 quiet" --module initrd
        until_true 600 'the first domain' says 'first domain: xen' || return 0
        wait $vm || code=$?
        [ $code = 0 ] && echo "verdict: success" || echo "verdict: failure Xen ended with $code, not by power off"
        ;;
    linux-2.6.10)
        medium linux-2.6.10 && old=$file && old_initrd || return 0
        truncate -s 64M disk.img
        # Its look whether the timer ticks by the I/O APIC takes 10 ms, in which a busy host may be late.
        start --memory 256M --cpus 1 --disk disk.img,format=raw,write --kernel "$old" --initrd initrd \
            --append 'console=ttyS0 noapic'
        until_true 240 'user space' says 'old guest: 2.6.10' || return 0
        [ $card = none ] || until_true 60 'an answer to ping' says 'the gateway answers' || return 0
        until_true 120 'the first half' says 'old guest: .*written and read' || return 0
        until_true 300 'the second half' says 'old guest: .*as it was before' || return 0
        wait $vm || code=$?
        [ $code = 0 ] && echo "verdict: success" || echo "verdict: failure it ended with $code, not by power off"
        ;;
    freedos)
        medium freedos.img || return 0
        start --memory 64M --floppy "$file"
        until_true 240 'a prompt' shows '^A:\\>' || return 0
        # Of the floppies with that name some have no program but the shell.
        "$hospes" type other 'set hospes=guest\nset\n' >&2
        until_true 60 'the environment' shows '^HOSPES=guest' && plug
        ;;
    kolibri)
        medium kolibri.img || return 0
        start --memory 256M --floppy "$file"
        until_true 240 'its blue menu' shows 'KolibriOS' || return 0
        "$hospes" type other '\n' >&2
        until_true 400 'a desktop' many_colours && plug
        ;;
    openbsd)
        medium openbsd.img || return 0
        start --memory 128M --floppy "$file"
        until_true 400 'the installer' shows 'nstall, (U)pgrade or (S)hell' || return 0
        "$hospes" type other 's\n' >&2
        until_true 60 'a shell' shows '^#' && plug
        ;;
    esac
}

guest() { error "media have their own"; }
