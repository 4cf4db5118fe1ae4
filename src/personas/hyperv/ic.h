/* SPDX-License-Identifier: Apache-2.0 */
/* ic.h - the integration services: what the host asks of a guest, and what the guest tells. */
#ifndef HOSPES_PERSONAS_HYPERV_IC_H
#define HOSPES_PERSONAS_HYPERV_IC_H

#include "personas/persona.h"
#include "vmbus.h"

struct ics;

/* env must outlive it. */
MUST int ics_create(struct vmbus *b, const struct persona_env *env, struct ics **out,
                    struct err *e);
void ics_destroy(struct ics *s); /* NULL is fine; the bus still stands */
/* SHUTDOWN, REBOOT, FREEZE, THAW, TIME_SYNC; as persona_ops.ask. */
MUST int ics_ask(struct ics *s, enum persona_ask what, struct err *e);
void ics_describe(struct ics *s, struct dump *out);

#endif
