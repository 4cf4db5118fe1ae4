/* SPDX-License-Identifier: Apache-2.0 */
/* compare.c - do two disks hold the same? What is known to be zero on both sides is not read. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "storage/image.h"

enum {
    CHUNK = 1 << 18, /* two of them fit the second-level cache */
    THREADS_MAX = 8,
    AHEAD = 1 << 30 /* asked for at once, at most */
};

/* What is known of a disk from where the comparison is: up to `end` it is all zero, or all data. */
struct side {
    struct disk *d;
    uint64_t end;
    bool zero;
};

struct compare {
    struct side a, b;
    uint64_t end, next, done;
    const struct progress *p;
    pthread_mutex_t lock;
    uint64_t differs;
    int failed;
};

static int look_ahead(void *arg, const struct extent *x)
{
    struct side *s = arg;
    bool zero = x->kind != EXTENT_DATA;

    if (s->end == UINT64_MAX) /* the first one */
        s->zero = zero;
    else if (zero != s->zero)
        return 1;
    s->end = x->off + x->len;
    return 0;
}

/* Is a chunk known to be zero? They are asked for in order, so that most are answered from what
 * the one before has found: each question to a file costs system calls. */
static bool known_zero(struct side *s, uint64_t off, size_t len)
{
    uint64_t bytes = s->d->shape.bytes, end = min_u64(off + len, bytes);

    if (off >= bytes)
        return true;
    if (s->end < end) {
        s->end = UINT64_MAX;
        if (disk_extents(s->d, off, min_u64(AHEAD, bytes - off), look_ahead, s) < 0)
            s->zero = false;
    }
    return s->zero && s->end >= end;
}

struct chunk {
    uint64_t off;
    size_t len;
    bool a_zero, b_zero; /* known to be */
};

/* What lies past the end is zero. */
static int load(struct disk *d, uint64_t off, uint8_t *buf, size_t len)
{
    uint64_t bytes = d->shape.bytes;
    size_t n = off >= bytes ? 0 : min_u64(len, bytes - off);

    memset(buf + n, 0, len - n);
    return n ? disk_read(d, off, buf, n) : 0;
}

static int compare_chunk(struct compare *k, const struct chunk *c, uint8_t *x, uint8_t *y)
{
    bool za = c->a_zero, zb = c->b_zero;
    uint64_t off = c->off;
    size_t len = c->len, i = 0;
    int rc = 0;

    if (za && zb)
        return 0;
    if (!za)
        rc = load(k->a.d, off, x, len);
    if (rc == 0 && !zb)
        rc = load(k->b.d, off, y, len);
    if (rc < 0)
        return rc;
    if (za || zb) {
        if (all_zero(za ? y : x, len))
            return 0;
        memset(za ? x : y, 0, len);
    } else if (memcmp(x, y, len) == 0) {
        return 0;
    }
    while (i < len && x[i] == y[i])
        i++;
    pthread_mutex_lock(&k->lock);
    k->differs = min_u64(k->differs, off + i);
    pthread_mutex_unlock(&k->lock);
    return 0;
}

static bool take(struct compare *k, struct chunk *c)
{
    bool more;

    pthread_mutex_lock(&k->lock);
    *c = (struct chunk){.off = k->next, .len = min_u64(CHUNK, k->end - k->next)};
    more = k->failed == 0 && k->next < k->end && k->next < k->differs;
    if (more) {
        k->next += c->len;
        c->a_zero = known_zero(&k->a, c->off, c->len);
        c->b_zero = known_zero(&k->b, c->off, c->len);
    }
    if (more && k->p->step)
        k->p->step(k->p->arg, k->next, k->end);
    pthread_mutex_unlock(&k->lock);
    return more;
}

static void *work(void *arg)
{
    struct compare *k = arg;
    uint8_t *x = calloc(1, CHUNK), *y = calloc(1, CHUNK);
    struct chunk c;

    while (take(k, &c)) {
        int rc = x && y ? compare_chunk(k, &c, x, y) : -ENOMEM;

        if (rc < 0) {
            pthread_mutex_lock(&k->lock);
            k->failed = rc;
            pthread_mutex_unlock(&k->lock);
        }
    }
    free(x);
    free(y);
    return NULL;
}

int image_compare(struct disk *a, struct disk *b, const struct progress *p, uint64_t *differs,
                  struct err *e)
{
    struct compare k = {.a = {.d = a}, .b = {.d = b}, .p = p, .differs = UINT64_MAX};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t t[THREADS_MAX];
    int n = 0;

    k.end = max_u64(a->shape.bytes, b->shape.bytes);
    pthread_mutex_init(&k.lock, NULL);
    while (n < cpus - 1 && n < THREADS_MAX && pthread_create(&t[n], NULL, work, &k) == 0)
        n++;
    work(&k);
    while (n > 0)
        pthread_join(t[--n], NULL);
    pthread_mutex_destroy(&k.lock);
    *differs = k.differs;
    return k.failed ? err_set(e, -k.failed, "cannot read the disks: %s", strerror(-k.failed)) : 0;
}
