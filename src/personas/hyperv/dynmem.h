/* SPDX-License-Identifier: Apache-2.0 */
/* dynmem.h - dynamic memory: pages that the guest lends back, and how hard pressed it is. */
#ifndef HOSPES_PERSONAS_HYPERV_DYNMEM_H
#define HOSPES_PERSONAS_HYPERV_DYNMEM_H

#include "personas/persona.h"
#include "vmbus.h"

struct dynmem;

/* Where memory may be added while the guest runs. */
struct dynmem_room {
    gpa_t base;    /* a multiple of 1 GiB; nothing else is there */
    uint64_t size; /* bytes, a multiple of 128 MiB; 0: none */
};

/* env must outlive it. hot: NULL is none. */
MUST int dynmem_create(struct vmbus *b, const struct persona_env *env,
                       const struct dynmem_room *hot, struct dynmem **out, struct err *e);
void dynmem_destroy(struct dynmem *d); /* NULL is fine; the bus still stands */
/* The machine starts anew, with its first memory alone; no vCPU runs. */
void dynmem_reset(struct dynmem *d);
/* The guest shall have `bytes` of memory. -ENOTSUP: its driver is not there,
 * or takes none. */
MUST int dynmem_ask(struct dynmem *d, uint64_t bytes, struct err *e);

#endif
