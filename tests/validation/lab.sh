# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# A suite whose checks end in each way that a check can end, in a real guest.
#: name: lab
#: version: 1
#: owner: test

#: check: lab.flaky
#: purpose: fails at the first attempt, and passes at the second
#: pass: it was tried before
#: source: none
#: by: guest
#: mandatory: yes
check_lab_flaky()
{
    [ -e /tmp/tried ] || {
        touch /tmp/tried
        failure "the first time"
    }
    success
}

#: check: lab.known
#: purpose: fails as an issue says
#: pass: never
#: source: none
#: by: guest
check_lab_known() { failure "as ever"; }

#: check: lab.left
#: purpose: is left out by the plan
#: pass: never
#: source: none
#: by: guest
check_lab_left() { failure "it was run"; }

#: check: lab.absent
#: purpose: cannot be done here
#: pass: never
#: source: none
#: by: guest
check_lab_absent() { skip "there is no moon"; }

#: check: lab.ours
#: purpose: the test itself is at fault
#: pass: never
#: source: none
#: by: guest
check_lab_ours() { no_such_command_at_all && success; }

#: check: lab.persona
#: purpose: passes on KVM's persona, fails on plain QEMU
#: pass: SMBIOS names hospes
#: source: none
#: by: guest
check_lab_persona()
{
    case $(cat /sys/class/dmi/id/product_name /sys/class/dmi/id/bios_vendor) in
    *[Hh]ospes*) success ;;
    *) failure "$(cat /sys/class/dmi/id/product_name)" ;;
    esac
}

#: check: lab.dies
#: purpose: takes the machine with it, both times
#: pass: never
#: source: none
#: by: guest
#: mandatory: yes
check_lab_dies()
{
    echo c >/proc/sysrq-trigger
    sleep 60
    success
}

#: check: lab.after
#: purpose: is not reached any more
#: pass: always
#: source: none
#: by: guest
#: mandatory: yes
check_lab_after() { success; }
