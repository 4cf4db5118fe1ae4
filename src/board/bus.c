/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus.c - see bus.h.
 *
 * Ports: a flat table of 64 Ki claim numbers, of which only the touched pages exist. Memory: claim
 * numbers sorted by base. In front of both stands what each thread hit last. Claims are read under
 * a sequence number that is odd while one changes: a reader copies what it found and retries when
 * the number moved. Claims stay valid memory for the bus's life, so a stale read is harmless before
 * the retry. The sequence starts at a value no other bus has, so that a thread's last hit can never
 * match another bus at the same address.
 *
 * Threads: bus_access() from any thread without locks, then under the device's lock; all else
 * under the bus's lock, which is a leaf except for the doorbell calls made with it held.
 */
#include "board/bus.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

enum { BUS_PORTS = 65536, BUS_CLAIMS_MAX = 4096 };

struct claim {
    uint64_t base, len; /* len 0: free */
    struct device *d;
    unsigned region;
};

struct doorbell {
    struct device *d; /* NULL: free */
    unsigned region, size;
    uint64_t off, value;
    bool match, live;
    uint64_t addr; /* where it was assigned, while live */
    int fd;
};

struct bus {
    enum bus_kind kind;
    uint64_t seq;
    uint16_t *port;      /* BUS_PIO: claim number + 1 */
    struct claim *claim; /* BUS_CLAIMS_MAX of them, touched as used */
    unsigned claims;     /* numbers ever used */
    uint16_t *sorted;    /* BUS_MMIO: claim numbers by base */
    unsigned sorted_n;
    pthread_mutex_t lock;
    struct doorbells fast;
    bool has_fast;
    struct doorbell *bell;
    unsigned bells;
};

int bus_create(enum bus_kind kind, struct bus **out, struct err *e)
{
    static uint64_t instance;
    struct bus *b = calloc(1, sizeof(*b));

    if (!b)
        return err_set(e, ENOMEM, "no memory for a bus");
    b->kind = kind;
    b->seq = __atomic_add_fetch(&instance, 1, __ATOMIC_RELAXED) << 40;
    b->claim = calloc(BUS_CLAIMS_MAX, sizeof(*b->claim));
    b->sorted = calloc(BUS_CLAIMS_MAX, sizeof(*b->sorted));
    b->port = kind == BUS_PIO ? calloc(BUS_PORTS, sizeof(*b->port)) : NULL;
    pthread_mutex_init(&b->lock, NULL);
    if (!b->claim || !b->sorted || (kind == BUS_PIO && !b->port)) {
        bus_destroy(b);
        return err_set(e, ENOMEM, "no memory for a bus");
    }
    *out = b;
    return 0;
}

static void bell_mute(struct bus *b, struct doorbell *bell)
{
    if (bell->live)
        b->fast.deassign(b->fast.arg, b->kind, bell->addr, bell->size, bell->match, bell->value,
                         bell->fd);
    bell->live = false;
}

static void bell_ring_at(struct bus *b, struct doorbell *bell, uint64_t addr)
{
    if (!b->has_fast || bell->live)
        return;
    bell->addr = addr;
    bell->live = b->fast.assign(b->fast.arg, b->kind, addr, bell->size, bell->match, bell->value,
                                bell->fd) == 0;
}

void bus_destroy(struct bus *b)
{
    if (!b)
        return;
    for (unsigned i = 0; i < b->bells; i++)
        bell_mute(b, &b->bell[i]);
    pthread_mutex_destroy(&b->lock);
    free(b->bell);
    free(b->port);
    free(b->sorted);
    free(b->claim);
    free(b);
}

void bus_set_doorbells(struct bus *b, const struct doorbells *fast)
{
    pthread_mutex_lock(&b->lock);
    b->has_fast = fast != NULL;
    if (fast)
        b->fast = *fast;
    pthread_mutex_unlock(&b->lock);
}

static void write_begin(struct bus *b)
{
    WRITE_ONCE(b->seq, b->seq + 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void write_end(struct bus *b)
{
    __atomic_store_n(&b->seq, b->seq + 1, __ATOMIC_RELEASE);
}

static void claim_put(struct claim *to, const struct claim *c)
{
    WRITE_ONCE(to->base, c->base);
    WRITE_ONCE(to->len, c->len);
    WRITE_ONCE(to->d, c->d);
    WRITE_ONCE(to->region, c->region);
}

static struct claim claim_get(const struct claim *c)
{
    return (struct claim){READ_ONCE(c->base), READ_ONCE(c->len), READ_ONCE(c->d),
                          READ_ONCE(c->region)};
}

/* Index in sorted[] of the first claim that ends after addr. */
static unsigned lower(const struct bus *b, uint64_t addr)
{
    unsigned lo = 0, hi = READ_ONCE(b->sorted_n);

    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        const struct claim *c = &b->claim[READ_ONCE(b->sorted[mid])];

        if (READ_ONCE(c->base) + (READ_ONCE(c->len) - 1) < addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool taken(const struct bus *b, uint64_t base, uint64_t len)
{
    unsigned i;

    if (b->kind == BUS_PIO) {
        for (uint64_t p = base; p < base + len; p++) {
            if (b->port[p])
                return true;
        }
        return false;
    }
    i = lower(b, base);
    return i < b->sorted_n && b->claim[b->sorted[i]].base <= base + (len - 1);
}

static int claim_number(struct bus *b)
{
    for (unsigned i = 0; i < b->claims; i++) {
        if (b->claim[i].len == 0)
            return (int)i;
    }
    return b->claims < BUS_CLAIMS_MAX ? (int)b->claims++ : -ENOSPC;
}

static void claim_insert(struct bus *b, unsigned n)
{
    const struct claim *c = &b->claim[n];
    unsigned i;

    if (b->kind == BUS_PIO) {
        for (uint64_t p = 0; p < c->len; p++)
            WRITE_ONCE(b->port[c->base + p], (uint16_t)(n + 1));
        return;
    }
    i = lower(b, c->base);
    for (unsigned k = b->sorted_n; k > i; k--)
        WRITE_ONCE(b->sorted[k], b->sorted[k - 1]);
    WRITE_ONCE(b->sorted[i], (uint16_t)n);
    WRITE_ONCE(b->sorted_n, b->sorted_n + 1);
}

static void claim_drop(struct bus *b, unsigned n)
{
    struct claim *c = &b->claim[n];

    if (b->kind == BUS_PIO) {
        for (uint64_t p = 0; p < c->len; p++)
            WRITE_ONCE(b->port[c->base + p], 0);
    } else {
        unsigned i = 0;

        while (b->sorted[i] != n)
            i++;
        WRITE_ONCE(b->sorted_n, b->sorted_n - 1);
        for (; i < b->sorted_n; i++)
            WRITE_ONCE(b->sorted[i], b->sorted[i + 1]);
    }
    WRITE_ONCE(c->len, 0);
}

int bus_claim(struct bus *b, uint64_t base, uint64_t len, struct device *d, unsigned region)
{
    uint64_t last;
    int n = -EINVAL;

    if (len == 0 || add_overflows(base, len - 1, &last) ||
        (b->kind == BUS_PIO && last >= BUS_PORTS))
        return -EINVAL;
    pthread_mutex_lock(&b->lock);
    n = taken(b, base, len) ? -EEXIST : claim_number(b);
    if (n >= 0) {
        write_begin(b);
        claim_put(&b->claim[n], &(struct claim){base, len, d, region});
        claim_insert(b, (unsigned)n);
        write_end(b);
        for (unsigned i = 0; i < b->bells; i++) {
            if (b->bell[i].d == d && b->bell[i].region == region)
                bell_ring_at(b, &b->bell[i], base + b->bell[i].off);
        }
    }
    pthread_mutex_unlock(&b->lock);
    return n < 0 ? n : 0;
}

void bus_release(struct bus *b, struct device *d, unsigned region)
{
    pthread_mutex_lock(&b->lock);
    for (unsigned i = 0; i < b->bells; i++) {
        if (b->bell[i].d == d && b->bell[i].region == region)
            bell_mute(b, &b->bell[i]);
    }
    for (unsigned n = 0; n < b->claims; n++) {
        const struct claim *c = &b->claim[n];

        if (c->len == 0 || c->d != d || c->region != region)
            continue;
        write_begin(b);
        claim_drop(b, n);
        write_end(b);
    }
    pthread_mutex_unlock(&b->lock);
}

static struct doorbell *bell_slot(struct bus *b)
{
    struct doorbell *more;

    for (unsigned i = 0; i < b->bells; i++) {
        if (!b->bell[i].d)
            return &b->bell[i];
    }
    more = reallocarray(b->bell, b->bells + 16, sizeof(*more));
    if (!more)
        return NULL;
    b->bell = more;
    memset(&more[b->bells], 0, 16 * sizeof(*more));
    b->bells += 16;
    return &more[b->bells - 16];
}

int bus_doorbell(struct bus *b, struct device *d, unsigned region, uint64_t off, unsigned size,
                 bool match, uint64_t value, int fd)
{
    struct doorbell *bell;

    pthread_mutex_lock(&b->lock);
    bell = bell_slot(b);
    if (bell) {
        *bell = (struct doorbell){.d = d,
                                  .region = region,
                                  .size = size,
                                  .off = off,
                                  .value = value,
                                  .match = match,
                                  .fd = fd};
        for (unsigned n = 0; n < b->claims; n++) {
            const struct claim *c = &b->claim[n];

            if (c->len && c->d == d && c->region == region)
                bell_ring_at(b, bell, c->base + off);
        }
    }
    pthread_mutex_unlock(&b->lock);
    return bell ? 0 : -ENOMEM;
}

void bus_doorbells_drop(struct bus *b, struct device *d)
{
    pthread_mutex_lock(&b->lock);
    for (unsigned i = 0; i < b->bells; i++) {
        if (b->bell[i].d != d)
            continue;
        bell_mute(b, &b->bell[i]);
        b->bell[i].d = NULL;
    }
    pthread_mutex_unlock(&b->lock);
}

/* --- accesses --- */

/* Where an access goes. len is 0 when nobody answers; then room says how far that is true. */
struct hit {
    struct claim c;
    uint64_t room; /* bytes from addr that this answer covers */
};

static void look(const struct bus *b, uint64_t addr, struct hit *h)
{
    h->c.len = 0;
    if (b->kind == BUS_PIO) {
        uint16_t n = addr < BUS_PORTS ? READ_ONCE(b->port[addr]) : 0;

        h->room = 1;
        if (n)
            h->c = claim_get(&b->claim[n - 1]);
    } else {
        unsigned i = lower(b, addr);

        h->room = UINT64_MAX - addr;
        if (i < READ_ONCE(b->sorted_n)) {
            struct claim c = claim_get(&b->claim[READ_ONCE(b->sorted[i])]);

            if (c.base <= addr)
                h->c = c;
            else
                h->room = c.base - addr;
        }
    }
    if (h->c.len)
        h->room = h->c.len - (addr - h->c.base);
}

/* A consistent copy of who answers at addr, and the sequence it was true at. */
static uint64_t find(struct bus *b, uint64_t addr, struct hit *h)
{
    for (;;) {
        uint64_t seq = __atomic_load_n(&b->seq, __ATOMIC_ACQUIRE);

        if (seq & 1)
            continue;
        look(b, addr, h);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (READ_ONCE(b->seq) == seq)
            return seq;
    }
}

static inline void call(const struct claim *c, uint64_t addr, unsigned size, enum access dir,
                        uint64_t *val)
{
    struct device *d = c->d; /* a nested access may overwrite *c */

    device_lock(d);
    d->ops->io(d, c->region, addr - c->base, size, dir, val);
    device_unlock(d);
}

static bool access_bytes(struct bus *b, uint64_t addr, unsigned size, enum access dir,
                         uint64_t *val)
{
    bool any = false;
    uint64_t all = 0;

    for (unsigned i = 0; i < size; i++) {
        uint64_t byte = dir == ACC_WRITE ? *val >> (8 * i) & 0xff : 0;

        any |= bus_access(b, addr + i, 1, dir, &byte);
        all |= (byte & 0xff) << (8 * i);
    }
    if (dir == ACC_READ)
        *val = all;
    return any;
}

static bool pio_free(const struct bus *b, uint64_t addr, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        if (addr + i < BUS_PORTS && READ_ONCE(b->port[addr + i]))
            return false;
    }
    return true;
}

/* Keeps the bytes that were asked for. */
static inline uint64_t cut(uint64_t val, unsigned size)
{
    return size < 8 ? val & ((UINT64_C(1) << (8 * size)) - 1) : val;
}

/* The claim that this thread hit last on a bus of this kind, as of `seq`. */
static _Thread_local struct {
    uint64_t seq;
    struct claim c;
} last[2];

/* Everything that the last hit does not answer. */
static __attribute__((noinline)) bool access_anew(struct bus *b, uint64_t addr, unsigned size,
                                                  enum access dir, uint64_t *val)
{
    struct hit h;
    uint64_t seq;

    if (size == 0 || size > 8)
        return false;
    seq = find(b, addr, &h);
    if (h.c.len) {
        last[b->kind].c = h.c;
        last[b->kind].seq = seq;
    }
    if (size > 1 && (h.room < size || (h.c.len && !is_pow2(size))))
        return access_bytes(b, addr, size, dir, val);
    if (h.c.len == 0) {
        if (dir == ACC_READ)
            *val = cut(UINT64_MAX, size);
        return false;
    }
    if (dir == ACC_READ)
        *val = 0;
    call(&h.c, addr, size, dir, val);
    if (dir == ACC_READ)
        *val = cut(*val, size);
    return true;
}

bool bus_access(struct bus *b, uint64_t addr, unsigned size, enum access dir, uint64_t *val)
{
    const struct claim *c = &last[b->kind].c;
    uint64_t off = addr - c->base;

    if (last[b->kind].seq != __atomic_load_n(&b->seq, __ATOMIC_ACQUIRE) || off >= c->len ||
        size > c->len - off || !is_pow2(size) || size > 8) {
        if (b->kind != BUS_PIO || size > 8 || !pio_free(b, addr, size))
            return access_anew(b, addr, size, dir, val);
        if (dir == ACC_READ)
            *val = cut(UINT64_MAX, size);
        return false;
    }
    if (dir == ACC_READ)
        *val = 0;
    call(c, addr, size, dir, val);
    if (dir == ACC_READ)
        *val = cut(*val, size);
    return true;
}
