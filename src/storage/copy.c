/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.c - the content of one disk into another.
 *
 * Workers take chunks in order. Each reads its chunk and looks for zeroes, or packs its clusters,
 * at the same time as the others; then, in its turn, it takes space for what it found, so that the
 * result is laid out in order and is the same every time; then it writes, again beside the others.
 * Compressed clusters are written in turn. What no image of the source's chain holds is never read.
 * Where the file systems can share blocks (reflinks) nothing is copied at all.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/format/format.h"
#include "storage/image.h"
#include "storage/map.h"

enum {
    THREADS_MAX = 8,
    CHUNK = 1 << 19, /* fits the second-level cache; a larger cluster goes by parts */
    PIECES = 2048,
    PAGE = 4096,
    SHARE_MIN = 64 * 1024
};

/* What the walk over the source's extents has not handed out yet. */
struct run {
    uint64_t off, len;
    struct disk *file;
    uint64_t file_off;
    bool zero;
};

struct copier {
    struct disk *src, *dst;
    struct map *map; /* dst as a map, or NULL */
    const struct copy_cfg *c;
    uint64_t unit; /* bytes: zeroes are looked for in pieces of this size */
    size_t chunk;  /* handed out at once */
    size_t room;   /* of a worker's buffers */
    bool share;    /* reflinks are worth a try; atomic */

    /* One thread writes at a time: the kernel lets one in anyway, and the others would spin. */
    pthread_mutex_t writing;

    pthread_mutex_t lock;
    pthread_cond_t turn;
    uint64_t taken, placed; /* chunks handed out, chunks that have had their turn */
    struct run *runs;       /* of the source, in order */
    size_t run_count, run_room, run_at;
    uint64_t done, total;
    int failed;
};

struct worker {
    struct copier *k;
    uint8_t *in, *out;
    struct packed *packed; /* clusters of a chunk; NULL: nothing is compressed */
    struct piece pieces[PIECES];
};

bool all_zero(const void *p, size_t n)
{
    const uint8_t *b = p;
    size_t some = min_u64(n, 16); /* so that the long comparison is of aligned halves */

    for (size_t i = 0; i < some; i++) {
        if (b[i])
            return false;
    }
    return memcmp(b, b + some, n - some) == 0;
}

/* --- what to copy --- */

static int append_run(struct copier *k, const struct run *r)
{
    if (!k->runs || k->run_count == k->run_room) {
        size_t room = k->run_room ? k->run_room * 2 : 64;
        struct run *v = reallocarray(k->runs, room, sizeof(*v));

        if (!v)
            return -ENOMEM;
        k->runs = v;
        k->run_room = room;
    }
    k->runs[k->run_count++] = *r;
    k->total += r->len;
    return 0;
}

/* Runs are made of whole units, so that each cluster of dst is in one chunk. One with both data
 * and zeroes counts as data. */
static int add_run(void *arg, const struct extent *x)
{
    struct copier *k = arg;
    struct run *last = k->run_count ? &k->runs[k->run_count - 1] : NULL;
    uint64_t end = x->off + x->len, last_end = last ? last->off + last->len : 0;
    struct run r = {x->off, x->len, x->file, x->file_off, x->kind != EXTENT_DATA};

    if (r.zero && k->c->blank)
        return 0;
    r.off = r.zero ? align_up(r.off, k->unit) : align_down(r.off, k->unit);
    if (!r.zero)
        end = min_u64(align_up(end, k->unit), k->src->shape.bytes);
    else if (end != k->src->shape.bytes)
        end = align_down(end, k->unit);
    r.off = max_u64(r.off, last_end);
    if (r.off >= end)
        return 0;
    if (r.off != x->off || end != x->off + x->len || r.file_off == UINT64_MAX)
        r.file = NULL;
    r.len = end - r.off;
    if (!last || last_end != r.off || last->zero != r.zero || last->file != r.file ||
        (r.file && last->file_off + last->len != r.file_off))
        return append_run(k, &r);
    last->len += r.len;
    k->total += r.len;
    return 0;
}

/* The next chunk, which never crosses a multiple of the chunk size; false: no more. */
static bool take_chunk(struct copier *k, struct run *r, uint64_t *ticket)
{
    struct run *from;
    bool more;

    pthread_mutex_lock(&k->lock);
    more = k->run_at < k->run_count && k->failed == 0;
    if (more) {
        uint64_t end;

        from = &k->runs[k->run_at];
        *r = *from;
        end = from->zero ? r->off + r->len : align_down(r->off, k->chunk) + k->chunk;
        r->len = min_u64(r->len, end - r->off);
        from->off += r->len;
        from->len -= r->len;
        from->file_off += from->file ? r->len : 0;
        if (from->len == 0)
            k->run_at++;
        *ticket = k->taken++;
    }
    pthread_mutex_unlock(&k->lock);
    return more;
}

static void wait_turn(struct copier *k, uint64_t ticket)
{
    pthread_mutex_lock(&k->lock);
    while (k->placed != ticket)
        pthread_cond_wait(&k->turn, &k->lock);
    pthread_mutex_unlock(&k->lock);
}

static void end_turn(struct copier *k, uint64_t len, int rc)
{
    pthread_mutex_lock(&k->lock);
    if (rc < 0 && k->failed == 0)
        k->failed = rc;
    k->placed++;
    k->done += len;
    if (k->c->progress.step)
        k->c->progress.step(k->c->progress.arg, k->done, k->total);
    pthread_cond_broadcast(&k->turn);
    pthread_mutex_unlock(&k->lock);
}

/* --- one chunk, plain --- */

/* Blocks of the source's file become blocks of the destination's too. false: not possible here. */
static bool share_range(struct copier *k, const struct run *r, struct disk *file, uint64_t to)
{
    struct file_clone_range x = {
        .src_fd = file_fd(r->file),
        .src_offset = r->file_off,
        .src_length = r->len,
        .dest_offset = to,
    };

    if ((x.src_offset | x.src_length | x.dest_offset) % PAGE || x.src_fd < 0 || file_fd(file) < 0)
        return false;
    if (ioctl(file_fd(file), FICLONERANGE, &x) == 0)
        return true;
    WRITE_ONCE(k->share, false);
    return false;
}

/* The next run of non-zero units of buf in [*at, len); false: none. */
static bool next_data(const struct copier *k, const uint8_t *buf, uint64_t off, size_t len,
                      size_t *at, size_t *n)
{
    size_t i = *at, end;

    while (i < len) {
        end = min_u64(align_down(off + i, k->unit) + k->unit - off, len);
        if (!all_zero(buf + i, end - i))
            break;
        i = end;
    }
    *at = i;
    while (i < len) {
        end = min_u64(align_down(off + i, k->unit) + k->unit - off, len);
        if (all_zero(buf + i, end - i))
            break;
        i = end;
    }
    *n = i - *at;
    return *n > 0;
}

/* Space for [off, off+len), whole clusters but for the disk's end. */
static int place(struct copier *k, uint64_t off, uint64_t len, struct piece *v, unsigned *n)
{
    uint64_t end = off + align_up(len, k->map->grain);
    int rc = 0;

    while (off < end && rc == 0) {
        if (*n == PIECES)
            return -E2BIG;
        rc = map_place(k->map, off, end - off, &v[*n]);
        if (rc < 0)
            return rc;
        v[*n].fresh = v[*n].fresh || (v[*n].old && k->c->blank);
        off += v[(*n)++].len;
    }
    return rc;
}

static int put(struct copier *k, struct disk *d, uint64_t off, const uint8_t *buf, size_t len)
{
    int rc;

    pthread_mutex_lock(&k->writing);
    rc = disk_write(d, off, buf, len);
    pthread_mutex_unlock(&k->writing);
    return rc;
}

/* Writes all pages of buf but those that are zero in space that reads as zeroes. */
static int write_pages(struct copier *k, const struct piece *x, const uint8_t *buf, size_t len)
{
    size_t at = 0;
    int rc = 0;

    while (rc == 0 && at < len) {
        size_t end = at;

        while (x->fresh && at < len && all_zero(buf + at, min_u64(PAGE, len - at)))
            end = at += min_u64(PAGE, len - at);
        while (end < len && !(x->fresh && all_zero(buf + end, min_u64(PAGE, len - end))))
            end += min_u64(PAGE, len - end);
        if (end > at)
            rc = put(k, x->file, x->at + at, buf + at, end - at);
        at = end;
    }
    return rc;
}

/* A piece's bytes from buf, and zeroes for what buf does not have of its last cluster. */
static int fill_piece(struct copier *k, const struct piece *x, const uint8_t *buf, uint64_t off,
                      size_t len)
{
    size_t have = min_u64(x->len, off + len - x->off);
    int rc = write_pages(k, x, buf + (x->off - off), have);

    if (rc == 0 && have < x->len && !x->fresh)
        rc = disk_zero(x->file, x->at + have, x->len - have, false);
    return rc;
}

/* May reflinks do this chunk? Whole clusters, so that nothing needs filling up. */
static bool sharable(const struct copier *k, const struct run *r)
{
    uint64_t unit = k->map ? k->map->cluster : PAGE;

    return READ_ONCE(k->share) && r->file && r->len >= SHARE_MIN && (r->off | r->len) % unit == 0 &&
           r->file_off % PAGE == 0;
}

/* Fills the part of x that the source has, read by parts. */
static int fill_from_source(struct worker *w, const struct piece *x)
{
    struct copier *k = w->k;
    uint64_t end = min_u64(x->off + x->len, k->src->shape.bytes);
    int rc = 0;

    if (!x->fresh) /* parts that are known to be zero are not written */
        rc = disk_zero(x->file, x->at, x->len, false);
    for (uint64_t at = x->off; at < end && rc == 0; at += k->room) {
        size_t n = min_u64(k->room, end - at);
        struct piece part = *x;

        part.fresh = true;
        part.at += at - x->off;
        if (disk_known_zero(k->src, at, n))
            continue;
        rc = disk_read(k->src, at, w->in, n);
        if (rc == 0)
            rc = write_pages(k, &part, w->in, n);
    }
    return rc;
}

/* Takes space for what r holds: all of it, unless its bytes are in w->in to look at. */
static int place_run(struct worker *w, const struct run *r, bool loaded, unsigned *count)
{
    struct copier *k = w->k;
    size_t at = 0, n;
    int rc = 0;

    if (!loaded)
        return place(k, r->off, r->len, w->pieces, count);
    while (rc == 0 && next_data(k, w->in, r->off, r->len, &at, &n)) {
        rc = place(k, r->off + at, n, w->pieces, count);
        at += n;
    }
    return rc;
}

static int copy_piece(struct worker *w, const struct run *r, const struct piece *x, bool loaded)
{
    struct copier *k = w->k;
    struct run part = *r;

    if (loaded)
        return fill_piece(k, x, w->in, r->off, r->len);
    part.file_off += x->off - r->off;
    part.len = min_u64(x->len, r->off + r->len - x->off);
    if (sharable(k, &part) && share_range(k, &part, x->file, x->at))
        return 0;
    return fill_from_source(w, x);
}

/* In its turn, space for r; then it is the next chunk's turn. */
static int place_in_turn(struct worker *w, const struct run *r, uint64_t ticket, bool loaded,
                         unsigned *count)
{
    struct copier *k = w->k;
    int rc;

    wait_turn(k, ticket);
    rc = place_run(w, r, loaded, count);
    end_turn(k, r->len, rc);
    return rc;
}

/* Zeroes are not written, but what a table points to lies inside the file. */
static int reach(const struct piece *x)
{
    uint64_t end = x->at + x->len;

    if (!x->fresh || !x->file->shape.grows || disk_bytes(x->file) >= end)
        return 0;
    return disk_zero(x->file, end - 1, 1, false);
}

/* Points to what is filled, or gives all of it back. */
static int settle(struct worker *w, unsigned count, int rc)
{
    struct copier *k = w->k;
    bool ok;

    for (unsigned i = 0; i < count && rc == 0; i++)
        rc = reach(&w->pieces[i]);
    ok = rc == 0;
    for (unsigned i = 0; i < count; i++) {
        if (map_placed(k->map, &w->pieces[i], ok) < 0 && rc == 0)
            rc = -EIO;
    }
    if (rc == 0 && meta_full(k->map->meta))
        rc = map_flush(k->map);
    return rc;
}

/* Units of r, which is in w->in, that are zero and so got no space: whatever dst has there. */
static int clear_gaps(struct worker *w, const struct run *r)
{
    struct copier *k = w->k;
    size_t from = 0, at = 0, n;
    int rc = 0;

    while (rc == 0 && from < r->len) {
        bool more = next_data(k, w->in, r->off, r->len, &at, &n);

        if (at > from)
            rc = disk_zero(k->dst, r->off + from, at - from, true);
        from = at += more ? n : 0;
        if (!more)
            break;
    }
    return rc;
}

/* loaded: the bytes of r are in w->in. */
static int copy_to_map(struct worker *w, const struct run *r, uint64_t ticket, bool loaded)
{
    unsigned count = 0;
    int rc = place_in_turn(w, r, ticket, loaded, &count);

    for (unsigned i = 0; i < count && rc == 0; i++)
        rc = copy_piece(w, r, &w->pieces[i], loaded);
    rc = settle(w, count, rc);
    return rc == 0 && loaded && !w->k->c->blank ? clear_gaps(w, r) : rc;
}

/* len bytes of the guest at off, from w->in, to where they belong: the rest is zero already. */
static int put_part(struct worker *w, unsigned count, uint64_t off, size_t len)
{
    int rc = 0;

    for (unsigned i = 0; i < count && rc == 0; i++) {
        struct piece x = w->pieces[i];
        uint64_t from = max_u64(off, x.off), to = min_u64(off + len, x.off + x.len);

        x.at += from - x.off;
        x.fresh = true;
        if (from < to)
            rc = write_pages(w->k, &x, w->in + (from - off), to - from);
    }
    return rc;
}

/* Whatever lay in space that is not fresh. */
static int wipe(struct worker *w, unsigned count)
{
    int rc = 0;

    for (unsigned i = 0; i < count && rc == 0; i++) {
        const struct piece *x = &w->pieces[i];

        rc = x->fresh ? 0 : disk_zero(x->file, x->at, x->len, false);
    }
    return rc;
}

/* A cluster larger than the buffer: by parts, with space from the first part that is not zero. */
static int copy_large(struct worker *w, const struct run *r, uint64_t ticket)
{
    struct copier *k = w->k;
    uint64_t end = r->off + r->len;
    bool placed = false;
    unsigned count = 0;
    int rc = 0;

    for (uint64_t at = r->off; at < end && rc == 0; at += k->room) {
        size_t n = min_u64(k->room, end - at);

        if (disk_known_zero(k->src, at, n))
            continue;
        rc = disk_read(k->src, at, w->in, n);
        if (rc < 0 || all_zero(w->in, n))
            continue;
        if (!placed) {
            placed = true;
            rc = place_in_turn(w, r, ticket, false, &count);
            rc = rc == 0 ? wipe(w, count) : rc;
        }
        rc = rc == 0 ? put_part(w, count, at, n) : rc;
    }
    if (!placed) {
        wait_turn(k, ticket);
        if (rc == 0 && !k->c->blank)
            rc = disk_zero(k->dst, r->off, r->len, true);
        end_turn(k, r->len, rc);
    }
    return settle(w, count, rc);
}

static int copy_plain(struct worker *w, const struct run *r)
{
    struct copier *k = w->k;
    size_t at = 0, n;
    int rc = 0;

    if (!k->c->blank)
        return put(k, k->dst, r->off, w->in, r->len);
    while (rc == 0 && next_data(k, w->in, r->off, r->len, &at, &n)) {
        rc = put(k, k->dst, r->off + at, w->in + at, n);
        at += n;
    }
    return rc;
}

static int copy_chunk(struct worker *w, const struct run *r, uint64_t ticket)
{
    struct copier *k = w->k;
    bool share = sharable(k, r), shared = false;
    int rc = 0;

    if (k->map && share)
        return copy_to_map(w, r, ticket, false);
    if (k->map && r->len > k->room)
        return copy_large(w, r, ticket);
    if (share)
        shared = share_range(k, r, k->dst, r->off);
    if (!shared)
        rc = disk_read(k->src, r->off, w->in, r->len);
    if (k->map && rc == 0)
        return copy_to_map(w, r, ticket, true);
    if (rc == 0 && !shared)
        rc = copy_plain(w, r);
    wait_turn(k, ticket);
    end_turn(k, r->len, rc);
    return rc;
}

/* --- one chunk, packed --- */

static int pack_chunk(struct worker *w, const struct run *r, uint64_t ticket)
{
    struct copier *k = w->k;
    size_t unit = k->dst->pack, n = (r->len + unit - 1) / unit, count = 0;
    uint8_t *out = w->out;
    int rc = disk_read(k->src, r->off, w->in, r->len);

    if (rc == 0 && r->len % unit)
        memset(w->in + r->len, 0, n * unit - r->len);
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct packed x = {.off = r->off + i * unit, .data = out, .plain = w->in + i * unit};

        if (all_zero(x.plain, unit))
            continue;
        x.len = k->dst->format->pack(k->dst, x.plain, out, unit);
        out += x.len;
        w->packed[count++] = x;
    }
    wait_turn(k, ticket);
    if (rc == 0)
        rc = k->dst->format->put(k->dst, w->packed, count);
    if (rc == 0 && !k->c->blank)
        rc = clear_gaps(w, r);
    end_turn(k, r->len, rc);
    return rc;
}

static int zero_chunk(struct copier *k, const struct run *r, uint64_t ticket)
{
    int rc;

    wait_turn(k, ticket);
    rc = disk_zero(k->dst, r->off, r->len, true);
    end_turn(k, r->len, rc);
    return rc;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct copier *k = w->k;
    uint64_t ticket;
    struct run r;

    while (take_chunk(k, &r, &ticket)) {
        int rc;

        if (r.zero)
            rc = zero_chunk(k, &r, ticket);
        else
            rc = w->packed ? pack_chunk(w, &r, ticket) : copy_chunk(w, &r, ticket);
        if (rc < 0) {
            pthread_mutex_lock(&k->lock);
            k->failed = k->failed ? k->failed : rc;
            pthread_mutex_unlock(&k->lock);
        }
    }
    return NULL;
}

/* --- the whole --- */

static struct worker *make_workers(struct copier *k, unsigned n)
{
    struct worker *v = calloc(n, sizeof(*v));

    for (unsigned i = 0; v && i < n; i++) {
        v[i].k = k;
        v[i].in = aligned_alloc(PAGE, k->room);
        v[i].out = k->c->compress ? malloc(k->room) : NULL;
        v[i].packed = k->c->compress ? calloc(k->room / k->dst->pack, sizeof(*v->packed)) : NULL;
        if (!v[i].in || (k->c->compress && (!v[i].out || !v[i].packed)))
            k->failed = -ENOMEM;
    }
    if (!v)
        k->failed = -ENOMEM;
    return v;
}

static void run_workers(struct copier *k, unsigned n)
{
    struct worker *v = make_workers(k, n);
    pthread_t t[THREADS_MAX];
    unsigned started = 1;

    if (v && k->failed == 0) {
        while (started < n && pthread_create(&t[started], NULL, work, &v[started]) == 0)
            started++;
        work(&v[0]);
        for (unsigned i = 1; i < started; i++)
            pthread_join(t[i], NULL);
    }
    for (unsigned i = 0; v && i < n; i++) {
        free(v[i].in);
        free(v[i].out);
        free(v[i].packed);
    }
    free(v);
}

/* Chunks hold whole clusters, and at least one. */
static void choose_sizes(struct copier *k)
{
    uint64_t cluster = k->c->compress ? k->dst->pack : k->map ? k->map->cluster : PAGE;

    k->unit = k->map || k->c->compress ? max_u64(cluster, PAGE) : PAGE;
    k->chunk = max_u64(CHUNK, cluster);
    k->room = k->c->compress ? k->chunk : CHUNK;
}

int image_copy(struct disk *src, struct disk *dst, const struct copy_cfg *c, struct err *e)
{
    struct copier k = {.src = src, .dst = dst, .c = c, .map = map_of(dst), .share = true};
    unsigned n = c->threads ? c->threads : (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    int rc;

    if (c->compress && (!dst->pack || !dst->format || !dst->format->put))
        return err_exit(e, EX_USAGE_, ENOTSUP, "this format does not compress");
    if (c->level && (!c->compress || c->level > dst->pack_levels))
        return err_exit(
            e, EX_USAGE_, EINVAL, "%s",
            !c->compress ? "a level means nothing without -c"
                         : "this compression has no such level; see hospes image convert --help");
    dst->pack_level = c->level;
    if (k.map && !k.map->ops->reserve)
        k.map = NULL;
    pthread_mutex_init(&k.writing, NULL);
    pthread_mutex_init(&k.lock, NULL);
    pthread_cond_init(&k.turn, NULL);
    choose_sizes(&k);
    rc = disk_extents(src, 0, src->shape.bytes, add_run, &k);
    if (rc == 0) {
        run_workers(&k, n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n);
        rc = k.failed;
    }
    free(k.runs);
    pthread_mutex_destroy(&k.writing);
    pthread_mutex_destroy(&k.lock);
    pthread_cond_destroy(&k.turn);
    if (rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG)
        return err_set(e, -rc, "cannot write '%s': %s; make room, or choose another place",
                       dst->path ? dst->path : "the new image", strerror(-rc));
    return rc < 0 ? err_set(e, -rc, "cannot copy the disk: %s", strerror(-rc)) : 0;
}
