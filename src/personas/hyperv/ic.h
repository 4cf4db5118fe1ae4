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
/* As persona_ops. Keys are POOL/NAME: "auto" and "guest" are the guest's, "host" is ours. */
MUST int ics_data_set(struct ics *s, const char *key, const char *value, struct err *e);
void ics_data_list(struct ics *s, const char *prefix, persona_data_fn *fn, void *arg);
MUST int ics_copy(struct ics *s, int fd, const char *to, struct err *e);
/* Gives the adapter with this instance a static address: text is "ADDRESS/BITS[,gateway=ADDRESS]
 * [,dns=ADDRESS]" or "dhcp". An event will follow. */
MUST int ics_address(struct ics *s, const char *nic, const uint8_t instance[16], const char *text,
                     struct err *e);
void ics_describe(struct ics *s, struct dump *out);

#endif
