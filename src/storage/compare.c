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

enum { CHUNK = 1 << 20, THREADS_MAX = 8 };

struct compare {
    struct disk *a, *b;
    uint64_t end, next, done;
    const struct progress *p;
    pthread_mutex_t lock;
    uint64_t differs;
    int failed;
};

/* What lies past the end is zero. */
static int load(struct disk *d, uint64_t off, uint8_t *buf, size_t len)
{
    uint64_t bytes = d->shape.bytes;
    size_t n = off >= bytes ? 0 : min_u64(len, bytes - off);

    memset(buf + n, 0, len - n);
    return n ? disk_read(d, off, buf, n) : 0;
}

static int compare_chunk(struct compare *k, uint64_t off, size_t len, uint8_t *x, uint8_t *y)
{
    bool za = disk_known_zero(k->a, off, len), zb = disk_known_zero(k->b, off, len);
    size_t i = 0;
    int rc = 0;

    if (za && zb)
        return 0;
    if (!za)
        rc = load(k->a, off, x, len);
    if (rc == 0 && !zb)
        rc = load(k->b, off, y, len);
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

static bool take(struct compare *k, uint64_t *off, size_t *len)
{
    bool more;

    pthread_mutex_lock(&k->lock);
    *off = k->next;
    more = k->failed == 0 && k->next < k->end && k->next < k->differs;
    *len = min_u64(CHUNK, k->end - *off);
    if (more)
        k->next += *len;
    if (more && k->p->step)
        k->p->step(k->p->arg, k->next, k->end);
    pthread_mutex_unlock(&k->lock);
    return more;
}

static void *work(void *arg)
{
    struct compare *k = arg;
    uint8_t *x = malloc(CHUNK), *y = malloc(CHUNK);
    uint64_t off;
    size_t len;

    while (take(k, &off, &len)) {
        int rc = x && y ? compare_chunk(k, off, len, x, y) : -ENOMEM;

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
    struct compare k = {.a = a, .b = b, .p = p, .differs = UINT64_MAX};
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
