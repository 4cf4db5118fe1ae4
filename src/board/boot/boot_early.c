/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_early.c - unpacks the first kernel while the machine is still being made.
 *
 * Making a virtual machine costs Linux a grace period of RCU, some 10 ms of waiting; opening disks
 * and networks takes time as well. Unpacking a kernel needs none of them but guest memory, so a
 * thread does it meanwhile. It reads what the loop's thread does not change until it is joined:
 * the open kernel file, the command line, its own parameters.
 */
#include <string.h>

#include "board/boot/boot_priv.h"
#include "board/layout.h"

static void *early_run(void *arg)
{
    struct boot *b = arg;
    struct boot_early *y = &b->early;

    y->rc = boot_direct_load(b, y->mem, &y->k, &y->start, &y->random, &y->err);
    return NULL;
}

void boot_early_start(struct boot *b, struct gmem *mem, const struct boot_payload *k)
{
    struct boot_early *y = &b->early;

    y->mem = mem;
    y->k = *k;
    y->running = pthread_create(&y->thread, NULL, early_run, b) == 0;
}

static void early_join(struct boot *b)
{
    pthread_join(b->early.thread, NULL);
    b->early.running = false;
}

bool boot_early_take(struct boot *b, struct gmem *mem, const struct boot_payload *k,
                     struct boot_start *out, bool *random, int *rc, struct err *e)
{
    struct boot_early *y = &b->early;

    if (!y->running)
        return false;
    early_join(b);
    if (y->mem != mem || memcmp(&y->k, k, sizeof(*k)) != 0)
        return false; /* the file changed meanwhile */
    *out = y->start;
    *random = y->random;
    *rc = y->rc;
    if (y->rc < 0)
        *e = y->err;
    return true;
}

void boot_early_end(struct boot *b)
{
    if (b->early.running)
        early_join(b);
}

void boot_begin(struct boot *b, struct gmem *mem, uint64_t memory)
{
    if (b->kind == BOOT_BZIMAGE && !b->early.running)
        boot_bzimage_begin(b, mem, layout_ram_low(memory, true));
}
