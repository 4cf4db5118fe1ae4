/* SPDX-License-Identifier: Apache-2.0 */
/* vcell.c - what one cell of a plan is called, holds and costs. */
#include <stdio.h>
#include <string.h>

#include "validation/vplan.h"

void vplan_cell_persona(const struct vplan *p, const struct vcell *c, char out[16])
{
    const char *said = p->persona[c->at[VP_PERSONA]];

    snprintf(out, 16, "%.*s", (int)min_u64(strcspn(said, ","), 15), said);
}

void vplan_cell_id(const struct vplan *p, const struct vcell *c, char out[VPLAN_CELL_ID])
{
    char persona[16];
    int n;

    snprintf(persona, sizeof(persona), "%s", p->persona[c->at[VP_PERSONA]]);
    for (char *at = persona; *at; at++) {
        if (*at == ',')
            *at = '+';
        else if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789=-", *at))
            *at = '_';
    }
    n = snprintf(out, VPLAN_CELL_ID, "%.24s.%s.c%u.m%llu", p->guest[c->at[VP_GUEST]].name, persona,
                 p->cpus[c->at[VP_CPUS]], (unsigned long long)(p->memory[c->at[VP_MEMORY]] / MiB));
    if (n > 0 && n < VPLAN_CELL_ID)
        snprintf(out + n, (size_t)(VPLAN_CELL_ID - n), ".%s.%s", p->disk[c->at[VP_DISK]],
                 p->network[c->at[VP_NETWORK]]);
}

bool vplan_check_applies(const struct vplan *p, const struct vcell *c, const struct suite_check *k)
{
    char persona[16];

    vplan_cell_persona(p, c, persona);
    return k->level <= p->level && (!*k->personas || suite_has_word(k->personas, persona));
}

uint64_t vplan_cell_cost(const struct vplan *p, const struct vcell *c, unsigned *checks)
{
    uint64_t seconds = 0;

    *checks = 0;
    for (unsigned s = 0; s < p->suites; s++) {
        for (size_t i = 0; i < p->suite[s].checks; i++) {
            const struct suite_check *k = &p->suite[s].check[i];

            if (!vplan_check_applies(p, c, k))
                continue;
            seconds += k->seconds;
            (*checks)++;
        }
    }
    return seconds;
}
