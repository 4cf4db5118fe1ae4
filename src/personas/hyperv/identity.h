/* SPDX-License-Identifier: Apache-2.0 */
/* identity.h - which Hyper-V a guest sees, and which guest told us what it is. */
#ifndef HOSPES_PERSONAS_HYPERV_IDENTITY_H
#define HOSPES_PERSONAS_HYPERV_IDENTITY_H

#include "host/host.h"

/* A release of Hyper-V: version leaf and the newest VMBus. */
struct identity {
    const char *name; /* "2019" */
    uint16_t major, minor;
    uint32_t build;
    uint32_t vmbus;
    uint32_t hidden_features, hidden_hints; /* bits that this release did not have yet */
};
extern const struct identity identities[]; /* the newest first, a NULL name at the end */
const struct identity *identity_find(const char *name);

/* Appends Hyper-V's leaves, cut down to what the host has. */
size_t identity_cpuid(const struct identity *id, struct host *h, unsigned cpus,
                      struct cpuid_leaf *leaf, size_t n, size_t max);

/* The guest attaches its drivers only to channels with monitors. */
bool identity_needs_monitors(uint64_t os_id);
bool identity_is_windows(uint64_t os_id);
/* GUEST_OS_ID in words. */
void identity_guest(uint64_t os_id, char *out, size_t room);

#endif
