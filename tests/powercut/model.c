/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.c - what a disk may hold after a power cut.
 *
 * A sector must hold the last write that was made durable (by FUA, or by a flush that began after
 * it was answered and was itself answered), or any later one that was asked for. A trim leaves the
 * old content or zeroes. A sector that was never written reads as it was made. Each sector carries
 * its own number, so that content in the wrong place is seen.
 */
#include "powercut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct later {
    uint32_t op;
    struct later *next;
};

struct cell {
    uint32_t durable; /* op; 0: zeroes */
    bool or_zero;     /* trimmed since */
    bool touched;
    struct later *first, *last; /* asked for, not durable, in order */
};

struct model {
    uint64_t sectors;
    bool parent;
    struct cell *cells;
    bool done[OPS_MAX];      /* answered, not durable */
    bool *promised[OPS_MAX]; /* by flush: what was answered when it began */
};

bool parent_has(uint64_t lba)
{
    return lba / 128 % 2;
}

struct model *model_create(uint64_t sectors, bool parent)
{
    struct model *m = calloc(1, sizeof(*m));

    if (!m || !(m->cells = calloc(sectors, sizeof(*m->cells))))
        abort();
    m->sectors = sectors;
    m->parent = parent;
    model_unsettle(m, 0, sectors);
    return m;
}

static void drop_first(struct cell *c)
{
    struct later *l = c->first;

    c->first = l->next;
    if (!c->first)
        c->last = NULL;
    free(l);
}

void model_destroy(struct model *m)
{
    for (uint64_t i = 0; i < m->sectors; i++) {
        while (m->cells[i].first)
            drop_first(&m->cells[i]);
    }
    for (size_t i = 0; i < OPS_MAX; i++)
        free(m->promised[i]);
    free(m->cells);
    free(m);
}

static void append(struct cell *c, uint32_t op)
{
    struct later *l = malloc(sizeof(*l));

    if (!l)
        abort();
    *l = (struct later){.op = op};
    *(c->last ? &c->last->next : &c->first) = l;
    c->last = l;
    c->touched = true;
}

static uint32_t value_of(uint32_t op)
{
    return ops[op].kind == OP_WRITE ? op : 0;
}

/* op, and all that was asked for before it, has come to rest in this sector. */
static void settle_cell(struct cell *c, uint32_t op)
{
    bool there = false;

    for (struct later *l = c->first; l; l = l->next)
        there = there || l->op == op;
    while (there) {
        uint32_t at = c->first->op;

        if (ops[at].kind == OP_TRIM) {
            c->or_zero = true;
        } else {
            c->durable = value_of(at);
            c->or_zero = false;
        }
        drop_first(c);
        there = at != op;
    }
}

static void settle_op(struct model *m, uint32_t op)
{
    for (uint64_t i = 0; i < ops[op].n; i++)
        settle_cell(&m->cells[ops[op].lba + i], op);
    m->done[op] = false;
}

void model_event(struct model *m, const struct event *x)
{
    switch (x->kind) {
    case EV_ISSUE:
        for (uint64_t i = 0; i < ops[x->op].n; i++)
            append(&m->cells[ops[x->op].lba + i], x->op);
        break;
    case EV_DONE:
        m->done[x->op] = true;
        break;
    case EV_FLUSH:
        m->promised[x->op] = malloc(sizeof(m->done));
        if (!m->promised[x->op])
            abort();
        memcpy(m->promised[x->op], m->done, sizeof(m->done));
        break;
    case EV_FLUSHED:
        for (uint32_t i = 1; i < OPS_MAX; i++) {
            if (m->promised[x->op][i] && m->done[i])
                settle_op(m, i);
        }
        break;
    case EV_FUA:
        settle_op(m, x->op);
        break;
    default:
        break;
    }
}

bool model_touched(const struct model *m, uint64_t lba)
{
    return m->cells[lba].touched;
}

void model_settle(struct model *m, uint64_t lba, uint64_t n, uint32_t op)
{
    for (uint64_t i = lba; i < lba + n; i++)
        m->cells[i] = (struct cell){.durable = op, .touched = true};
}

void model_unsettle(struct model *m, uint64_t lba, uint64_t n)
{
    for (uint64_t i = lba; i < lba + n; i++)
        m->cells[i] = (struct cell){.durable = m->parent && parent_has(i) ? OP_PARENT : 0};
}

void stamp(uint8_t *to, uint64_t lba, uint64_t n, uint32_t op)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t word[2] = {lba + i + 1, op};

        for (size_t j = 0; j < SECTOR; j += sizeof(word))
            memcpy(to + i * SECTOR + j, word, sizeof(word));
    }
}

/* What a sector says it holds; false: it is whole in no way, or another's. */
static bool reads_as(const uint8_t *p, uint64_t lba, uint32_t *op, char *why)
{
    uint64_t word[2];

    memcpy(word, p, sizeof(word));
    *op = (uint32_t)word[1];
    if (memcmp(p, p + sizeof(word), SECTOR - sizeof(word)) != 0)
        snprintf(why, 160, "sector %llu is torn inside", (unsigned long long)lba);
    else if (word[0] == 0 && word[1] == 0)
        return true;
    else if (word[0] != lba + 1)
        snprintf(why, 160, "sector %llu holds what write %u put into sector %lld",
                 (unsigned long long)lba, *op, (long long)word[0] - 1);
    else
        return true;
    return false;
}

static bool may_hold(const struct cell *c, uint32_t op)
{
    if (op == c->durable || (op == 0 && c->or_zero))
        return true;
    for (const struct later *l = c->first; l; l = l->next) {
        if (op == value_of(l->op))
            return true;
    }
    return false;
}

bool model_check(const struct model *m, uint64_t lba, uint64_t n, const uint8_t *data, char *why)
{
    for (uint64_t i = 0; i < n; i++) {
        const struct cell *c = &m->cells[lba + i];
        uint32_t op = 0;

        if (data && !reads_as(data + i * SECTOR, lba + i, &op, why))
            return false;
        if (may_hold(c, op))
            continue;
        snprintf(why, 160, "sector %llu holds write %u, but %u is durable%s",
                 (unsigned long long)(lba + i), op, c->durable,
                 c->first     ? ", others are under way"
                 : c->touched ? ""
                              : " (never written)");
        return false;
    }
    return true;
}
