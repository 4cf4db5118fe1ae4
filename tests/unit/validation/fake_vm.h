/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_vm.h - machines that are scripts: each check has a list of answers, one for each time it is
 * asked. No process, no KVM.
 */
#ifndef HOSPES_TESTS_FAKE_VM_H
#define HOSPES_TESTS_FAKE_VM_H

#include "validation/vm.h"

/* Answers: a verdict ("success", "failure WHY", ...), "die" (the machine ends with 70), "host" (it
 * ends with 69), "hang", "mute" (its shell ends without a verdict), "reboot", "uptime N" (says that
 * and succeeds). */
struct fake_answer {
    const char *id;
    const char *answer[4]; /* the last one that is there is repeated */
    unsigned asked;
};
extern struct fake_answer *fake_answers; /* id NULL at the end; what is not there succeeds */
extern const char *fake_info;            /* JSON; NULL: cannot be asked */
extern unsigned fake_starts;
extern int fake_start_code; /* errno of start(), 0: it works */
/* Of the machine that started last; and how a disk came that has not gone again. */
extern char fake_persona[200], fake_append[1200], fake_plugged[80];
extern bool fake_disks;  /* disks may come */
extern bool fake_memory; /* the guest can be asked for memory */
extern bool fake_dumps;  /* a crash starts another kernel */
extern bool fake_stuck;  /* it does not answer when it is asked for facts */
extern const struct vm_ops vm_fake;

#endif
