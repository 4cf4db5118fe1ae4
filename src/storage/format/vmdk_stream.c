/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk_stream.c - stream-optimized extents: compressed grains in the order of the disk, each behind
 * a marker that names it, so that a receiver needs no table and a sender need not look back.
 *
 * Layout: header | descriptor | grains, after those of each table the table | directory | footer |
 * end-of-stream. The header says that the directory is at the end, and the footer says where.
 *
 * Reading: by the directory; where there is none (a receiver that kept what came before the footer)
 * by an index of the markers, if the stream came to its end. Writing: once, in order, by put().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/format/vmdk.h"
#include "storage/pack.h"

enum { PLACES_MAX = 4 << 20, TRAILER = 3 * VMDK_SECTOR };

/* --- reading: where is the directory? --- */

/* The footer's header, when the file ends as a stream does. */
static bool read_footer(struct disk *file, struct sparse_extent_header *h)
{
    uint64_t size = align_down(disk_bytes(file), VMDK_SECTOR);
    struct metadata_marker m;

    if (size < 2 * TRAILER || disk_read(file, size - TRAILER, &m, sizeof(m)) < 0 ||
        disk_read(file, size - TRAILER + VMDK_SECTOR, h, sizeof(*h)) < 0)
        return false;
    return le32_get(m.size) == 0 && le32_get(m.type) == MARKER_FOOTER &&
           le32_get(h->magicNumber) == SPARSE_MAGICNUMBER && le64_get(h->gdOffset) != GD_AT_END;
}

static int add_place(struct vmdk_extent *x, size_t *room, uint64_t grain, uint64_t at)
{
    if (x->place_count == *room) {
        size_t n = *room ? *room * 2 : 1024;
        struct vmdk_place *v;

        if (n > PLACES_MAX)
            return -EFBIG;
        v = reallocarray(x->places, n, sizeof(*v));
        if (!v)
            return -ENOMEM;
        x->places = v;
        *room = n;
    }
    x->places[x->place_count++] =
        (struct vmdk_place){(uint32_t)grain, (uint32_t)(at / VMDK_SECTOR)};
    return 0;
}

static int by_grain(const void *a, const void *b)
{
    const struct vmdk_place *x = a, *y = b;

    if (x->grain != y->grain)
        return x->grain < y->grain ? -1 : 1;
    return x->sector < y->sector ? -1 : x->sector > y->sector;
}

/* In order, and of two with the same name the later. */
static void sort_places(struct vmdk_extent *x)
{
    size_t n = 0;

    if (x->place_count)
        qsort(x->places, x->place_count, sizeof(*x->places), by_grain);
    for (size_t i = 0; i < x->place_count; i++) {
        if (n && x->places[n - 1].grain == x->places[i].grain)
            n--;
        x->places[n++] = x->places[i];
    }
    x->place_count = n;
}

/* One marker at *at; 1: go on, 0: the stream stops here, *whole: as it should. */
static int step(struct vmdk_extent *x, uint64_t *at, size_t *room, bool *whole)
{
    uint64_t size = disk_bytes(x->file), value, len, grain_sectors = x->grain / VMDK_SECTOR;
    uint8_t m[16];
    int rc;

    if (!range_in(*at, sizeof(m), size))
        return 0;
    rc = disk_read(x->file, *at, m, sizeof(m));
    if (rc < 0)
        return rc;
    value = le64_at(m);
    len = le32_at(m + 8);
    if (len == 0) {
        if (le32_at(m + 12) == MARKER_EOS || le32_at(m + 12) == MARKER_GD)
            *whole = true;
        if (*whole || le32_at(m + 12) != MARKER_GT || value > size / VMDK_SECTOR)
            return 0;
        *at += VMDK_SECTOR + value * VMDK_SECTOR;
        return 1;
    }
    if (value % grain_sectors || value * VMDK_SECTOR >= align_up(x->len, x->grain) ||
        value > INT64_MAX / VMDK_SECTOR || len > x->grain * 2 ||
        !range_in(*at, sizeof(struct grain_marker) + len, size) || *at / VMDK_SECTOR > UINT32_MAX)
        return 0;
    rc = add_place(x, room, value / grain_sectors, *at);
    *at = align_up(*at + sizeof(struct grain_marker) + len, VMDK_SECTOR);
    return rc < 0 ? rc : 1;
}

/* Where grains may begin, behind header and descriptor; 0: the header says no place in the file. */
static uint64_t first_grain(const struct vmdk_extent *x)
{
    uint64_t sectors = disk_bytes(x->file) / VMDK_SECTOR, head = le64_get(x->h.overHead);
    uint64_t text = le64_get(x->h.descriptorOffset), n = le64_get(x->h.descriptorSize);

    if (head == 0 || head > sectors || (text && (!range_in(text, n, sectors) || text + n > head)))
        return 0;
    return head * VMDK_SECTOR;
}

static int index_markers(struct vmdk_extent *x, bool *whole)
{
    uint64_t at = first_grain(x);
    size_t room = 0;
    int rc;

    *whole = false;
    x->places = malloc(sizeof(*x->places)); /* not NULL: this extent is read by index */
    x->place_count = 0;
    if (!x->places)
        return -ENOMEM;
    if (at == 0)
        return 0;
    while ((rc = step(x, &at, &room, whole)) > 0)
        ;
    x->end = at;
    sort_places(x);
    return rc;
}

int vmdk_stream_locate(struct vmdk_extent *x, const char *path, bool forgiving, struct err *e)
{
    uint64_t gd = le64_get(x->h.gdOffset);
    struct sparse_extent_header footer;
    bool whole;
    int rc;

    if (gd != GD_AT_END && gd < disk_bytes(x->file) / VMDK_SECTOR)
        return 0;
    if (gd == GD_AT_END && read_footer(x->file, &footer) &&
        le64_get(footer.gdOffset) < disk_bytes(x->file) / VMDK_SECTOR) {
        x->h.gdOffset = footer.gdOffset;
        return 0;
    }
    if (!(le32_get(x->h.flags) & SPARSE_MARKERS))
        return vmdk_bad(path, "its grain directory lies outside the file", e);
    rc = index_markers(x, &whole);
    if (rc < 0)
        return err_set(e, -rc, "cannot index the stream of VMDK image '%s': %s", path,
                       strerror(-rc));
    x->odd = !whole;
    if (!whole && !forgiving)
        return err_set(e, EINVAL,
                       "VMDK image '%s' is a stream that was cut off; get it anew, or have 'hospes "
                       "image check --repair' make an image of what is there",
                       path);
    return 0;
}

/* --- writing --- */

struct stream {
    struct disk d;
    struct disk *file;
    struct sparse_extent_header h;
    uint64_t grain, pos; /* bytes; pos: where the next grain goes */
    uint64_t next;       /* of the disk: what may come next */
    uint32_t *gd, gd_count, gt_number;
    uint8_t gt[VMDK_GT_ENTRIES * 4];
    bool gt_used, ended; /* ended: the trailer on disk is right */
    uint8_t *buf;        /* a grain, packed, with its marker */
    size_t room;
};

static struct stream *stream_of(struct disk *d)
{
    return container_of(d, struct stream, d);
}

static int write_marker(struct disk *file, uint64_t at, uint32_t type, uint64_t sectors)
{
    struct metadata_marker m = {.numSectors = le64_of(sectors), .type = le32_of(type)};

    return disk_write(file, at, &m, sizeof(m));
}

/* Directory, footer and end at `at`. */
static int write_trailer(struct disk *file, const struct sparse_extent_header *h, uint64_t at,
                         const uint32_t *gd, uint32_t n)
{
    uint64_t sectors = ((uint64_t)n * 4 + VMDK_SECTOR - 1) / VMDK_SECTOR;
    struct sparse_extent_header footer = *h;
    uint8_t *raw = calloc(sectors, VMDK_SECTOR);
    int rc = raw ? write_marker(file, at, MARKER_GD, sectors) : -ENOMEM;

    for (uint32_t i = 0; i < n && raw && gd; i++)
        le32_put(raw + (size_t)i * 4, gd[i]);
    at += VMDK_SECTOR;
    if (rc == 0)
        rc = disk_write(file, at, raw, sectors * VMDK_SECTOR);
    free(raw);
    footer.gdOffset = le64_of(at / VMDK_SECTOR);
    at += sectors * VMDK_SECTOR;
    if (rc == 0)
        rc = write_marker(file, at, MARKER_FOOTER, 1);
    if (rc == 0)
        rc = disk_write(file, at + VMDK_SECTOR, &footer, sizeof(footer));
    if (rc == 0)
        rc = write_marker(file, at + 2 * VMDK_SECTOR, MARKER_EOS, 0);
    if (rc == 0 && file->shape.grows)
        rc = file_resize(file, at + TRAILER);
    return rc;
}

static uint32_t directory_size(const struct sparse_extent_header *h)
{
    uint64_t span = le64_get(h->grainSize) * le32_get(h->numGTEsPerGT);

    return (uint32_t)((le64_get(h->capacity) + span - 1) / span);
}

int vmdk_stream_empty(struct disk *file, const struct sparse_extent_header *h)
{
    return write_trailer(file, h, le64_get(h->overHead) * VMDK_SECTOR, NULL, directory_size(h));
}

/* The table of the grains so far; *at moves behind it. */
static int write_table(struct disk *file, uint64_t *at, const uint8_t *gt, uint32_t *entry)
{
    uint64_t sectors = VMDK_GT_ENTRIES * 4 / VMDK_SECTOR;
    int rc = write_marker(file, *at, MARKER_GT, sectors);

    if (rc == 0)
        rc = disk_write(file, *at + VMDK_SECTOR, gt, VMDK_GT_ENTRIES * 4);
    if ((*at + VMDK_SECTOR) / VMDK_SECTOR > UINT32_MAX)
        rc = -EFBIG;
    *entry = (uint32_t)((*at + VMDK_SECTOR) / VMDK_SECTOR);
    *at += (sectors + 1) * VMDK_SECTOR;
    return rc;
}

/* What has come so far becomes a whole image; more may come over its trailer. */
static int end_stream(struct stream *s)
{
    uint64_t at = s->pos;
    uint32_t *entry = &s->gd[s->gt_number];
    int rc = 0;

    if (s->ended)
        return 0;
    if (s->gt_used)
        rc = write_table(s->file, &at, s->gt, entry);
    if (rc == 0)
        rc = write_trailer(s->file, &s->h, at, s->gd, s->gd_count);
    if (s->gt_used)
        *entry = 0;
    s->ended = rc == 0;
    return rc == 0 ? disk_flush(s->file) : rc;
}

/* The entry for the grain at off: a new table when the last one is full. */
static int enter(struct stream *s, uint64_t off)
{
    uint64_t grain = off / s->grain;
    uint32_t number = (uint32_t)(grain / VMDK_GT_ENTRIES);
    int rc = 0;

    if (s->gt_used && number != s->gt_number) {
        rc = write_table(s->file, &s->pos, s->gt, &s->gd[s->gt_number]);
        memset(s->gt, 0, sizeof(s->gt));
        s->gt_used = false;
    }
    if (s->pos / VMDK_SECTOR > UINT32_MAX)
        return -EFBIG;
    s->gt_number = number;
    s->gt_used = true;
    le32_put(s->gt + grain % VMDK_GT_ENTRIES * 4, (uint32_t)(s->pos / VMDK_SECTOR));
    return rc;
}

size_t vmdk_pack(struct disk *d, const uint8_t *in, uint8_t *out, size_t room)
{
    return pack_zlib(in, d->pack, out, room, d->pack_level);
}

static int put_grain(struct stream *s, const struct packed *x)
{
    struct grain_marker m = {.lba = le64_of(x->off / VMDK_SECTOR)};
    size_t n = x->len, len;
    int rc;

    if (x->off % s->grain || x->off < s->next)
        return -EINVAL;
    if (n == 0)
        n = pack_zlib_stored(x->plain, s->grain, s->buf + sizeof(m), s->room - sizeof(m));
    else if (n <= s->room - sizeof(m))
        memcpy(s->buf + sizeof(m), x->data, n);
    else
        return -EINVAL;
    s->ended = false;
    rc = enter(s, x->off);
    m.size = le32_of((uint32_t)n);
    memcpy(s->buf, &m, sizeof(m));
    len = align_up(sizeof(m) + n, VMDK_SECTOR);
    memset(s->buf + sizeof(m) + n, 0, len - sizeof(m) - n);
    if (rc == 0)
        rc = disk_write(s->file, s->pos, s->buf, len);
    s->pos += len;
    s->next = x->off + s->grain;
    return rc;
}

int vmdk_put(struct disk *d, const struct packed *v, size_t n)
{
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++)
        rc = put_grain(stream_of(d), &v[i]);
    return rc;
}

/* Only the end of the stream is asked for, and zeroes where there is nothing yet. */
static int stream_now(struct disk *d, struct disk_req *r)
{
    struct stream *s = stream_of(d);

    switch (r->op) {
    case DISK_FLUSH:
        return end_stream(s);
    case DISK_ZERO:
    case DISK_TRIM:
        return r->off >= s->next ? 0 : -ENOTSUP;
    case DISK_READ:
        if (r->off < s->next)
            return -ENOTSUP;
        for (unsigned i = 0; i < r->iovcnt; i++)
            memset(r->iov[i].iov_base, 0, r->iov[i].iov_len);
        return 0;
    case DISK_WRITE:
        return -EROFS;
    }
    return -EINVAL;
}

static void stream_close(struct disk *d)
{
    struct stream *s = stream_of(d);

    if (!s->ended)
        (void)!end_stream(s);
    disk_close(s->file);
    disk_fini(d);
    free(s->gd);
    free(s->buf);
    free(s);
}

static const struct disk_ops stream_ops = {
    .name = "vmdk stream",
    .close = stream_close,
    .now = stream_now,
};

int vmdk_stream_writer(struct disk *file, const struct vmdk_extent *x, const char *path,
                       struct loop *l, struct disk **out, struct err *e)
{
    struct stream *s = calloc(1, sizeof(*s));

    if (x->per_gt != VMDK_GT_ENTRIES || first_grain(x) == 0) {
        free(s);
        return vmdk_bad(path, "its header does not fit a stream", e);
    }
    if (s) {
        s->room = x->grain * 2;
        s->gd = calloc(x->gd_count ? x->gd_count : 1, sizeof(*s->gd));
        s->buf = malloc(s->room + VMDK_SECTOR);
    }
    if (!s || !s->gd || !s->buf) {
        if (s) {
            free(s->gd);
            free(s->buf);
        }
        free(s);
        return err_set(e, ENOMEM, "no memory to open VMDK image '%s'", path);
    }
    disk_init(&s->d, &stream_ops, l);
    s->d.shape = (struct disk_shape){.bytes = x->len, .logical = DISK_SECTOR, .physical = 4096};
    s->d.pack = (uint32_t)x->grain;
    s->d.pack_levels = PACK_ZLIB_LEVELS;
    s->d.pack_only = true;
    s->file = file;
    s->h = x->h;
    s->h.gdOffset = le64_of(GD_AT_END);
    s->grain = x->grain;
    s->gd_count = x->gd_count;
    s->pos = first_grain(x);
    s->ended = true;
    *out = &s->d;
    return 0;
}

/* --- mending --- */

int vmdk_stream_mend(struct vmdk_extent *x)
{
    uint8_t gt[VMDK_GT_ENTRIES * 4] = {0};
    uint32_t n = directory_size(&x->h), number = UINT32_MAX;
    uint32_t *gd = calloc(n ? n : 1, sizeof(*gd));
    uint64_t at = x->end;
    le64 end = le64_of(GD_AT_END);
    int rc = gd ? 0 : -ENOMEM;

    for (size_t i = 0; i < x->place_count && rc == 0; i++) {
        const struct vmdk_place *p = &x->places[i];

        if (number != UINT32_MAX && p->grain / VMDK_GT_ENTRIES != number) {
            rc = write_table(x->file, &at, gt, &gd[number]);
            memset(gt, 0, sizeof(gt));
        }
        number = p->grain / VMDK_GT_ENTRIES;
        le32_put(gt + (size_t)(p->grain % VMDK_GT_ENTRIES) * 4, p->sector);
    }
    if (rc == 0 && number != UINT32_MAX)
        rc = write_table(x->file, &at, gt, &gd[number]);
    x->h.gdOffset = end;
    if (rc == 0)
        rc = write_trailer(x->file, &x->h, at, gd, n);
    free(gd);
    if (rc == 0)
        rc = disk_flush(x->file);
    if (rc == 0)
        rc = disk_write(x->file, offsetof(struct sparse_extent_header, gdOffset), &end, 8);
    return rc == 0 ? disk_flush(x->file) : rc;
}
