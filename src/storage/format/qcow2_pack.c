/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2_pack.c - compressed clusters: several share a host cluster, whose count counts them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/format/qcow2.h"
#include "storage/pack.h"

enum { ROW = 64 };

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
    if (rc != 0)
        return rc;
    old = be64_at(p);
    be64_put(p, QCOW2_COMPRESSED | sectors << bits | at);
    if (q->extl2)
        be64_put(p + 8, 0);
    return qcow2_drop_entry(q, old);
}

/* Clusters that all compress, ROW at most: space, data, and then the links to it. What is adjacent
 * in memory and in the file is one write. */
static int put_row(struct qcow2 *q, const struct packed *v, size_t n)
{
    struct map *m = &q->m;
    uint64_t at[ROW];
    int rc = 0;

    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = packed_space(q, v[i].len, &at[i]);
    pthread_mutex_unlock(&m->lock);
    for (size_t i = 0, end; i < n && rc == 0; i = end) {
        size_t len = v[i].len;

        for (end = i + 1; end < n && at[end] == at[i] + len && v[end].data == v[i].data + len;)
            len += v[end++].len;
        rc = disk_write(m->file, at[i], v[i].data, len);
    }
    __atomic_store_n(&m->wrote, true, __ATOMIC_RELEASE);
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = link_packed(q, v[i].off, at[i], v[i].len);
    pthread_mutex_unlock(&m->lock);
    return rc == 0 && meta_full(m->meta) ? map_flush(m) : rc;
}

int qcow2_put(struct disk *d, const struct packed *v, size_t n)
{
    struct map *m = map_of(d);
    int rc = 0;

    for (size_t i = 0, row; i < n && rc == 0; i += row) {
        for (row = 0; i + row < n && row < ROW && v[i + row].len;)
            row++;
        if (row) {
            rc = put_row(qcow2_of(m), v + i, row);
        } else {
            rc =
                disk_write(d, v[i].off, v[i].plain, min_u64(m->cluster, d->shape.bytes - v[i].off));
            row = 1;
        }
    }
    return rc;
}
