/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pairwise.c - greedy covering of pairs: each new cell starts from the first pair that is not
 * covered yet and takes for every other factor the value that covers most new pairs, the lowest of
 * equals.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "validation/vplan.h"

enum { PAIR_SLOTS = VP_FACTORS * VPLAN_LIST_MAX };

struct pairs {
    const unsigned *n;
    /* [slot of one value][slot of another] */
    unsigned char done[PAIR_SLOTS][PAIR_SLOTS];
};

static size_t slot(unsigned factor, unsigned value)
{
    return (size_t)factor * VPLAN_LIST_MAX + value;
}

static bool pair_done(const struct pairs *p, unsigned f, unsigned a, unsigned g, unsigned b)
{
    return p->done[slot(f, a)][slot(g, b)];
}

/* How many new pairs value v of factor f makes with the factors that are chosen. */
static unsigned gain(const struct pairs *p, const struct vcell *c, unsigned chosen, unsigned f,
                     unsigned v)
{
    unsigned new = 0;

    for (unsigned g = 0; g < VP_FACTORS; g++) {
        if (g == f || !(chosen & 1U << g))
            continue;
        new += f < g ? !pair_done(p, f, v, g, c->at[g]) : !pair_done(p, g, c->at[g], f, v);
    }
    return new;
}

static bool first_open(const struct pairs *p, struct vcell *c, unsigned *chosen)
{
    for (unsigned f = 0; f < VP_FACTORS; f++) {
        for (unsigned g = f + 1; g < VP_FACTORS; g++) {
            for (unsigned a = 0; a < p->n[f]; a++) {
                for (unsigned b = 0; b < p->n[g]; b++) {
                    if (pair_done(p, f, a, g, b))
                        continue;
                    c->at[f] = a;
                    c->at[g] = b;
                    *chosen = 1U << f | 1U << g;
                    return true;
                }
            }
        }
    }
    return false;
}

static void fill(const struct pairs *p, struct vcell *c, unsigned chosen)
{
    for (unsigned f = 0; f < VP_FACTORS; f++) {
        unsigned best = 0, most = 0;

        if (chosen & 1U << f)
            continue;
        for (unsigned v = 0; v < p->n[f]; v++) {
            unsigned g = gain(p, c, chosen, f, v);

            if (g > most) {
                most = g;
                best = v;
            }
        }
        c->at[f] = best;
        chosen |= 1U << f;
    }
}

static void mark(struct pairs *p, const struct vcell *c)
{
    for (unsigned f = 0; f < VP_FACTORS; f++) {
        for (unsigned g = f + 1; g < VP_FACTORS; g++)
            p->done[slot(f, c->at[f])][slot(g, c->at[g])] = 1;
    }
}

int pairwise_choose(const unsigned n[VP_FACTORS], struct vcell **out, size_t *cells, struct err *e)
{
    struct pairs *p = calloc(1, sizeof(*p));
    struct vcell c;
    unsigned chosen;

    *out = NULL;
    *cells = 0;
    if (!p)
        return err_set(e, ENOMEM, "no memory to choose cells");
    p->n = n;
    while (first_open(p, &c, &chosen)) {
        struct vcell *grown = reallocarray(*out, *cells + 1, sizeof(*grown));

        if (!grown) {
            free(p);
            free(*out);
            *out = NULL;
            return err_set(e, ENOMEM, "no memory to choose cells");
        }
        fill(p, &c, chosen);
        mark(p, &c);
        *out = grown;
        grown[(*cells)++] = c;
    }
    free(p);
    return 0;
}

void pairwise_count(const unsigned n[VP_FACTORS], const struct vcell *cell, size_t cells,
                    uint64_t *all, uint64_t *covered)
{
    struct pairs *p = calloc(1, sizeof(*p));

    *all = *covered = 0;
    for (size_t i = 0; p && i < cells; i++)
        mark(p, &cell[i]);
    for (unsigned f = 0; p && f < VP_FACTORS; f++) {
        for (unsigned g = f + 1; g < VP_FACTORS; g++) {
            *all += (uint64_t)n[f] * n[g];
            for (unsigned a = 0; a < n[f]; a++) {
                for (unsigned b = 0; b < n[g]; b++)
                    *covered += pair_done(p, f, a, g, b);
            }
        }
    }
    free(p);
}
