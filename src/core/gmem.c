/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gmem.c - a table of at most 64 regions, read without locks.
 *
 * Writers serialise on a mutex and bump a sequence number around each change; readers retry when
 * it moved. Entries keep their index (the host's memory slot), so that removing one never renames
 * another. A removed entry has size 0 and may be used again.
 */
#define _GNU_SOURCE
#include "core/gmem.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/err.h"

enum { GMEM_MAX_REGIONS = 64, GMEM_HUGE = 2 << 20, GMEM_PAGE = 4096 };

struct entry {
    struct gmem_region r;
    void *own; /* what munmap() gets, NULL when the caller owns the memory */
    size_t own_size;
};

struct gmem {
    unsigned seq;   /* odd while a writer is at work */
    unsigned count; /* entries ever used */
    unsigned hint;  /* where most accesses end: the largest region */
    struct entry e[GMEM_MAX_REGIONS];
    pthread_mutex_t lock;
    struct gmem_hook hook;
    void *reserved; /* by gmem_reserve_ram() */
    size_t reserved_size;
};

int gmem_create(struct gmem **out, struct err *e)
{
    struct gmem *m = calloc(1, sizeof(*m));

    if (!m)
        return err_set(e, ENOMEM, "no memory for the guest memory table");
    pthread_mutex_init(&m->lock, NULL);
    *out = m;
    return 0;
}

void gmem_destroy(struct gmem *m)
{
    if (!m)
        return;
    for (unsigned i = 0; i < m->count; i++) {
        if (m->e[i].own)
            munmap(m->e[i].own, m->e[i].own_size);
    }
    if (m->reserved)
        munmap(m->reserved, m->reserved_size);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

int gmem_set_hook(struct gmem *m, const struct gmem_hook *hook, struct err *e)
{
    int rc = 0;

    pthread_mutex_lock(&m->lock);
    m->hook = *hook;
    for (unsigned i = 0; i < m->count && rc == 0; i++) {
        if (m->e[i].r.size && hook->added)
            rc = hook->added(hook->arg, &m->e[i].r);
    }
    pthread_mutex_unlock(&m->lock);
    if (rc < 0)
        return err_set(e, -rc, "the host refuses the guest's memory: %s", strerror(-rc));
    return 0;
}

static bool overlaps(const struct gmem *m, gpa_t base, uint64_t size)
{
    for (unsigned i = 0; i < m->count; i++) {
        const struct gmem_region *r = &m->e[i].r;

        if (r->size && base < r->base + r->size && r->base < base + size)
            return true;
    }
    return false;
}

static struct entry *free_entry(struct gmem *m)
{
    for (unsigned i = 0; i < GMEM_MAX_REGIONS; i++) {
        if (i >= m->count || (m->e[i].r.size == 0 && !m->e[i].own))
            return &m->e[i];
    }
    return NULL;
}

static void publish(struct gmem *m, struct entry *slot, const struct gmem_region *r)
{
    __atomic_add_fetch(&m->seq, 1, __ATOMIC_SEQ_CST);
    slot->r = *r;
    if (m->count <= r->slot)
        __atomic_store_n(&m->count, r->slot + 1, __ATOMIC_SEQ_CST);
    if (r->size > m->e[m->hint].r.size)
        WRITE_ONCE(m->hint, r->slot);
    __atomic_add_fetch(&m->seq, 1, __ATOMIC_SEQ_CST);
}

static int add_locked(struct gmem *m, const struct gmem_region *want, struct entry **out,
                      struct err *e)
{
    struct gmem_region r = *want;
    struct entry *slot = free_entry(m);
    uint64_t end;
    int rc;

    if (r.size == 0 || r.size % GMEM_PAGE || r.base % GMEM_PAGE ||
        add_overflows(r.base, r.size, &end))
        return err_set(e, EINVAL, "guest memory at %#llx, %llu bytes, is not whole pages",
                       (unsigned long long)r.base, (unsigned long long)r.size);
    if (overlaps(m, r.base, r.size))
        return err_set(e, EEXIST, "guest memory at %#llx overlaps other memory",
                       (unsigned long long)r.base);
    if (!slot)
        return err_set(e, ENOSPC, "no room for another region of guest memory");
    r.slot = (unsigned)(slot - m->e);
    if (m->hook.added) {
        rc = m->hook.added(m->hook.arg, &r);
        if (rc < 0)
            return err_set(e, -rc, "the host refuses %llu MiB of guest memory: %s",
                           (unsigned long long)(r.size / MiB), strerror(-rc));
    }
    publish(m, slot, &r);
    *out = slot;
    return 0;
}

int gmem_add(struct gmem *m, gpa_t base, uint64_t size, void *host, enum gmem_kind kind,
             struct err *e)
{
    struct gmem_region r = {.base = base, .size = size, .host = host, .kind = kind};
    struct entry *slot;
    int rc;

    pthread_mutex_lock(&m->lock);
    rc = add_locked(m, &r, &slot, e);
    pthread_mutex_unlock(&m->lock);
    return rc;
}

/* Reserves size + 2 MiB so that host and guest addresses agree modulo 2 MiB: only then can one
 * nested page table entry map a huge page. */
static uint8_t *map_aligned(gpa_t base, uint64_t size, bool hugetlb, void **own, size_t *own_size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    uint64_t skew = base % GMEM_HUGE;
    size_t total = size + GMEM_HUGE;
    uint8_t *raw, *at;

    raw = mmap(NULL, total, PROT_NONE, flags, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    at = (uint8_t *)align_up((uintptr_t)raw, GMEM_HUGE) + skew;
    if (at + size > raw + total)
        at -= GMEM_HUGE;
    /* Pages of the pool are reserved here: without that the guest's first touch could fail. */
    if (hugetlb)
        flags = (flags & ~MAP_NORESERVE) | MAP_HUGETLB;
    if (mmap(at, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, -1, 0) == MAP_FAILED) {
        munmap(raw, total);
        return NULL;
    }
    if (!hugetlb)
        madvise(at, size, MADV_HUGEPAGE);
    madvise(at, size, MADV_DONTDUMP);
    *own = raw;
    *own_size = total;
    return at;
}

int gmem_add_ram(struct gmem *m, gpa_t base, uint64_t size, bool hugetlb, struct err *e)
{
    struct gmem_region r = {.base = base, .size = size, .kind = GMEM_RAM};
    struct entry *slot;
    size_t own_size;
    void *own;
    int rc;

    r.host = map_aligned(base, size, hugetlb, &own, &own_size);
    if (!r.host)
        return err_exit(e, EX_NO_HOST, errno, "cannot map %llu MiB of %smemory for the guest: %s%s",
                        (unsigned long long)(size / MiB), hugetlb ? "huge page " : "",
                        strerror(errno),
                        hugetlb ? "; make the pool larger with sysctl vm.nr_hugepages=N" : "");
    pthread_mutex_lock(&m->lock);
    rc = add_locked(m, &r, &slot, e);
    if (rc == 0) {
        slot->own = own;
        slot->own_size = own_size;
    }
    pthread_mutex_unlock(&m->lock);
    if (rc < 0)
        munmap(own, own_size);
    return rc;
}

int gmem_reserve_ram(struct gmem *m, gpa_t base, uint64_t size, bool hugetlb, uint8_t **host,
                     struct err *e)
{
    if (m->reserved)
        return err_set(e, EBUSY, "guest memory is reserved already");
    *host = map_aligned(base, size, hugetlb, &m->reserved, &m->reserved_size);
    if (!*host)
        return err_exit(e, EX_NO_HOST, errno, "cannot map %llu MiB of %smemory for the guest: %s",
                        (unsigned long long)(size / MiB), hugetlb ? "huge page " : "",
                        strerror(errno));
    return 0;
}

void gmem_remove(struct gmem *m, gpa_t base)
{
    pthread_mutex_lock(&m->lock);
    for (unsigned i = 0; i < m->count; i++) {
        struct gmem_region old = m->e[i].r;
        struct gmem_region none = {.slot = i};

        if (old.size == 0 || old.base != base)
            continue;
        publish(m, &m->e[i], &none);
        if (m->hook.removed)
            m->hook.removed(m->hook.arg, &old);
        break;
    }
    pthread_mutex_unlock(&m->lock);
}

/* The region that holds `at`, as one consistent copy. */
static bool find(const struct gmem *m, gpa_t at, struct gmem_region *out)
{
    unsigned seq, now;
    bool hit;

    do {
        unsigned count;

        seq = __atomic_load_n(&m->seq, __ATOMIC_ACQUIRE);
        count = __atomic_load_n(&m->count, __ATOMIC_ACQUIRE);
        hit = false;
        for (unsigned i = 0; i < count; i++) {
            const struct gmem_region *r = &m->e[i].r;

            if (at - r->base < r->size) {
                *out = *r;
                hit = true;
                break;
            }
        }
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        now = READ_ONCE(m->seq);
    } while (seq & 1 || seq != now);
    return hit;
}

/* The longest piece of [at, at+n) in one region; NULL when at lies outside or may not be used. */
static uint8_t *piece(const struct gmem *m, gpa_t at, uint64_t n, bool write, uint64_t *len)
{
    struct gmem_region r;

    if (!find(m, at, &r) || (write && r.kind == GMEM_ROM))
        return NULL;
    *len = min_u64(n, r.size - (at - r.base));
    return r.host + (at - r.base);
}

/* A pointer to [at, at+n) if one region holds it all: the common case, looked at without a copy of
 * the region. NULL says nothing but that the long way must be taken. */
static inline uint8_t *whole(const struct gmem *m, gpa_t at, uint64_t n, bool write)
{
    unsigned seq = __atomic_load_n(&m->seq, __ATOMIC_ACQUIRE);
    unsigned i = READ_ONCE(m->hint);
    const struct gmem_region *r = &m->e[i].r;
    uint64_t off = at - r->base, size = r->size;
    uint8_t *host = r->host;

    if (off >= size || n > size - off || (write && r->kind == GMEM_ROM) || seq & 1)
        return NULL;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return READ_ONCE(m->seq) == seq ? host + off : NULL;
}

/* All or nothing needs the whole range checked before the first byte moves. */
static bool all_there(const struct gmem *m, gpa_t at, uint64_t n, bool write)
{
    uint64_t end, len;

    if (add_overflows(at, n, &end))
        return false;
    for (; n; at += len, n -= len) {
        if (!piece(m, at, n, write, &len))
            return false;
    }
    return true;
}

int gmem_read(struct gmem *m, gpa_t at, void *dst, size_t n)
{
    const uint8_t *p = whole(m, at, n, false);
    uint64_t len;

    if (p) {
        memcpy(dst, p, n);
        return 0;
    }
    if (!all_there(m, at, n, false))
        return -EFAULT;
    for (; n; at += len, dst = (uint8_t *)dst + len, n -= len) {
        const uint8_t *src = piece(m, at, n, false, &len);

        if (!src)
            return -EFAULT;
        memcpy(dst, src, len);
    }
    return 0;
}

int gmem_write(struct gmem *m, gpa_t at, const void *src, size_t n)
{
    uint8_t *p = whole(m, at, n, true);
    uint64_t len;

    if (p && n) { // src may be NULL when there is nothing to write
        memcpy(p, src, n);
        return 0;
    }
    if (!all_there(m, at, n, true))
        return -EFAULT;
    for (; n; at += len, src = (const uint8_t *)src + len, n -= len) {
        uint8_t *dst = piece(m, at, n, true, &len);

        if (!dst)
            return -EFAULT;
        memcpy(dst, src, len);
    }
    return 0;
}

int gmem_fill(struct gmem *m, gpa_t at, uint8_t byte, size_t n)
{
    uint64_t len;

    if (!all_there(m, at, n, true))
        return -EFAULT;
    for (; n; at += len, n -= len) {
        uint8_t *dst = piece(m, at, n, true, &len);

        if (!dst)
            return -EFAULT;
        memset(dst, byte, len);
    }
    return 0;
}

int gmem_map(struct gmem *m, gpa_t at, uint64_t n, bool write, struct iovec *iov, size_t max,
             size_t *count)
{
    uint8_t *all = n ? whole(m, at, n, write) : NULL;
    size_t used = *count;
    uint64_t end, len;

    if (all && used < max) {
        iov[used] = (struct iovec){.iov_base = all, .iov_len = n};
        *count = used + 1;
        return 0;
    }
    if (add_overflows(at, n, &end))
        return -EFAULT;
    for (; n; at += len, n -= len) {
        uint8_t *p = piece(m, at, n, write, &len);

        if (!p)
            return -EFAULT;
        if (used > 0 && used > *count &&
            (uint8_t *)iov[used - 1].iov_base + iov[used - 1].iov_len == p) {
            iov[used - 1].iov_len += len;
            continue;
        }
        if (used >= max)
            return -E2BIG;
        iov[used++] = (struct iovec){.iov_base = p, .iov_len = len};
    }
    *count = used;
    return 0;
}

/* Apart, because its frame would be made for every call of gmem_shared(). */
static __attribute__((noinline)) void *shared_anywhere(struct gmem *m, gpa_t at, size_t n)
{
    uint64_t len;
    uint8_t *p = piece(m, at, n, true, &len);

    return p && len == n ? p : NULL;
}

void *gmem_shared(struct gmem *m, gpa_t at, size_t n)
{
    uint8_t *p = whole(m, at, n, true);

    return p ? p : shared_anywhere(m, at, n);
}

int gmem_discard(struct gmem *m, gpa_t at, uint64_t n)
{
    struct gmem_region r;

    if (!find(m, at, &r) || r.kind != GMEM_RAM || n > r.size - (at - r.base))
        return -EFAULT;
    if (at % GMEM_PAGE || n % GMEM_PAGE)
        return -EINVAL;
    return madvise(r.host + (at - r.base), n, MADV_DONTNEED) < 0 ? -errno : 0;
}

uint64_t gmem_ram_size(const struct gmem *m)
{
    struct gmem_region r;
    uint64_t sum = 0;

    for (size_t i = 0; gmem_region_at(m, i, &r); i++)
        sum += r.kind == GMEM_RAM ? r.size : 0;
    return sum;
}

bool gmem_region_at(const struct gmem *m, size_t i, struct gmem_region *out)
{
    if (i >= __atomic_load_n(&m->count, __ATOMIC_ACQUIRE))
        return false;
    *out = m->e[i].r;
    return true;
}
