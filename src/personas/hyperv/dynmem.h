/* SPDX-License-Identifier: Apache-2.0 */
/* dynmem.h - dynamic memory: pages that the guest lends back, and how hard pressed it is. */
#ifndef HOSPES_PERSONAS_HYPERV_DYNMEM_H
#define HOSPES_PERSONAS_HYPERV_DYNMEM_H

#include "personas/persona.h"
#include "vmbus.h"

struct dynmem;

/* env must outlive it. */
MUST int dynmem_create(struct vmbus *b, const struct persona_env *env, struct dynmem **out,
                       struct err *e);
void dynmem_destroy(struct dynmem *d); /* NULL is fine; the bus still stands */
/* The guest shall keep `bytes` of its memory. -ENOTSUP: its driver is not there. */
MUST int dynmem_ask(struct dynmem *d, uint64_t bytes, struct err *e);

#endif
