# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Does the guest start, and start again?
#: name: boot
#: version: 1
#: owner: hospes

#: check: boot.up
#: purpose: the guest reaches its user space
#: pass: the agent, or the console's marker of a closed guest, is heard within the time
#: source: the guest's own boot protocol
#: by: host boot
#: mandatory: yes
#: seconds: 60

#: check: boot.clean
#: purpose: the guest's drivers start without errors
#: pass: no message of level error or worse from a driver that the persona is for
#: source: Linux Documentation/core-api/printk-basics.rst
#: by: guest
#: mandatory: yes
check_boot_clean()
{
    found=$(complaints 'virtio|hv_|hyperv|vmbus|xen|vif|vbd|vmw|vmxnet|I/O error|BUG|Oops|stall' |
        grep -E '^<[0-3]>' | head -n 1)
    [ -z "$found" ] || failure "the kernel complains: $found"
    success
}

#: check: boot.reboot
#: purpose: a reboot from inside leads back to user space
#: pass: the agent is heard again within the time
#: source: ACPI 6.4, 4.8.3.6 (reset register); the persona's own
#: by: host reboots 1
#: mandatory: yes
#: seconds: 60
#: needs: agent

#: check: boot.reboots
#: purpose: twenty reboots in a row leak nothing and hang nowhere
#: pass: the agent is heard twenty times, each within the time
#: source: as boot.reboot
#: by: host reboots 20
#: mandatory: yes
#: level: full
#: seconds: 60
#: needs: agent
