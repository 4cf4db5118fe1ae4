/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gmem.h - the only door to guest memory.
 *
 * Guest-physical space is a small table of regions, each one host mapping. Every accessor takes a
 * length, checks it against the table and is all or nothing. Parse guest structures only from the
 * copies that gmem_read() makes: the guest cannot change those after the check.
 *
 * Threads: any thread may read and write at any time. Regions are added before the machine runs,
 * or later by one thread at a time; they are taken away only by gmem_remove(), after which the
 * host mapping still stays valid until its owner unmaps it, so that a request in flight lands in
 * memory that nobody reads instead of in someone else's.
 */
#ifndef HOSPES_CORE_GMEM_H
#define HOSPES_CORE_GMEM_H

#include "core/core.h"

enum gmem_kind {
    GMEM_RAM,    /* the guest's memory */
    GMEM_ROM,    /* guest writes go to the bus, gmem_write() refuses */
    GMEM_DEVICE, /* a device's memory, a frame buffer for instance; not told as RAM to the guest */
};

struct gmem_region {
    gpa_t base;
    uint64_t size; /* bytes, a multiple of 4 KiB */
    uint8_t *host;
    enum gmem_kind kind;
    unsigned slot; /* index in the table: the host's memory slot */
};

/* Told of every change, on the thread that makes it; regions that exist already are told at once
 * when the hook is set. added() may refuse with -errno. */
struct gmem_hook {
    int (*added)(void *arg, const struct gmem_region *r);
    void (*removed)(void *arg, const struct gmem_region *r);
    void *arg;
};

MUST int gmem_create(struct gmem **out, struct err *e);

/* Unmaps what gmem_add_ram() mapped. No thread may use m any more. NULL is fine. */
void gmem_destroy(struct gmem *m);

MUST int gmem_set_hook(struct gmem *m, const struct gmem_hook *hook, struct err *e);

/* Maps `size` bytes of private anonymous memory, 2 MiB aligned host to guest and marked for huge
 * pages, at base. hugetlb takes pages from the host's pool instead of transparent ones. */
MUST int gmem_add_ram(struct gmem *m, gpa_t base, uint64_t size, bool hugetlb, struct err *e);

/* Maps the same memory without showing it: *host + n is meant for address base + n. Pieces of it
 * are shown by gmem_add(); gmem_destroy() unmaps it. */
MUST int gmem_reserve_ram(struct gmem *m, gpa_t base, uint64_t size, bool hugetlb, uint8_t **host,
                          struct err *e);

/* Shows memory of the caller's, which must outlive the region. */
MUST int gmem_add(struct gmem *m, gpa_t base, uint64_t size, void *host, enum gmem_kind kind,
                  struct err *e);
void gmem_remove(struct gmem *m, gpa_t base);

/* 0, or -EFAULT with nothing read or written. Ranges may cross adjoining regions. */
MUST int gmem_read(struct gmem *m, gpa_t at, void *dst, size_t n);
MUST int gmem_write(struct gmem *m, gpa_t at, const void *src, size_t n);
MUST int gmem_fill(struct gmem *m, gpa_t at, uint8_t byte, size_t n);

/* Guest ranges to host vectors, for bulk data that is handed on and never interpreted. Appends to
 * iov[*count..max). write: the vectors will be written to, so ROM is refused.
 * -EFAULT if any byte lies outside memory, -E2BIG if more than max pieces; *count is then kept. */
MUST int gmem_map(struct gmem *m, gpa_t at, uint64_t n, bool write, struct iovec *iov, size_t max,
                  size_t *count);

/* A host pointer to [at, at+n) inside one region, or NULL. For memory that guest and host share
 * for good: rings, message pages, clock pages. Read and write it only through the shared_
 * accessors below, and never read a field twice. */
void *gmem_shared(struct gmem *m, gpa_t at, size_t n);

/* Acquire loads and release stores on shared pages; p is naturally aligned by its protocol. */
static inline uint8_t shared_load8(const void *p)
{
    return __atomic_load_n((const uint8_t *)p, __ATOMIC_ACQUIRE);
}
static inline uint16_t shared_load16(const void *p)
{
    return __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE);
}
static inline uint32_t shared_load32(const void *p)
{
    return __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);
}
static inline uint64_t shared_load64(const void *p)
{
    return __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE);
}
static inline void shared_store8(void *p, uint8_t v)
{
    __atomic_store_n((uint8_t *)p, v, __ATOMIC_RELEASE);
}
static inline void shared_store16(void *p, uint16_t v)
{
    __atomic_store_n((uint16_t *)p, v, __ATOMIC_RELEASE);
}
static inline void shared_store32(void *p, uint32_t v)
{
    __atomic_store_n((uint32_t *)p, v, __ATOMIC_RELEASE);
}
static inline void shared_store64(void *p, uint64_t v)
{
    __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELEASE);
}

/* Full barrier between publishing an index and reading the other side's "notify me" word. */
static inline void shared_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Gives the pages back to the host; the guest will read zeroes there. RAM only. */
MUST int gmem_discard(struct gmem *m, gpa_t at, uint64_t n);

/* Total bytes of GMEM_RAM. */
uint64_t gmem_ram_size(const struct gmem *m);

/* The i-th region, false past the last. */
bool gmem_region_at(const struct gmem *m, size_t i, struct gmem_region *out);

#endif
