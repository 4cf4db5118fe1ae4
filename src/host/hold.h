/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold.h - keeps the code of KVM as it is while a host with an emulated processor lives.
 *
 * Linux rewrites its own instructions (static keys) when the first machine is made and when the
 * last one goes: in the scheduler, in the local APIC, in Xen's events. QEMU before 8.1 can go on
 * running what it translated in the middle of that, and then the processors stand at a breakpoint
 * that is no longer there. With machines that are never run and never go, nothing is rewritten.
 */
#ifndef HOSPES_HOST_HOLD_H
#define HOSPES_HOST_HOLD_H

/* Makes them; they stay until the process ends. What this KVM does not know is left out. Once in a
 * process. */
void host_hold(void);

#endif
