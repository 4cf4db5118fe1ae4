/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auto.h - `--persona auto`: the persona that a guest was made for, and the reason in one line.
 *
 * docs/decisions/0022-persona-auto.md has the rule. The same evidence gives the same answer;
 * nothing is remembered.
 */
#ifndef HOSPES_INSPECT_AUTO_H
#define HOSPES_INSPECT_AUTO_H

#include "inspect/inspect.h"

struct plan;

enum { AUTO_WHY = 640 };

/* What says something about the persona; persona -1: nothing does. */
struct auto_sign {
    int persona;
    char what[200]; /* "web.vmx names this disk" */
};

/* i may be NULL: nothing could be looked at. Gives the persona and fills why. */
enum persona_no auto_choose(const struct inspect *i, const struct auto_sign *described,
                            char why[AUTO_WHY]);

/* The description in the disk's own folder that names the disk. */
void auto_beside(const char *disk, struct auto_sign *sign);

/* Fills p->persona, p->persona_why and, when only UEFI finds a loader, p->firmware. A persona that
 * p has with a reason is a description's word; one without a reason is the user's, and stays. The
 * look's facts are left in *i when it is not NULL. */
MUST int auto_decide(struct plan *p, struct inspect *i, struct err *e);

#endif
