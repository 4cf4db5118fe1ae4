/* SPDX-License-Identifier: Apache-2.0 */
/* balloon.h - the memory balloon, which the persona also asks. */
#ifndef HOSPES_PERSONAS_KVM_BALLOON_H
#define HOSPES_PERSONAS_KVM_BALLOON_H

#include "devices.h"

struct balloon;

/* The PCI bus owns *out. p: for events. */
MUST int balloon_create(const struct env *env, const struct virtio_options *o,
                        const struct persona_env *p, struct balloon **out, struct err *e);
/* The guest shall keep that many bytes. -ENOTSUP without a driver; else an event follows when it
 * has obeyed. */
MUST int balloon_ask(struct balloon *b, uint64_t keep, struct err *e);

#endif
