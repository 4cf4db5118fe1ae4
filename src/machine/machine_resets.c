/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_resets.c - when a guest keeps resetting.
 *
 * A life is the time between two resets. Two rules, each counted in a row and forgotten by a life
 * that breaks it: 10 lives with fewer than 200 exits to user space (a loader or firmware that finds
 * nothing to start; a kernel that reaches its first program makes many hundred), or 64 lives
 * shorter than 10 s (a kernel that starts and fails each time). A guest that is rebooted on purpose
 * breaks the first rule each time and the second soon.
 */
#include "machine/machine_priv.h"

enum { RESETS_IDLE = 10, RESETS_IDLE_EXITS = 200, RESETS_QUICK = 64 };
#define RESETS_QUICK_NS UINT64_C(10000000000)

void resets_begin(struct resets *r, uint64_t now, uint64_t exits)
{
    r->born = now;
    r->exits = exits;
}

bool resets_again(struct resets *r, uint64_t now, uint64_t exits)
{
    r->quick = now - r->born < RESETS_QUICK_NS ? r->quick + 1 : 0;
    r->idle = exits - r->exits < RESETS_IDLE_EXITS ? r->idle + 1 : 0;
    return r->quick >= RESETS_QUICK || r->idle >= RESETS_IDLE;
}
