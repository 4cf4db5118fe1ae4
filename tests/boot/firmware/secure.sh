# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# Secure Boot: a GRUB that nobody signed does not start, and the chain that Debian signs does: shim, GRUB, kernel, which
# sees that it was checked and locks itself down.
variants='persona=kvm,disk=unsigned persona=kvm,disk=signed persona=hyperv,disk=signed'
kernel=6.1
timeout=600
case ${persona:-} in
hyperv) modules='hv_vmbus hv_storvsc ahci sd_mod efivarfs' ;;
*) modules='virtio_pci virtio_blk efivarfs' ;;
esac

# What an unsigned loader ends in: firmware says why, and looks on. The plug is pulled then.
refused()
{
    local n=0
    "$hospes" run --host kvm --persona "$persona" --name secure --firmware uefi,secure --nvram none --nic none --log log \
        disk.img,format=raw </dev/null >console.txt &
    until grep -aqE 'Access Denied|GRUB starts|Security Violation' console.txt; do
        [ $n -lt 1500 ] || break
        kill -0 $! 2>/dev/null || break
        sleep 0.2
        n=$((n + 1))
    done
    "$hospes" stop --now secure >&2
    wait $!
    cat console.txt log
    if grep -aq 'GRUB starts' console.txt; then
        echo "verdict: failure a loader that nobody signed has started"
    elif grep -aqE 'Access Denied|Security Violation' console.txt; then
        echo "verdict: success"
    else
        echo "verdict: failure firmware did not say why it refused the loader"
    fi
}

host()
{
    local code=0 signed=
    cd "$work" || exit
    export TMPDIR=$work
    [ "$disk" = unsigned ] || signed=signed
    "$top/tools/mkefidisk.sh" disk.img "$kernel_image" "$initrd" "console=ttyS0 panic=-1 persona=$persona" $signed ||
        return 1
    if [ "$disk" = unsigned ]; then
        refused
        return 0
    fi
    "$hospes" run --host kvm --persona "$persona" --firmware uefi,secure --nvram none --nic none --log log \
        disk.img,format=raw </dev/null | tee console.txt || code=$?
    cat log
    return $code
}

guest()
{
    local v=/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
    mount -t efivarfs none /sys/firmware/efi/efivars || failure "no variables"
    dmesg | grep -iE 'secure ?boot|lockdown'
    want "the variable SecureBoot" "$(tail -c 1 $v | od -An -tu1 | tr -d ' ')" 1
    dmesg | grep -qi 'secure boot enabled' || failure "the kernel does not see Secure Boot"
    success
}
