/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx_check.c - looks at a VHDX file's headers, log, tables and blocks, and mends them.
 *
 * Nothing that could be read is lost: the log is replayed, copies are made from what is right, a
 * block in the place of another gets a copy of its own, a file that ends inside a block is made
 * longer. What begins past the end of the file was never written, and is let go.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/format/vhdx.h"

struct use {
    uint64_t at, len, index; /* index: in the BAT; UINT64_MAX: a region */
};

struct checker {
    struct vhdx v;
    struct image_report *rep;
    bool repair;
    struct use *uses;
    size_t n, room;
    uint64_t end;    /* of what is used */
    uint64_t copied; /* bytes that blocks in the same place have cost */
};

static int add_use(struct checker *k, uint64_t at, uint64_t len, uint64_t index)
{
    if (k->n == k->room) {
        size_t room = k->room ? k->room * 2 : 256;
        struct use *v = reallocarray(k->uses, room, sizeof(*v));

        if (!v)
            return -ENOMEM;
        k->uses = v;
        k->room = room;
    }
    k->uses[k->n++] = (struct use){at, len, index};
    k->end = max_u64(k->end, at + len);
    return 0;
}

static int put_entry(struct checker *k, uint64_t index, uint64_t entry)
{
    uint8_t buf[8];

    le64_put(buf, entry);
    return disk_write(k->v.m.file, k->v.bat_off + index * 8, buf, 8);
}

static int get_entry(struct checker *k, uint64_t index, uint64_t *entry)
{
    uint8_t buf[8];
    int rc = disk_read(k->v.m.file, k->v.bat_off + index * 8, buf, 8);

    *entry = le64_at(buf);
    return rc;
}

static bool is_bitmap(const struct checker *k, uint64_t index)
{
    uint64_t ratio = UINT64_C(1) << k->v.ratio_bits;

    return index % (ratio + 1) == ratio;
}

static void found(struct checker *k, bool can_mend, uint64_t index, const char *what)
{
    uint64_t ratio = UINT64_C(1) << k->v.ratio_bits, chunk = index / (ratio + 1);

    report(k->rep, FINDING_ERROR, can_mend && k->repair, "%s %llu %s",
           is_bitmap(k, index) ? "the bitmap of chunk" : "block",
           (unsigned long long)(is_bitmap(k, index) ? chunk : index - chunk), what);
}

/* --- one entry --- */

static int mend(struct checker *k, uint64_t index, uint64_t entry)
{
    return k->repair ? put_entry(k, index, entry) : 0;
}

static int check_place(struct checker *k, uint64_t index, uint64_t entry)
{
    uint64_t at = entry & VHDX_BAT_OFFSET, size = disk_bytes(k->v.m.file);
    uint64_t len = is_bitmap(k, index) ? VHDX_BITMAP : vhdx_block(&k->v);

    if (at < MiB) {
        found(k, true, index, "lies in the headers");
        return mend(k, index, 0);
    }
    if (at >= size && !is_bitmap(k, index)) {
        found(k, true, index, "lies past the end of the file");
        return mend(k, index, 0);
    }
    if (!range_in(at, len, VHDX_FILE_MAX)) {
        found(k, false, index, "lies where no file reaches");
        return 0;
    }
    if (at + len > size)
        found(k, true, index, "reaches past the end of the file");
    k->rep->allocated += !is_bitmap(k, index);
    return add_use(k, at, len, index);
}

static int check_partial(struct checker *k, uint64_t index)
{
    uint64_t ratio = UINT64_C(1) << k->v.ratio_bits, entry;
    int rc = get_entry(k, vhdx_bitmap_index(&k->v, index / (ratio + 1)), &entry);

    if (rc == 0 && (entry & VHDX_BAT_STATE) != SB_BLOCK_PRESENT)
        found(k, false, index, "is partly here and has no sector bitmap");
    return rc;
}

static int check_entry(void *arg, uint64_t index, uint64_t entry)
{
    struct checker *k = arg;
    uint64_t state = entry & VHDX_BAT_STATE;
    int rc = 0;

    if (is_bitmap(k, index)) {
        if (state == SB_BLOCK_NOT_PRESENT)
            return 0;
        if (k->v.child && state == SB_BLOCK_PRESENT)
            return check_place(k, index, entry);
        found(k, !k->v.child, index, "is in a state that it cannot be in");
        return k->v.child ? 0 : mend(k, index, 0);
    }
    if (state == 4)
        found(k, false, index, "is in a state that does not exist");
    if (state == PAYLOAD_BLOCK_PARTIALLY_PRESENT && k->v.child)
        rc = check_partial(k, index);
    if (state == PAYLOAD_BLOCK_PARTIALLY_PRESENT && !k->v.child) {
        found(k, true, index, "is partly here in an image without a parent");
        rc = mend(k, index, (entry & VHDX_BAT_OFFSET) | PAYLOAD_BLOCK_FULLY_PRESENT);
    }
    return rc == 0 && vhdx_present(entry) ? check_place(k, index, entry) : rc;
}

/* --- blocks in the same place --- */

static int by_place(const void *a, const void *b)
{
    const struct use *x = a, *y = b;
    bool rx = x->index == UINT64_MAX, ry = y->index == UINT64_MAX;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    if (rx != ry) /* regions come first: they stay */
        return rx ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int copy_block(struct checker *k, uint64_t from, uint64_t to, uint64_t len)
{
    enum { CHUNK = 64 * 1024 };
    uint8_t *buf = malloc(CHUNK);
    int rc = buf ? 0 : -ENOMEM;

    if (rc == 0 && disk_bytes(k->v.m.file) < to + len)
        rc = file_resize(k->v.m.file, to + len);
    for (uint64_t i = 0; i < len && rc == 0; i += CHUNK) {
        rc = disk_read(k->v.m.file, from + i, buf, CHUNK);
        if (rc == 0 && !all_zero(buf, CHUNK))
            rc = disk_write(k->v.m.file, to + i, buf, CHUNK);
    }
    free(buf);
    return rc == 0 ? disk_flush(k->v.m.file) : rc;
}

/* Which of two is right cannot be known, so both get what is there. */
static int separate(struct checker *k, const struct use *u)
{
    uint64_t to = align_up(max_u64(k->end, disk_bytes(k->v.m.file)), MiB), entry;
    bool can = k->copied + u->len <= max_u64(disk_bytes(k->v.m.file), GiB) &&
               range_in(to, u->len, VHDX_FILE_MAX);
    int rc = 0;

    found(k, can, u->index, "shares its place with something else");
    if (!can || !k->repair)
        return 0;
    k->copied += u->len;
    rc = copy_block(k, u->at, to, u->len);
    if (rc == 0)
        rc = get_entry(k, u->index, &entry);
    if (rc == 0)
        rc = put_entry(k, u->index, to | (entry & VHDX_BAT_STATE));
    k->end = to + u->len;
    return rc;
}

/* Of two that overlap the later one moves, unless it is a region. */
static int check_overlaps(struct checker *k)
{
    const struct use *last = NULL;
    int rc = 0;

    if (k->n)
        qsort(k->uses, k->n, sizeof(*k->uses), by_place);
    for (size_t i = 0; i < k->n && rc == 0; i++) {
        const struct use *u = &k->uses[i];

        if (last && last->at + last->len > u->at) {
            bool keep_new = u->index == UINT64_MAX && last->index != UINT64_MAX;

            rc = separate(k, keep_new ? last : u);
            if (!keep_new)
                continue;
        }
        if (!last || last->at + last->len < u->at + u->len)
            last = u;
    }
    return rc;
}

/* --- the rest --- */

static int check_end(struct checker *k)
{
    struct disk *file = k->v.m.file;
    uint64_t end = align_up(k->end, MiB), size = disk_bytes(file);
    int rc = 0;

    k->rep->image_end = end;
    if (size > end && !k->v.foreign) {
        report(k->rep, FINDING_LEAK, k->repair, "%llu bytes at the end are not used",
               (unsigned long long)(size - end));
        if (k->repair)
            rc = disk_flush(file);
    } else if (size >= end) {
        return 0;
    }
    return rc == 0 && k->repair && file->shape.grows ? file_resize(file, end) : rc;
}

static int check_headers(struct checker *k)
{
    struct vhdx *v = &k->v;
    bool renew = !v->both || v->log.state == VHDX_LOG_STUCK;
    int rc;

    if (!v->both)
        report(k->rep, FINDING_ERROR, k->repair, "one of the two headers is damaged");
    if (v->log.state == VHDX_LOG_STUCK)
        report(
            k->rep, FINDING_ERROR, k->repair,
            "a log was begun and nothing whole is in it; some programs cannot write to the image "
            "any more");
    if (v->log.state == VHDX_LOG_FULL)
        report(k->rep, FINDING_NOTE, k->repair,
               "the log holds %llu entries that may not be in place",
               (unsigned long long)v->log.entries);
    if (v->log.state == VHDX_LOG_FULL)
        rc = vhdx_apply_log(v, NULL);
    else
        rc = renew && k->repair ? vhdx_renew_headers(v, false, false) : 0;
    return rc;
}

static int check_tables(struct checker *k)
{
    struct vhdx *v = &k->v;
    int rc = 0;

    if (v->tables_differ) {
        report(k->rep, FINDING_ERROR, k->repair, "the region tables are not alike");
        rc = k->repair ? vhdx_put_regions(v) : 0;
    }
    k->rep->clusters = v->blocks;
    if (rc == 0)
        rc = add_use(k, 0, MiB, UINT64_MAX);
    if (rc == 0)
        rc = add_use(k, v->bat_off, v->bat_len, UINT64_MAX);
    if (rc == 0)
        rc = add_use(k, v->meta_off, v->meta_len, UINT64_MAX);
    if (rc == 0 && le32_get(v->h.log_length))
        rc = add_use(k, le64_get(v->h.log_offset), le32_get(v->h.log_length), UINT64_MAX);
    if (rc == 0)
        rc = vhdx_each_entry(v, check_entry, k);
    if (rc == 0)
        rc = check_overlaps(k);
    return rc == 0 ? check_end(k) : rc;
}

int vhdx_check(struct disk *file, const struct disk_cfg *c, bool repair, struct image_report *rep,
               struct err *e)
{
    struct checker k = {.v.m.file = file, .rep = rep, .repair = repair};
    struct err why;
    int rc = vhdx_load_headers(&k.v, c->path, &why);

    if (rc == 0)
        rc = vhdx_log_find(&k.v, c->path, &why);
    if (rc < 0) {
        report(rep, FINDING_ERROR, false, "%s", why.msg);
        return 0;
    }
    rc = check_headers(&k);
    if (rc == 0 && vhdx_load_tables(&k.v, c->path, &why) < 0)
        report(rep, FINDING_ERROR, false, "%s", why.msg);
    else if (rc == 0)
        rc = check_tables(&k);
    if (rc == 0 && repair)
        rc = disk_flush(file);
    vhdx_unview(&k.v, file);
    free(k.uses);
    return rc < 0 ? err_set(e, -rc, "cannot check '%s': %s", c->path, strerror(-rc)) : 0;
}
