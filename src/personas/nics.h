/* SPDX-License-Identifier: Apache-2.0 */
/* nics.h - emulated network cards in personas: which of them one has, and adding it. */
#ifndef HOSPES_PERSONAS_NICS_H
#define HOSPES_PERSONAS_NICS_H

#include "personas/persona.h"

/* A card of board/nic. models: the names that this persona has, NULL at the end, its own cards
 * too; fallback: what it is when the plan says nothing. *mine false: it is the persona's own card
 * that is wanted, and nothing was done. A failure closes s->netif. */
MUST int persona_emulated_nic(struct persona *p, const struct nic_spec *s,
                              const char *const models[], const char *fallback, bool *mine,
                              struct err *e);

#endif
