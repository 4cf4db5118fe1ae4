# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Does the guest do what its hypervisor asks, and does it tell when it dies?
#: name: power
#: version: 4
#: owner: hospes

#: check: power.shutdown
#: purpose: the guest shuts down when its persona's own channel asks for it
#: pass: the machine powers itself off within the time
#: source: Hyper-V shutdown IC; Xen control/shutdown; VMware OS_Halt; ACPI power button
#: by: host shutdown
#: mandatory: yes
#: needs: agent
#: seconds: 60

#: check: power.off
#: purpose: a guest that powers itself off is gone
#: pass: the machine ends as powered off
#: source: ACPI 6.4, 7.4.2 (S5)
#: by: host poweroff
#: level: full
#: mandatory: yes
#: needs: agent
#: seconds: 60

#: check: power.crash
#: purpose: a guest that crashes tells its hypervisor
#: pass: the machine ends as crashed, with a notice, not by a time limit
#: source: Hyper-V crash MSRs; Xen SHUTDOWN_crash; pvpanic; triple fault
#: by: host crash
#: mandatory: yes
#: needs: agent
#: seconds: 60

#: check: power.dump
#: purpose: a guest that crashes can start another kernel, which finds the memory of the first
#: pass: the crash kernel has an ELF core in /proc/vmcore, reads the first kernel's last words in it, and writes of it to the disk
#: source: Linux Documentation/admin-guide/kdump/kdump.rst; Hyper-V TLFS (crash MSRs), Xen SHUTDOWN_soft_reset
#: by: host dump 768M 256M
#: level: full
#: needs: agent
#: programs: kexec vmcore-dmesg
#: seconds: 120
check_power_dump()
{
    case $1 in
    load)
        [ "$(cat /sys/kernel/kexec_crash_size 2>/dev/null || echo 0)" -gt 0 ] ||
            skip "this kernel keeps no memory for another one"
        words="$(sed 's/crashkernel=[^ ]*//' /proc/cmdline) nr_cpus=1 irqpoll reset_devices"
        kexec -s -p /crash/vmlinuz --initrd=/crash/initrd --command-line="$words" >/tmp/said 2>&1 ||
            failure "no crash kernel: $(tail -n 1 /tmp/said)"
        success
        ;;
    esac
    [ -e /proc/vmcore ] || failure "there is no /proc/vmcore: another kernel has not crashed"
    # ELF, 64 bits, little-endian; ET_CORE, x86-64.
    head=$(head -c 20 /proc/vmcore | od -An -v -tx1 | tr -d ' \n')
    one_of "the head of /proc/vmcore" "$head" '7f454c460201*04003e00'
    vmcore-dmesg /proc/vmcore >/tmp/words 2>/tmp/said || failure "no messages in the core: $(tail -n 1 /tmp/said)"
    grep -q 'Linux version ' /tmp/words || failure "the core's messages do not begin with the kernel's version"
    grep -q 'sysrq triggered crash' /tmp/words || failure "the core does not say why its kernel crashed"
    wait_for 20 has_disk || success
    d=$(disk)
    dd if=/proc/vmcore of=/tmp/core bs=64k count=16 2>/dev/null
    dd if=/tmp/core of="/dev/$d" bs=64k conv=notrunc,fsync 2>/dev/null || failure "the core cannot be written to $d"
    echo 3 >/proc/sys/vm/drop_caches
    dd if="/dev/$d" bs=64k count=16 2>/dev/null | cmp -s - /tmp/core || failure "$d has something else than the core"
    success
}
