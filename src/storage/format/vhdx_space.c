/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx_space.c - which MiB of a VHDX file are in use, found by looking at every BAT entry before
 * the first write. What no entry names is free, whatever a power cut or another program left there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/format/vhdx.h"

/* --- every entry --- */

struct walk {
    struct vhdx *v;
    vhdx_entry_fn *fn;
    void *arg;
    uint64_t end; /* of the part of the BAT that the disk needs */
    int rc;
};

static int walk_data(struct walk *w, uint64_t at, uint64_t end)
{
    enum { CHUNK = 64 << 10 };
    uint8_t *buf = malloc(CHUNK);
    int rc = buf ? 0 : -ENOMEM;

    while (rc == 0 && at < end) {
        size_t n = min_u64(CHUNK, end - at);

        rc = disk_read(w->v->m.file, at, buf, n);
        for (size_t i = 0; i < n && rc == 0; i += 8) {
            uint64_t entry = le64_at(buf + i);

            if (entry)
                rc = w->fn(w->arg, (at + i - w->v->bat_off) / 8, entry);
        }
        at += n;
    }
    free(buf);
    return rc;
}

static int walk_extent(void *arg, const struct extent *x)
{
    struct walk *w = arg;
    uint64_t from = align_down(x->off, 8), to = min_u64(align_up(x->off + x->len, 8), w->end);

    /* an entry that two extents share is looked at in the first, as are the bytes after it */
    if (x->off % 8)
        from += 8;
    if (x->kind == EXTENT_DATA && from < to)
        w->rc = walk_data(w, from, to);
    return w->rc;
}

/* A table for 64 TiB has up to 512 MiB, mostly holes of the host file, which are not read. */
int vhdx_each_entry(struct vhdx *v, vhdx_entry_fn *fn, void *arg)
{
    uint64_t bytes = vhdx_entries(v, v->m.d.shape.bytes) * 8;
    struct walk w = {.v = v, .fn = fn, .arg = arg, .end = v->bat_off + bytes};
    int rc = disk_extents(v->m.file, v->bat_off, bytes, walk_extent, &w);

    return w.rc ? w.rc : rc;
}

/* --- space --- */

struct space {
    struct vhdx *v;
    uint8_t *used; /* a bit for each MiB */
    uint64_t size; /* MiB of the file */
    const char *why;
};

static bool take(struct space *s, uint64_t off, uint64_t len)
{
    uint64_t first = off / MiB, n = len / MiB;

    if (!range_in(first, n, s->size)) {
        s->why = "a block lies past the end of the file";
        return false;
    }
    for (uint64_t i = first; i < first + n; i++) {
        if (s->used[i / 8] >> i % 8 & 1) {
            s->why = "two blocks lie in the same place";
            return false;
        }
        s->used[i / 8] |= (uint8_t)(1u << i % 8);
    }
    s->v->m.end = max_u64(s->v->m.end, off + len);
    return true;
}

static int take_entry(void *arg, uint64_t index, uint64_t entry)
{
    struct space *s = arg;
    uint64_t ratio = UINT64_C(1) << s->v->ratio_bits;
    bool bitmap = index % (ratio + 1) == ratio;

    if (!vhdx_present(entry) || (bitmap && !s->v->child))
        return 0;
    if (!bitmap)
        s->v->allocated++;
    return take(s, entry & VHDX_BAT_OFFSET, bitmap ? VHDX_BITMAP : vhdx_block(s->v)) ? 0 : -EINVAL;
}

/* Free space below the end goes to the pool. */
static void fill_pool(struct space *s)
{
    uint64_t end = s->v->m.end / MiB, i = 0;

    while (i < end) {
        uint64_t n = 0;

        while (i + n < end && !(s->used[(i + n) / 8] >> (i + n) % 8 & 1))
            n++;
        if (n)
            map_unalloc(&s->v->m, i * MiB, n * MiB);
        i += n ? n : 1;
    }
}

int vhdx_scan(struct vhdx *v, const char *path, struct err *e)
{
    struct space s = {.v = v, .size = align_up(disk_bytes(v->m.file), MiB) / MiB};
    int rc = 0;

    if (disk_bytes(v->m.file) > VHDX_FILE_MAX)
        return vhdx_bad(path, "its file is longer than any disk needs", e);
    s.used = calloc(1, s.size / 8 + 1);
    if (!s.used)
        return err_set(e, ENOMEM, "no memory to open VHDX image '%s'", path);
    v->m.end = MiB;
    v->allocated = 0;
    if (!take(&s, 0, MiB) || !take(&s, v->bat_off, v->bat_len) ||
        !take(&s, v->meta_off, v->meta_len) ||
        !take(&s, le64_get(v->h.log_offset), le32_get(v->h.log_length)))
        rc = -EINVAL;
    if (rc == 0)
        rc = vhdx_each_entry(v, take_entry, &s);
    if (rc == 0 && v->foreign) /* whose space is not known to be free */
        v->m.end = max_u64(v->m.end, align_up(disk_bytes(v->m.file), MiB));
    else if (rc == 0)
        fill_pool(&s);
    v->m.virgin = max_u64(v->m.end, disk_bytes(v->m.file));
    free(s.used);
    if (rc == -EINVAL && s.why)
        return vhdx_bad(path, s.why, e);
    return rc < 0 ? err_set(e, -rc, "cannot read the block table of VHDX image '%s': %s", path,
                            strerror(-rc))
                  : 0;
}
