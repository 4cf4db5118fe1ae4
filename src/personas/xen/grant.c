/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grant.c - see grant.h.
 *
 * An entry is in guest memory and may change at any time: it is read once, whole, and what was read
 * is checked. Pinning sets GTF_reading and GTF_writing by compare-and-swap against the flags that
 * were checked, so a guest that revokes meanwhile wins and the grant fails. Several requests may
 * pin one entry; a count of ours decides who clears the bits.
 *
 * Not modelled: transitive and transfer grants, which only domains among each other use.
 */
#include "personas/xen/grant.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/gmem.h"
#include "personas/xen/public.h"

enum {
    V1_PER_FRAME = 4096 / sizeof(grant_entry_v1_t),
    V2_PER_FRAME = 4096 / sizeof(grant_entry_v2_t),
    STATUS_PER_FRAME = 4096 / sizeof(grant_status_t),
    MAX_REFS = GRANT_MAX_FRAMES * V1_PER_FRAME,
    BACK_END = 0, /* domain id */
};

struct pins {
    uint16_t readers, writers;
};

struct grant_table {
    struct gmem *mem;
    pthread_mutex_t lock;
    unsigned version;
    uint8_t *frame[GRANT_MAX_FRAMES];  /* guest memory or hidden, NULL: not shown yet */
    uint8_t *status[GRANT_MAX_FRAMES]; /* version 2 */
    uint8_t
        *hidden[2][GRANT_MAX_FRAMES]; /* ours, of frames and status, that is not shown any more */
    unsigned frames;
    uint64_t reserved[GRANT_RESERVED]; /* pfn, 0: none */
    struct pins pins[MAX_REFS];
    unsigned pinned;
};

int grant_create(struct gmem *m, struct grant_table **out, struct err *e)
{
    struct grant_table *g = calloc(1, sizeof(*g));

    if (!g)
        return err_set(e, ENOMEM, "no memory for a grant table");
    g->mem = m;
    g->version = 1;
    pthread_mutex_init(&g->lock, NULL);
    *out = g;
    return 0;
}

static void drop_hidden(struct grant_table *g, unsigned status, unsigned index)
{
    free(g->hidden[status][index]);
    g->hidden[status][index] = NULL;
}

static void drop_all_hidden(struct grant_table *g)
{
    for (unsigned i = 0; i < GRANT_MAX_FRAMES; i++) {
        drop_hidden(g, 0, i);
        drop_hidden(g, 1, i);
    }
}

void grant_destroy(struct grant_table *g)
{
    if (!g)
        return;
    drop_all_hidden(g);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

void grant_reset(struct grant_table *g)
{
    pthread_mutex_lock(&g->lock);
    memset(g->frame, 0, sizeof(g->frame));
    memset(g->status, 0, sizeof(g->status));
    drop_all_hidden(g);
    g->frames = 0;
    g->version = 1;
    pthread_mutex_unlock(&g->lock);
}

/* --- entries --- */

static grant_entry_v1_t *entry_v1(const struct grant_table *g, uint32_t ref)
{
    uint8_t *frame = ref / V1_PER_FRAME < GRANT_MAX_FRAMES ? g->frame[ref / V1_PER_FRAME] : NULL;

    return frame ? (grant_entry_v1_t *)frame + ref % V1_PER_FRAME : NULL;
}

static grant_entry_v2_t *entry_v2(const struct grant_table *g, uint32_t ref)
{
    uint8_t *frame = ref / V2_PER_FRAME < GRANT_MAX_FRAMES ? g->frame[ref / V2_PER_FRAME] : NULL;

    return frame ? (grant_entry_v2_t *)frame + ref % V2_PER_FRAME : NULL;
}

static grant_status_t *entry_status(const struct grant_table *g, uint32_t ref)
{
    uint32_t i = ref / STATUS_PER_FRAME;
    uint8_t *frame = i < GRANT_MAX_FRAMES ? g->status[i] : NULL;

    return frame ? (grant_status_t *)frame + ref % STATUS_PER_FRAME : NULL;
}

static void write_reserved(struct grant_table *g, unsigned ref)
{
    grant_entry_v1_t *v1 = g->version == 1 ? entry_v1(g, ref) : NULL;
    grant_entry_v2_t *v2 = g->version == 2 ? entry_v2(g, ref) : NULL;

    if (!g->reserved[ref])
        return;
    if (v1)
        *v1 = (grant_entry_v1_t){
            .flags = GTF_permit_access, .domid = BACK_END, .frame = (uint32_t)g->reserved[ref]};
    if (v2)
        *v2 = (grant_entry_v2_t){
            .full_page = {.hdr = {GTF_permit_access, BACK_END}, .frame = g->reserved[ref]}};
}

static void write_all_reserved(struct grant_table *g)
{
    for (unsigned i = 0; i < GRANT_RESERVED; i++)
        write_reserved(g, i);
}

void grant_reserve(struct grant_table *g, unsigned ref, uint64_t pfn)
{
    pthread_mutex_lock(&g->lock);
    if (ref < GRANT_RESERVED) {
        g->reserved[ref] = pfn;
        write_reserved(g, ref);
    }
    pthread_mutex_unlock(&g->lock);
}

int grant_set_frame(struct grant_table *g, unsigned index, bool status, gpa_t at)
{
    uint8_t *to = gmem_shared(g->mem, at, 4096), **slot;

    if (index >= GRANT_MAX_FRAMES || !to || at % 4096)
        return -EINVAL;
    pthread_mutex_lock(&g->lock);
    slot = status ? &g->status[index] : &g->frame[index];
    if (*slot != to) {
        if (*slot)
            memcpy(to, *slot, 4096);
        else
            memset(to, 0, 4096);
        *slot = to;
        drop_hidden(g, status, index);
        if (!status && index == 0)
            write_all_reserved(g);
        if (!status && index >= g->frames)
            g->frames = index + 1;
    }
    pthread_mutex_unlock(&g->lock);
    return 0;
}

/* Under the lock. */
static int hide_frame(struct grant_table *g, unsigned status, unsigned index, const uint8_t *page)
{
    uint8_t **slot = status ? &g->status[index] : &g->frame[index], *to;

    if (*slot != page)
        return 0;
    to = aligned_alloc(4096, 4096);
    if (!to)
        return -ENOMEM;
    memcpy(to, page, 4096);
    *slot = g->hidden[status][index] = to;
    return 0;
}

int grant_hide(struct grant_table *g, gpa_t at)
{
    uint8_t *page = gmem_shared(g->mem, at, 4096);
    int rc = 0;

    pthread_mutex_lock(&g->lock);
    for (unsigned i = 0; page && i < GRANT_MAX_FRAMES && rc == 0; i++) {
        rc = hide_frame(g, 0, i, page);
        if (rc == 0)
            rc = hide_frame(g, 1, i, page);
    }
    pthread_mutex_unlock(&g->lock);
    return rc;
}

unsigned grant_frames(struct grant_table *g)
{
    unsigned n;

    pthread_mutex_lock(&g->lock);
    n = g->frames ? g->frames : 1;
    pthread_mutex_unlock(&g->lock);
    return n;
}

int grant_set_version(struct grant_table *g, unsigned version)
{
    int rc = 0;

    if (version != 1 && version != 2)
        return -EINVAL;
    pthread_mutex_lock(&g->lock);
    if (version != g->version && g->pinned) {
        rc = -EBUSY;
    } else if (version != g->version) {
        for (unsigned i = 0; i < GRANT_MAX_FRAMES; i++) {
            if (g->frame[i])
                memset(g->frame[i], 0, 4096);
            if (g->status[i])
                memset(g->status[i], 0, 4096);
        }
        g->version = version;
        write_all_reserved(g);
    }
    pthread_mutex_unlock(&g->lock);
    return rc;
}

unsigned grant_version(struct grant_table *g)
{
    unsigned v;

    pthread_mutex_lock(&g->lock);
    v = g->version;
    pthread_mutex_unlock(&g->lock);
    return v;
}

/* --- use --- */

/* GNTST_okay when the flags and the domain allow the use. */
static int judge(uint16_t flags, uint16_t domid, bool write)
{
    if ((flags & GTF_type_mask) != GTF_permit_access || domid != BACK_END)
        return GNTST_bad_gntref;
    if (write && flags & GTF_readonly)
        return GNTST_permission_denied;
    return GNTST_okay;
}

static uint16_t bits_of(const struct pins *p)
{
    if (p->writers)
        return GTF_reading | GTF_writing;
    return p->readers ? GTF_reading : 0;
}

static uint16_t bits_wanted(bool write)
{
    return write ? GTF_reading | GTF_writing : GTF_reading;
}

static inline void unpin(struct grant_table *g, uint32_t ref)
{
    uint16_t keep = (uint16_t) ~(GTF_reading | GTF_writing) | bits_of(&g->pins[ref]), *flags;

    if (g->version == 1) {
        grant_entry_v1_t *e = entry_v1(g, ref);

        flags = e ? &e->flags : NULL;
    } else {
        flags = entry_status(g, ref);
    }
    if (flags)
        __atomic_fetch_and(flags, keep, __ATOMIC_SEQ_CST);
}

static struct granted refused(int status)
{
    return (struct granted){.status = status};
}

/* The entry's bits are set: finds the page, and counts. */
static inline struct granted pinned(struct grant_table *g, uint32_t ref, bool write, uint64_t pfn,
                                    uint16_t off, uint16_t len)
{
    uint8_t *page = pfn < UINT64_C(1) << 40 ? gmem_shared(g->mem, pfn * 4096, 4096) : NULL;

    if (!page) {
        unpin(g, ref);
        return refused(GNTST_general_error);
    }
    if (write)
        g->pins[ref].writers++;
    else
        g->pins[ref].readers++;
    g->pinned++;
    return (struct granted){page, off, len, GNTST_okay};
}

static __attribute__((noinline)) struct granted begin_v2(struct grant_table *g, uint32_t ref,
                                                         bool write)
{
    grant_entry_v2_t *e = entry_v2(g, ref), copy;
    grant_status_t *status = entry_status(g, ref);
    uint64_t pfn;
    uint16_t off = 0, len = 4096;
    int rc;

    if (!e || !status)
        return refused(GNTST_bad_gntref);
    memcpy(&copy, e, sizeof(copy));
    rc = judge(copy.hdr.flags, copy.hdr.domid, write);
    if (rc != GNTST_okay)
        return refused(rc);
    pfn = copy.full_page.frame;
    if (copy.hdr.flags & GTF_sub_page) {
        off = copy.sub_page.page_off;
        len = copy.sub_page.length;
        pfn = copy.sub_page.frame;
        if (off > 4096 || len > 4096 - off)
            return refused(GNTST_bad_gntref);
    }
    /* The guest clears the entry first and reads the status after: set it, then look again. */
    __atomic_fetch_or(status, bits_wanted(write), __ATOMIC_SEQ_CST);
    if (shared_load16(&e->hdr.flags) != copy.hdr.flags) {
        __atomic_fetch_and(status, (uint16_t) ~(GTF_reading | GTF_writing) | bits_of(&g->pins[ref]),
                           __ATOMIC_SEQ_CST);
        return refused(GNTST_general_error);
    }
    return pinned(g, ref, write, pfn, off, len);
}

void grant_lock(struct grant_table *g)
{
    pthread_mutex_lock(&g->lock);
}

void grant_unlock(struct grant_table *g)
{
    pthread_mutex_unlock(&g->lock);
}

struct granted grant_begin_locked(struct grant_table *g, uint32_t ref, bool write)
{
    grant_entry_v1_t *e;

    if (g->version != 1)
        return begin_v2(g, ref, write);
    e = entry_v1(g, ref);
    if (!e)
        return refused(GNTST_bad_gntref);
    for (int i = 0; i < 4; i++) {
        uint64_t raw = shared_load64(e); /* flags, domid, frame */
        uint16_t flags = (uint16_t)raw, want = flags | bits_wanted(write);
        int rc = judge(flags, (uint16_t)(raw >> 16), write);

        if (rc != GNTST_okay)
            return refused(rc);
        /* Where the guest sees it; `flags` is what the decision was made on. */
        if (want == flags || __atomic_compare_exchange_n(&e->flags, &flags, want, false,
                                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return pinned(g, ref, write, raw >> 32, 0, 4096);
    }
    return refused(GNTST_general_error); /* the guest keeps changing it */
}

void grant_end_locked(struct grant_table *g, uint32_t ref, bool write)
{
    if (ref >= MAX_REFS)
        return;
    if (write)
        g->pins[ref].writers--;
    else
        g->pins[ref].readers--;
    g->pinned--;
    unpin(g, ref);
}

int grant_begin(struct grant_table *g, uint32_t ref, bool write, struct granted *out)
{
    grant_lock(g);
    *out = grant_begin_locked(g, ref, write);
    grant_unlock(g);
    return out->status;
}

void grant_end(struct grant_table *g, uint32_t ref, bool write)
{
    grant_lock(g);
    grant_end_locked(g, ref, write);
    grant_unlock(g);
}
