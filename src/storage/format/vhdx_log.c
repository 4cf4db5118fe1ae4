/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx_log.c - the log of a VHDX file: finding what must be replayed, replaying, writing. [MS-VHDX]
 * 2.3.
 *
 * Reading follows 2.3.3: the active sequence is the one with the highest sequence number whose tail
 * lies in it. A log GUID without any such sequence is what a power cut leaves when the writer had
 * just begun (QEMU writes the GUID first): nothing was changed in place then, and the log counts as
 * empty.
 *
 * Writing: each flush is one entry with whole pages, whose tail is the entry itself: the sync
 * before it made the pages of the entry before durable in place. Two entries never share space, so
 * there is a valid sequence at any moment. Should one flush change more pages than go into an
 * entry, it takes several, each in place before the next; sector bitmaps come first, as they mean
 * nothing until a BAT entry says so.
 */
#include <errno.h>
#include <isa-l/crc.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/format/vhdx.h"
#include "storage/map_impl.h"

enum { SECTOR = 4096, CHUNK = 64 << 10, HEAD = sizeof(struct vhdx_log_entry) };
enum { DESC = sizeof(struct vhdx_log_descriptor) };
#define BUDGET (UINT64_C(512) << 20) /* bytes read to find the entries of a log */

/* --- reading --- */

static int log_read(struct vhdx *v, uint64_t at, void *buf, size_t n)
{
    uint64_t len = le32_get(v->h.log_length), off = le64_get(v->h.log_offset);
    size_t some;
    int rc;

    at %= len;
    some = min_u64(n, len - at);
    rc = disk_read(v->m.file, off + at, buf, some);
    return rc == 0 && some < n ? disk_read(v->m.file, off, (uint8_t *)buf + some, n - some) : rc;
}

/* Bytes of the sectors with header and descriptors. */
static uint64_t head_bytes(uint64_t descriptors)
{
    return align_up(HEAD + descriptors * DESC, SECTOR);
}

static bool plausible(const struct vhdx *v, const struct vhdx_log_entry *x)
{
    uint64_t len = le32_get(x->entry_length), log = le32_get(v->h.log_length);

    return memcmp(x->signature, "loge", 4) == 0 && vhdx_guid_same(&x->log_guid, &v->h.log_guid) &&
           len % SECTOR == 0 && len >= SECTOR && len <= log && le32_get(x->tail) % SECTOR == 0 &&
           le32_get(x->tail) < log && le64_get(x->sequence_number) > 0 &&
           head_bytes(le32_get(x->descriptor_count)) <= len;
}

static int checksum_right(struct vhdx *v, uint64_t at, const struct vhdx_log_entry *x, bool *right)
{
    static const size_t field = offsetof(struct vhdx_log_entry, checksum);
    uint64_t len = le32_get(x->entry_length);
    uint8_t *buf = malloc(CHUNK);
    uint32_t c = UINT32_MAX;
    int rc = buf ? 0 : -ENOMEM;

    for (uint64_t i = 0; i < len && rc == 0; i += CHUNK) {
        size_t n = min_u64(CHUNK, len - i);

        rc = log_read(v, at + i, buf, n);
        if (i == 0)
            memset(buf + field, 0, 4);
        c = crc32_iscsi(buf, (int)n, c);
    }
    free(buf);
    *right = ~c == le32_get(x->checksum);
    return rc;
}

static bool descriptor_right(const struct vhdx *v, const struct vhdx_log_entry *x,
                             const struct vhdx_log_descriptor *d)
{
    uint64_t off = le64_get(d->file_offset), len = SECTOR, log = le64_get(v->h.log_offset);
    bool zero = memcmp(d->signature, "zero", 4) == 0;

    if (zero)
        len = le64_get(d->leading);
    else if (memcmp(d->signature, "desc", 4) != 0)
        return false;
    return le64_get(d->sequence_number) == le64_get(x->sequence_number) &&
           (off | len) % SECTOR == 0 && off >= VHDX_REGION_TABLE_1 &&
           range_in(off, len, min_u64(le64_get(x->last_file_offset), INT64_MAX)) &&
           (off >= log + le32_get(v->h.log_length) || off + len <= log);
}

/* Runs fn (may be NULL) over an entry's changes; *right: all of them are as they must be. */
static int walk(struct vhdx *v, uint64_t at, const struct vhdx_log_entry *x, vhdx_change_fn *fn,
                void *arg, bool *right)
{
    uint64_t n = le32_get(x->descriptor_count), data = head_bytes(n);
    uint64_t seq = le64_get(x->sequence_number), log = le32_get(v->h.log_length);
    struct vhdx_log_descriptor d[SECTOR / DESC];
    int rc = 0;

    *right = false;
    for (uint64_t i = 0; i < n && rc == 0; i++) {
        uint64_t in = HEAD + i * DESC, k = in % SECTOR / DESC;
        uint8_t mark[8];

        if (i == 0 || k == 0)
            rc = log_read(v, at + align_down(in, SECTOR), d, sizeof(d));
        if (rc < 0 || !descriptor_right(v, x, &d[k]))
            return rc;
        if (d[k].signature[0] == 'd') {
            if (data + SECTOR > le32_get(x->entry_length))
                return 0;
            rc = log_read(v, at + data, mark, 8);
            if (rc < 0 || memcmp(mark, "data", 4) != 0 || le32_at(mark + 4) != seq >> 32)
                return rc;
            rc = log_read(v, at + data + SECTOR - 4, mark, 4);
            if (rc < 0 || le32_at(mark) != (uint32_t)seq)
                return rc;
            data += SECTOR;
        }
        if (rc == 0 && fn)
            rc = fn(arg, &d[k], le64_get(v->h.log_offset) + (at + data - SECTOR) % log);
    }
    *right = rc == 0;
    return rc;
}

/* The entry at `at`, if there is a whole one. */
static int read_entry(struct vhdx *v, uint64_t at, uint64_t *budget, struct vhdx_log_entry *x,
                      bool *right)
{
    int rc = log_read(v, at, x, sizeof(*x));

    *right = rc == 0 && plausible(v, x);
    if (!*right)
        return rc;
    if (*budget < le32_get(x->entry_length))
        return -E2BIG;
    *budget -= le32_get(x->entry_length);
    rc = checksum_right(v, at, x, right);
    return rc == 0 && *right ? walk(v, at, x, NULL, NULL, right) : rc;
}

/* A run of entries with growing numbers. */
struct run {
    uint64_t at, len, entries;
    struct vhdx_log_entry head;
};

static int read_run(struct vhdx *v, uint64_t *budget, struct run *r)
{
    uint64_t log = le32_get(v->h.log_length);
    int rc = 0;

    r->len = r->entries = 0;
    while (rc == 0 && r->len < log) {
        struct vhdx_log_entry x;
        bool right;

        rc = read_entry(v, r->at + r->len, budget, &x, &right);
        if (rc < 0 || !right || r->len + le32_get(x.entry_length) > log ||
            (r->entries && le64_get(x.sequence_number) != le64_get(r->head.sequence_number) + 1))
            break;
        r->head = x;
        r->len += le32_get(x.entry_length);
        r->entries++;
    }
    return rc;
}

/* Is the head's tail an entry of the run? Its place and how many entries follow. */
static int find_tail(struct vhdx *v, const struct run *r, bool *found, struct vhdx_log *out)
{
    uint64_t log = le32_get(v->h.log_length), at = 0, left = r->entries;
    int rc = 0;

    *found = false;
    while (rc == 0 && left && !*found) {
        struct vhdx_log_entry x;

        *found = (r->at + at) % log == le32_get(r->head.tail);
        if (*found)
            break;
        rc = log_read(v, r->at + at, &x, sizeof(x));
        at += le32_get(x.entry_length);
        left--;
    }
    if (*found)
        *out = (struct vhdx_log){
            .state = VHDX_LOG_FULL,
            .tail = le32_get(r->head.tail),
            .entries = left,
            .sequence = le64_get(r->head.sequence_number),
            .flushed = le64_get(r->head.flushed_file_offset),
            .last = le64_get(r->head.last_file_offset),
        };
    return rc;
}

static int find_active(struct vhdx *v, struct vhdx_log *best)
{
    uint64_t log = le32_get(v->h.log_length), budget = BUDGET;
    struct run r = {0};
    int rc = 0;

    while (rc == 0 && r.at < log) {
        struct vhdx_log found = {.state = VHDX_LOG_EMPTY};
        bool valid = false;

        rc = read_run(v, &budget, &r);
        if (rc == 0 && r.entries)
            rc = find_tail(v, &r, &valid, &found);
        if (valid && found.sequence > best->sequence)
            *best = found;
        r.at += valid ? r.len : SECTOR;
    }
    return rc;
}

int vhdx_log_find(struct vhdx *v, const char *path, struct err *e)
{
    int rc;

    v->log = (struct vhdx_log){.state = VHDX_LOG_EMPTY};
    if (vhdx_guid_none(&v->h.log_guid))
        return 0;
    v->log.state = VHDX_LOG_STUCK;
    rc = find_active(v, &v->log);
    if (rc == -E2BIG)
        return vhdx_bad(path, "its log makes no sense", e);
    if (rc < 0)
        return err_set(e, -rc, "cannot read the log of VHDX image '%s': %s", path, strerror(-rc));
    if (v->log.state == VHDX_LOG_FULL && disk_bytes(v->m.file) < v->log.flushed)
        return vhdx_bad(path, "it was cut short: the log knows of a longer file", e);
    return 0;
}

int vhdx_log_each(struct vhdx *v, vhdx_change_fn *fn, void *arg)
{
    uint64_t at = v->log.tail;
    int rc = 0;

    for (uint64_t i = 0; i < v->log.entries && rc == 0; i++) {
        struct vhdx_log_entry x;
        bool right;

        rc = log_read(v, at, &x, sizeof(x));
        if (rc == 0)
            rc = walk(v, at, &x, fn, arg, &right);
        at += le32_get(x.entry_length);
    }
    return rc;
}

int vhdx_log_sector(struct disk *file, const struct vhdx_log_descriptor *d, uint64_t at,
                    uint8_t out[SECTOR])
{
    int rc = disk_read(file, at, out, SECTOR);

    memcpy(out, &d->leading, 8);
    memcpy(out + SECTOR - 4, &d->trailing, 4);
    return rc;
}

static int put_in_place(void *arg, const struct vhdx_log_descriptor *d, uint64_t at)
{
    struct vhdx *v = arg;
    uint8_t buf[SECTOR];
    int rc;

    if (d->signature[0] == 'z')
        return disk_zero(v->m.file, le64_get(d->file_offset), le64_get(d->leading), true);
    rc = vhdx_log_sector(v->m.file, d, at, buf);
    return rc == 0 ? disk_write(v->m.file, le64_get(d->file_offset), buf, SECTOR) : rc;
}

int vhdx_log_replay(struct vhdx *v)
{
    int rc = 0;

    if (disk_bytes(v->m.file) < v->log.last)
        rc = file_resize(v->m.file, v->log.last);
    if (rc == 0)
        rc = vhdx_log_each(v, put_in_place, v);
    return rc == 0 ? disk_flush(v->m.file) : rc;
}

/* --- writing --- */

size_t vhdx_log_pages(const struct vhdx *v)
{
    uint64_t sectors = le32_get(v->h.log_length) / SECTOR / 2, n = sectors - 1;

    while (head_bytes(n) / SECTOR + n > sectors)
        n--;
    return min_u64(n, 1024);
}

static int log_write(struct vhdx *v, const uint8_t *buf, size_t n)
{
    uint64_t len = le32_get(v->h.log_length), off = le64_get(v->h.log_offset);
    size_t some = min_u64(n, len - v->log_at);
    int rc = disk_write(v->m.file, off + v->log_at, buf, some);

    if (rc == 0 && some < n)
        rc = disk_write(v->m.file, off, buf + some, n - some);
    v->log_at = (uint32_t)((v->log_at + n) % len);
    return rc;
}

static void fill_entry(const struct vhdx *v, uint8_t *buf, size_t bytes, struct stage_write **w,
                       size_t n)
{
    struct vhdx_log_entry h = {
        .entry_length = le32_of((uint32_t)bytes),
        .tail = le32_of(v->log_at),
        .sequence_number = le64_of(v->log_sequence),
        .descriptor_count = le32_of((uint32_t)n),
        .log_guid = v->log_guid,
        .flushed_file_offset = le64_of(v->flushed_end),
        .last_file_offset = le64_of(v->flushed_end),
    };
    uint8_t *data = buf + head_bytes(n);

    memcpy(h.signature, "loge", 4);
    memcpy(buf, &h, sizeof(h));
    for (size_t i = 0; i < n; i++, data += SECTOR) {
        struct vhdx_log_descriptor d = {
            .trailing = le32_of(le32_at(w[i]->data + SECTOR - 4)),
            .leading = le64_of(le64_at(w[i]->data)),
            .file_offset = le64_of(w[i]->off),
            .sequence_number = le64_of(v->log_sequence),
        };

        memcpy(d.signature, "desc", 4);
        memcpy(buf + HEAD + i * DESC, &d, sizeof(d));
        memcpy(data, w[i]->data, SECTOR);
        memcpy(data, "data", 4);
        le32_put(data + 4, (uint32_t)(v->log_sequence >> 32));
        le32_put(data + SECTOR - 4, (uint32_t)v->log_sequence);
    }
    le32_put(buf + 4, vhdx_checksum(buf, bytes));
}

static int write_entry(struct vhdx *v, struct stage_write **w, size_t n)
{
    size_t bytes = head_bytes(n) + n * SECTOR;
    uint8_t *buf = calloc(1, bytes);
    int rc = -ENOMEM;

    if (buf) {
        fill_entry(v, buf, bytes, w, n);
        v->log_sequence++;
        rc = log_write(v, buf, bytes);
    }
    free(buf);
    return rc;
}

/* The first entry must be there before a header says that there is one. */
static int begin_logging(struct vhdx *v)
{
    int rc = v->logging ? 0 : disk_flush(v->m.file);

    if (v->logging || rc < 0)
        return rc;
    v->h.log_guid = v->log_guid;
    v->logging = true;
    return vhdx_put_header(v);
}

static int write_in_place(struct vhdx *v, struct stage_write **w, size_t n)
{
    int rc = disk_flush(v->m.file);

    for (size_t i = 0; i < n && rc == 0; i++)
        rc = disk_write(v->m.file, w[i]->off, w[i]->data, SECTOR);
    return rc == 0 ? disk_flush(v->m.file) : rc;
}

static bool in_bat(const struct vhdx *v, const struct stage_write *w)
{
    return w->off >= v->bat_off && w->off < v->bat_off + v->bat_len;
}

/* The pages to write: what is not the BAT comes first. malloc'd. */
static struct stage_write **pick_pages(struct vhdx *v, size_t *n)
{
    struct stage_write **pages, *w;
    size_t room = 0;

    for (w = v->m.staged; w; w = w->next)
        room++;
    pages = malloc((room + 1) * sizeof(struct stage_write *));
    *n = 0;
    for (int bat = 0; bat < 2 && pages; bat++) {
        for (w = v->m.staged; w; w = w->next) {
            if (w->phase == 1 && in_bat(v, w) == bat)
                pages[(*n)++] = w;
        }
    }
    return pages;
}

int vhdx_journal(struct map *m)
{
    struct vhdx *v = vhdx_of(m);
    size_t n, at = 0, most = vhdx_log_pages(v);
    struct stage_write **pages = pick_pages(v, &n);
    int rc = pages ? 0 : -ENOMEM;

    while (rc == 0 && at < n) {
        size_t some = min_u64(most, n - at);

        rc = write_entry(v, pages + at, some);
        if (rc == 0)
            rc = begin_logging(v);
        if (rc == 0 && at + some < n)
            rc = write_in_place(v, pages + at, some);
        at += some;
    }
    free(pages);
    return rc;
}
