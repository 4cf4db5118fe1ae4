/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grant.h - grant tables: which of its pages a guest lets back ends use.
 *
 * Back ends run in the machine's process, so mapping a grant is finding the page and pinning the
 * entry, which the guest can see and waits for.
 *
 * Document: Xen public/grant_table.h, versions 1 and 2. Threads: frames and version change under a
 * lock; what begins and ends the use of an entry is for any thread.
 */
#ifndef HOSPES_PERSONAS_XEN_GRANT_H
#define HOSPES_PERSONAS_XEN_GRANT_H

#include "core/core.h"

enum {
    GRANT_MAX_FRAMES = 64,
    GRANT_RESERVED_CONSOLE = 0,
    GRANT_RESERVED_XENSTORE = 1,
    GRANT_RESERVED = 8
};

struct grant_table;

MUST int grant_create(struct gmem *m, struct grant_table **out, struct err *e);
void grant_destroy(struct grant_table *g);
void grant_reset(struct grant_table *g);

/* The guest shows frame `index` of the table (or of the status array) at a guest address. -EINVAL:
 * beyond the limit or not in memory. A frame that moves takes its entries along. */
MUST int grant_set_frame(struct grant_table *g, unsigned index, bool status, gpa_t at);
/* The guest takes the page at `at` for something else: frames that were there keep their entries,
 * and are nowhere until they are shown again. -ENOMEM. */
MUST int grant_hide(struct grant_table *g, gpa_t at);
/* Frames in use, for query_size. */
unsigned grant_frames(struct grant_table *g);
/* 1 or 2. -EBUSY while entries are in use. Entries are cleared, except the reserved ones. */
MUST int grant_set_version(struct grant_table *g, unsigned version);
unsigned grant_version(struct grant_table *g);
/* Fills a reserved entry as the domain builder does; works before the guest maps the table. */
void grant_reserve(struct grant_table *g, unsigned ref, uint64_t pfn);

/* What a grant gives. */
struct granted {
    uint8_t *page;     /* host address of the page's first byte */
    uint16_t off, len; /* the part that may be used: 0, 4096 but for sub-page grants */
    int status;        /* 0, or why it gives nothing */
};
/* 0, or a GNTST_ error: -1 general, -3 bad reference, -8 permission. On 0 the entry is pinned until
 * grant_end() with the same arguments. */
MUST int grant_begin(struct grant_table *g, uint32_t ref, bool write, struct granted *out);
void grant_end(struct grant_table *g, uint32_t ref, bool write);
/* The same between grant_lock() and grant_unlock(), with which many take the lock once. Nothing
 * that may wait belongs between these: it is one lock for the machine. */
struct granted grant_begin_locked(struct grant_table *g, uint32_t ref, bool write);
void grant_end_locked(struct grant_table *g, uint32_t ref, bool write);
void grant_lock(struct grant_table *g);
void grant_unlock(struct grant_table *g);

#endif
