/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2_pack.c - compressed clusters: several share a host cluster, whose count counts them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/format/qcow2.h"
#include "storage/pack.h"

int qcow2_unpack(struct map *m, const struct piece *x, uint8_t *buf)
{
    struct qcow2 *q = qcow2_of(m);
    uint8_t *in = malloc(x->packed); /* at most two clusters */
    int rc = in ? disk_read(x->file, x->at, in, x->packed) : -ENOMEM;

    if (rc == 0 && q->zstd)
        rc = unpack_zstd(in, x->packed, buf, m->cluster);
    else if (rc == 0)
        rc = unpack_deflate(in, x->packed, buf, m->cluster);
    free(in);
    return rc;
}

size_t qcow2_pack(struct disk *d, const uint8_t *in, uint8_t *out, size_t room)
{
    struct qcow2 *q = qcow2_of(map_of(d));

    /* A sector less than plain, or it is not worth an entry. */
    room = min_u64(room, q->m.cluster - DISK_SECTOR);
    return q->zstd ? pack_zstd(in, q->m.cluster, out, room, d->pack_level)
                   : pack_deflate(in, q->m.cluster, out, room, d->pack_level);
}

/* n bytes of space after the last compressed cluster, counted. */
static int packed_space(struct qcow2 *q, size_t n, uint64_t *at)
{
    uint64_t mask = q->m.cluster - 1,
             left = q->packed_at ? q->m.cluster - (q->packed_at & mask) : 0;
    uint64_t old = q->packed_at, fresh;
    int rc;

    if (left >= n) {
        *at = old;
        rc = qcow2_ref_add(q, old >> q->cluster_bits, 1);
        if (rc != -ERANGE) {
            q->packed_at = (old + n) & mask ? old + n : 0;
            return rc;
        }
        left = 0; /* the count is full */
    }
    rc = qcow2_alloc_row(q, 1, &fresh);
    if (rc < 0)
        return rc;
    *at = fresh;
    if (left && fresh == (old | mask) + 1 && qcow2_ref_add(q, old >> q->cluster_bits, 1) == 0)
        *at = old;
    q->packed_at = (*at + n) & mask ? *at + n : 0;
    return 0;
}

static int link_packed(struct qcow2 *q, uint64_t off, uint64_t at, size_t n)
{
    unsigned bits = 62 - (q->cluster_bits - 8);
    uint64_t sectors = ((at + n - 1) >> 9) - (at >> 9), l2, old;
    uint64_t i = off >> q->cluster_bits & ((UINT64_C(1) << q->l2_bits) - 1);
    uint8_t *p;
    int rc = qcow2_l2_for_write(q, off, &l2);

    if (rc == 0)
        rc = meta_change(&q->m, q->m.file, l2 + i * q->entry, q->entry, QCOW2_LINKS, &p);
    if (rc < 0)
        return rc;
    old = be64_at(p);
    be64_put(p, QCOW2_COMPRESSED | sectors << bits | at);
    if (q->extl2)
        be64_put(p + 8, 0);
    return qcow2_drop_entry(q, old);
}

int qcow2_put(struct disk *d, uint64_t off, const uint8_t *packed, size_t n, const uint8_t *plain)
{
    struct map *m = map_of(d);
    struct qcow2 *q = qcow2_of(m);
    uint64_t at = 0;
    int rc;

    if (n == 0)
        return disk_write(d, off, plain, min_u64(m->cluster, d->shape.bytes - off));
    pthread_mutex_lock(&m->lock);
    rc = packed_space(q, n, &at);
    pthread_mutex_unlock(&m->lock);
    if (rc == 0)
        rc = disk_write(m->file, at, packed, n);
    __atomic_store_n(&m->wrote, true, __ATOMIC_RELEASE);
    pthread_mutex_lock(&m->lock);
    if (rc == 0)
        rc = link_packed(q, off, at, n);
    pthread_mutex_unlock(&m->lock);
    if (rc == 0 && meta_full(m->meta))
        rc = map_flush(m);
    return rc;
}
