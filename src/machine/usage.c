/* SPDX-License-Identifier: Apache-2.0 */
/* usage.c - see usage.h: open addressing; a slot once taken keeps its key. */
#include "machine/usage.h"

#include <stdio.h>
#include <stdlib.h>

#include "board/device.h"

static uint64_t usage_key(enum usage_kind kind, uint64_t number)
{
    return (uint64_t)kind << 56 | (number & UINT64_C(0xffffffffffff));
}

void usage_count(struct usage *u, enum usage_kind kind, uint64_t number, enum access dir)
{
    uint64_t key = usage_key(kind, number), at = (key ^ key >> 56) * UINT64_C(0x9e3779b97f4a7c15);

    for (unsigned i = 0; i < USAGE_SLOTS; i++) {
        unsigned s = (unsigned)((at >> 56) + i) % USAGE_SLOTS;
        uint64_t have = READ_ONCE(u->slot[s].key);

        if (have == 0 && __atomic_compare_exchange_n(&u->slot[s].key, &have, key, false,
                                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            have = key;
        if (have == key) {
            __atomic_add_fetch(&u->slot[s].count[dir == ACC_WRITE], 1, __ATOMIC_RELAXED);
            return;
        }
    }
}

static int usage_compare(const void *one, const void *two)
{
    const struct usage_slot *a = one, *b = two;

    return a->key < b->key ? -1 : a->key > b->key;
}

void usage_describe(const struct usage *u, struct info *out)
{
    struct usage *sorted = malloc(sizeof(*sorted));

    if (!sorted)
        return;
    for (unsigned i = 0; i < USAGE_SLOTS; i++) {
        const struct usage_slot *s = &u->slot[i];

        sorted->slot[i] = (struct usage_slot){READ_ONCE(s->key),
                                              {READ_ONCE(s->count[0]), READ_ONCE(s->count[1])}};
    }
    qsort(sorted->slot, USAGE_SLOTS, sizeof(sorted->slot[0]), usage_compare);
    for (unsigned i = 0; i < USAGE_SLOTS; i++) {
        bool msr = sorted->slot[i].key >> 56 == USAGE_MSR;
        uint64_t *count = sorted->slot[i].count;
        struct dump *d;
        char id[48];

        if (sorted->slot[i].key == 0)
            continue;
        snprintf(id, sizeof(id), "%s %#llx", msr ? "msr" : "hypercall",
                 (unsigned long long)(sorted->slot[i].key & UINT64_C(0xffffffffffff)));
        d = info_part(out, "uses", id, NULL);
        if (!msr)
            dump_add(d, "calls", "%llu", (unsigned long long)count[0]);
        if (msr && count[0])
            dump_add(d, "reads", "%llu", (unsigned long long)count[0]);
        if (msr && count[1])
            dump_add(d, "writes", "%llu", (unsigned long long)count[1]);
    }
    free(sorted);
}
