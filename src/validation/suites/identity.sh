# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Does the guest find the hypervisor that it was made for?
#: name: identity
#: version: 1
#: owner: hospes

#: check: identity.hypervisor
#: purpose: the guest's kernel takes the machine for its own hypervisor
#: pass: the kernel's log names the persona's hypervisor; for bare, none
#: source: Linux arch/x86/kernel/cpu/hypervisor.c
#: by: guest
#: mandatory: yes
check_identity_hypervisor()
{
    found=$(dmesg | sed -n 's/.*Hypervisor detected: //p')
    case $(persona) in
    kvm) want "hypervisor" "$found" KVM ;;
    hyperv) want "hypervisor" "$found" "Microsoft Hyper-V" ;;
    xen) want "hypervisor" "$found" "Xen HVM" ;;
    vmware) want "hypervisor" "$found" VMware ;;
    bare) want "hypervisor" "$found" "" ;;
    *) error "no persona is named on the command line" ;;
    esac
    success
}

#: check: identity.dmi
#: purpose: SMBIOS names the maker that programs look for
#: pass: sys_vendor is the persona's
#: source: DMTF DSP0134, type 1
#: by: guest
#: mandatory: yes
check_identity_dmi()
{
    vendor=$(cat /sys/class/dmi/id/sys_vendor)
    case $(persona) in
    kvm) one_of "maker" "$vendor" QEMU hospes 'Red Hat*' ;;
    hyperv) want "maker" "$vendor" "Microsoft Corporation" ;;
    xen) want "maker" "$vendor" Xen ;;
    vmware) want "maker" "$vendor" "VMware, Inc." ;;
    bare) [ -n "$vendor" ] || failure "no maker is named" ;;
    esac
    success
}

#: check: identity.flag
#: purpose: the processor's hypervisor bit says whether this is a virtual machine
#: pass: cpuinfo has the flag, except under bare
#: source: AMD64 manual 3, CPUID 1 ECX bit 31
#: by: guest
#: mandatory: yes
check_identity_flag()
{
    flags=$(grep -m 1 ^flags /proc/cpuinfo)
    case "$(persona) $flags " in
    "bare "*" hypervisor "*) failure "a plain PC shows the hypervisor bit" ;;
    "bare "*) success ;;
    *" hypervisor "*) success ;;
    esac
    failure "the hypervisor bit is not set"
}
