/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2_snap.c - the table of internal snapshots. */
#include <errno.h>
#include <string.h>

#include "storage/format/qcow2.h"

static int read_text(struct qcow2 *q, uint64_t at, uint32_t n, char *out, size_t room)
{
    size_t some = min_u64(n, room - 1);

    out[some] = 0;
    return disk_read(q->m.file, at, out, some);
}

static int read_one(struct qcow2 *q, uint64_t *at, struct qcow2_snap *s)
{
    struct qcow2_snapshot w;
    uint64_t size = disk_bytes(q->m.file), from = *at, n;
    uint32_t extra, id, name;
    be64 more[2] = {0};

    if (!range_in(from, sizeof(w), size) || disk_read(q->m.file, from, &w, sizeof(w)) < 0)
        return -EINVAL;
    extra = be32_get(w.extra_data_size);
    id = be16_get(w.id_str_size);
    name = be16_get(w.name_size);
    n = sizeof(w) + (uint64_t)extra + id + name;
    if (extra > 4096 || !range_in(from, n, size))
        return -EINVAL;
    *s = (struct qcow2_snap){
        .l1_off = be64_get(w.l1_table_offset),
        .l1_size = be32_get(w.l1_size),
        .date = be32_get(w.date_sec),
        .vm_state = be32_get(w.vm_state_size),
        .bytes = q->m.d.shape.bytes,
    };
    from += sizeof(w);
    if (extra >= 16 && disk_read(q->m.file, from, more, sizeof(more)) == 0) {
        s->vm_state = be64_get(more[0]);
        s->bytes = be64_get(more[1]);
    }
    from += extra;
    if (read_text(q, from, id, s->id, sizeof(s->id)) < 0 ||
        read_text(q, from + id, name, s->name, sizeof(s->name)) < 0)
        return -EIO;
    *at += align_up(n, 8);
    return 0;
}

int qcow2_each_snapshot(struct qcow2 *q, int (*fn)(void *arg, const struct qcow2_snap *s),
                        void *arg, uint64_t *end)
{
    uint64_t at = be64_get(q->h.snapshots_offset);
    uint32_t n = be32_get(q->h.nb_snapshots);
    int rc = n > QCOW2_SNAPSHOTS_MAX ? -EINVAL : 0;

    for (uint32_t i = 0; i < n && rc == 0; i++) {
        struct qcow2_snap s;

        rc = read_one(q, &at, &s);
        if (rc == 0)
            rc = fn(arg, &s);
    }
    *end = at;
    return rc;
}
