# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Does the guest do what its hypervisor asks, and does it tell when it dies?
#: name: power
#: version: 2
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
