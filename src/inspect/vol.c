/* SPDX-License-Identifier: Apache-2.0 */
/* vol.c - see vol.h. */
#include "inspect/vol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/disk.h"

enum { VOL_DEPTH = 8 }; /* a disk, its slice, a physical volume in it, a logical volume, ... */

static int read_at(const struct vol *v, uint64_t off, void *buf, size_t len, unsigned depth);

static const struct vol_run *run_at(const struct vol *v, uint64_t off)
{
    for (size_t i = 0; i < v->nruns; i++) {
        if (off >= v->runs[i].at && off - v->runs[i].at < v->runs[i].len)
            return &v->runs[i];
    }
    return NULL;
}

static int read_runs(const struct vol *v, uint64_t off, uint8_t *buf, size_t len, unsigned depth)
{
    while (len > 0) {
        const struct vol_run *r = run_at(v, off);
        uint64_t in, chunk, within, n;
        unsigned leg;
        int rc;

        if (!r || r->legs == 0 || r->stripe == 0)
            return -EIO;
        in = off - r->at;
        chunk = in / r->stripe;
        within = in % r->stripe;
        leg = (unsigned)(chunk % r->legs);
        n = min_u64(min_u64(len, r->stripe - within), r->len - in);
        rc = read_at(r->leg[leg].vol, r->leg[leg].off + chunk / r->legs * r->stripe + within, buf,
                     (size_t)n, depth + 1);
        if (rc < 0)
            return rc;
        off += n;
        buf += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Disks want whole sectors. Small reads go through blocks that are kept, large ones do not. */
static int read_block(const struct vol *v, uint64_t at, const uint8_t **out)
{
    size_t slot = (size_t)(at / WORK_BLOCK % WORK_BLOCKS);
    uint64_t n = min_u64(WORK_BLOCK, v->bytes - at);
    struct work *w = v->work;

    *out = w->block[slot].b;
    if (w->block[slot].at == at + 1)
        return 0;
    w->block[slot].at = 0;
    n = align_down(n, v->disk->shape.logical);
    memset(w->block[slot].b + n, 0, (size_t)(WORK_BLOCK - n));
    if (n > 0 && disk_read(v->disk, at, w->block[slot].b, (size_t)n) < 0)
        return -EIO;
    w->block[slot].at = at + 1;
    return 0;
}

static int read_disk(const struct vol *v, uint64_t off, uint8_t *buf, size_t len)
{
    while (len > 0) {
        size_t in = (size_t)(off % WORK_BLOCK), n = (size_t)min_u64(len, WORK_BLOCK - in);
        const uint8_t *b;

        if (in == 0 && len >= 4 * WORK_BLOCK) {
            n = (size_t)align_down(len, WORK_BLOCK);
            if (disk_read(v->disk, off, buf, n) < 0)
                return -EIO;
        } else {
            if (read_block(v, off - in, &b) < 0)
                return -EIO;
            memcpy(buf, b + in, n);
        }
        off += n;
        buf += n;
        len -= n;
    }
    return 0;
}

static int read_at(const struct vol *v, uint64_t off, void *buf, size_t len, unsigned depth)
{
    if (!v || depth > VOL_DEPTH || !range_in(off, len, v->bytes))
        return -EIO;
    if (v->mem) {
        memcpy(buf, v->mem + off, len);
        return 0;
    }
    if (v->disk)
        return read_disk(v, off, buf, len);
    if (v->of)
        return read_at(v->of, v->off + off, buf, len, depth + 1);
    return read_runs(v, off, buf, len, depth);
}

int vol_read(const struct vol *v, uint64_t off, void *buf, size_t len)
{
    struct work *w = v->work;

    if (w->calls == 0 || w->bytes < len)
        return -ETIME;
    w->calls--;
    w->bytes -= len;
    return len == 0 ? 0 : read_at(v, off, buf, len, 0);
}

int vol_step(const struct vol *v)
{
    if (v->work->calls == 0)
        return -ETIME;
    v->work->calls--;
    return 0;
}

void vol_part(struct vol *v, struct vol *of, uint64_t off, uint64_t len)
{
    *v = (struct vol){.work = of->work, .of = of, .off = min_u64(off, of->bytes)};
    v->bytes = min_u64(len, of->bytes - v->off);
}

void vol_disk(struct vol *v, struct disk *d, struct work *w)
{
    *v = (struct vol){.work = w, .disk = d, .bytes = d->shape.bytes};
}

void vol_mem(struct vol *v, const void *mem, size_t len, struct work *w)
{
    *v = (struct vol){.work = w, .mem = mem, .bytes = len};
}

void vol_fini(struct vol *v)
{
    free(v->runs);
    v->runs = NULL;
    v->nruns = 0;
}
