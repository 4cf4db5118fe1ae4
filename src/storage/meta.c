/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meta.c - table pages of an image in memory: a hash by file and offset, least recently used out
 * first, changed sectors of 512 bytes kept until a flush. All under the map's lock.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/map.h"

enum {
    META_SECTOR = 512,
    META_BUCKETS = 1024,
    META_PAGES = 2048, /* 8 MiB */
    META_DIRTY_MAX = 1024,
    META_SECTORS = META_PAGE / META_SECTOR
};

struct page {
    struct page *hash, *newer, *older;
    struct disk *file;
    uint64_t off;
    uint8_t dirty;               /* a bit for each sector */
    uint8_t phase[META_SECTORS]; /* of the changed ones */
    uint8_t data[META_PAGE];
};

struct meta {
    struct page *bucket[META_BUCKETS];
    struct page *newest, *oldest;
    size_t pages, dirty_max;
    size_t dirty; /* changed under the map's lock; others ask meta_full() */
};

int meta_create(struct meta **out)
{
    *out = calloc(1, sizeof(struct meta));
    if (!*out)
        return -ENOMEM;
    (*out)->dirty_max = META_DIRTY_MAX;
    return 0;
}

void meta_limit(struct meta *c, size_t pages)
{
    c->dirty_max = min_u64(pages, META_DIRTY_MAX);
}

void meta_destroy(struct meta *c)
{
    while (c && c->newest) {
        struct page *p = c->newest;

        c->newest = p->older;
        free(p);
    }
    free(c);
}

static size_t dirty_now(const struct meta *c)
{
    return READ_ONCE(c->dirty);
}

static void dirty_set(struct meta *c, size_t n)
{
    WRITE_ONCE(c->dirty, n);
}

bool meta_full(const struct meta *c)
{
    return dirty_now(c) >= c->dirty_max;
}

bool meta_clean(const struct meta *c)
{
    return dirty_now(c) == 0;
}

static struct page **slot(struct meta *c, const struct disk *file, uint64_t off)
{
    uint64_t h = (off / META_PAGE) * UINT64_C(0x9e3779b97f4a7c15) ^ (uintptr_t)file >> 6;
    struct page **at = &c->bucket[h >> 20 & (META_BUCKETS - 1)];

    while (*at && ((*at)->off != off || (*at)->file != file))
        at = &(*at)->hash;
    return at;
}

static void unlink_page(struct meta *c, struct page *p)
{
    *(p->newer ? &p->newer->older : &c->newest) = p->older;
    *(p->older ? &p->older->newer : &c->oldest) = p->newer;
}

static void push_newest(struct meta *c, struct page *p)
{
    p->newer = NULL;
    p->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = p;
    c->newest = p;
}

/* A page to fill: the oldest unchanged one when there are enough. */
static struct page *take(struct meta *c)
{
    struct page *p = c->pages >= META_PAGES ? c->oldest : NULL;

    while (p && p->dirty)
        p = p->newer;
    if (p) {
        *slot(c, p->file, p->off) = p->hash;
        unlink_page(c, p);
        return p;
    }
    p = malloc(sizeof(*p));
    if (p)
        c->pages++;
    return p;
}

static void insert(struct meta *c, struct page *p, struct disk *file, uint64_t off)
{
    struct page **at = slot(c, file, off);

    p->file = file;
    p->off = off;
    p->dirty = 0;
    p->hash = *at;
    *at = p;
    push_newest(c, p);
}

static int load(struct map *m, struct disk *file, uint64_t off, bool wait, bool read,
                struct page **out)
{
    struct meta *c = m->meta;
    struct page *p = *slot(c, file, off);
    int rc = 0;

    if (p) {
        if (p != c->newest) {
            unlink_page(c, p);
            push_newest(c, p);
        }
        *out = p;
        return 0;
    }
    if (!wait)
        return -EAGAIN;
    p = take(c);
    if (!p)
        return -ENOMEM;
    if (read) {
        uint64_t size = disk_bytes(file);
        size_t n = off < size ? min_u64(META_PAGE, size - off) : 0;

        memset(p->data + n, 0, META_PAGE - n);
        rc = n ? disk_read(file, off, p->data, n) : 0;
    }
    if (rc < 0) {
        c->pages--;
        free(p);
        return rc;
    }
    insert(c, p, file, off);
    *out = p;
    return 0;
}

int meta_get(struct map *m, struct disk *file, uint64_t off, bool wait, uint8_t **out)
{
    struct page *p;
    int rc = load(m, file, align_down(off, META_PAGE), wait, true, &p);

    if (rc == 0)
        *out = p->data + off % META_PAGE;
    return rc;
}

/* A sector in phase 0 is part of a table that nothing durable points to yet, or tells of more use
 * than there is; it stays there until it has been flushed. Otherwise the later phase is safe. */
static void mark(struct meta *c, struct page *p, uint64_t from, uint64_t to, unsigned phase)
{
    if (!p->dirty)
        dirty_set(c, c->dirty + 1);
    for (uint64_t i = from / META_SECTOR; i <= (to - 1) / META_SECTOR; i++) {
        if (!(p->dirty >> i & 1))
            p->phase[i] = (uint8_t)phase;
        else if (p->phase[i])
            p->phase[i] = (uint8_t)max_u64(p->phase[i], phase);
        p->dirty |= (uint8_t)(1u << i);
    }
}

int meta_change(struct map *m, struct disk *file, uint64_t off, size_t len, unsigned phase,
                uint8_t **out)
{
    uint64_t in = off % META_PAGE;
    struct page *p;
    int rc = load(m, file, off - in, true, true, &p);

    assert(in + len <= META_PAGE);
    if (rc < 0)
        return rc;
    mark(m->meta, p, in, in + len, phase);
    *out = p->data + in;
    return 0;
}

int meta_new(struct map *m, struct disk *file, uint64_t off, uint64_t len)
{
    uint64_t end = off + len;

    while (off < end) {
        uint64_t in = off % META_PAGE, n = min_u64(META_PAGE - in, end - off);
        struct page *p;
        int rc = load(m, file, off - in, true, n < META_PAGE, &p);

        if (rc < 0)
            return rc;
        memset(p->data + in, 0, n);
        mark(m->meta, p, in, in + n, 0);
        off += n;
    }
    return 0;
}

void meta_forget(struct map *m, struct disk *file, uint64_t off, uint64_t len)
{
    uint64_t end = off + len;

    while (off < end) {
        uint64_t in = off % META_PAGE, n = min_u64(META_PAGE - in, end - off);
        struct page *p = *slot(m->meta, file, off - in);

        if (p && p->dirty) {
            for (uint64_t i = in / META_SECTOR; i < (in + n) / META_SECTOR; i++)
                p->dirty &= (uint8_t) ~(1u << i);
            if (!p->dirty)
                dirty_set(m->meta, m->meta->dirty - 1);
        }
        off += n;
    }
}

/* A journal holds whole pages. */
static int stage_whole(struct map *m, struct page *p)
{
    int rc = map_stage(m, 1, p->file, p->off, p->data, META_PAGE);

    if (rc == 0)
        container_of(m->staged_tail, struct stage_write, next)->page = true;
    return rc;
}

static bool in_journal(const struct map *m, const struct page *p)
{
    for (unsigned i = 0; m->ops->journal && i < META_SECTORS; i++) {
        if (p->dirty >> i & 1 && p->phase[i] == 1)
            return true;
    }
    return false;
}

static int stage_page(struct map *m, struct page *p)
{
    if (in_journal(m, p))
        return stage_whole(m, p);
    for (unsigned i = 0; i < META_SECTORS; i++) {
        size_t at = (size_t)i * META_SECTOR;
        unsigned n = 0;
        int rc;

        while (i + n < META_SECTORS && p->dirty >> (i + n) & 1 && p->phase[i + n] == p->phase[i])
            n++;
        if (n == 0)
            continue;
        rc = map_stage(m, p->phase[i], p->file, p->off + at, p->data + at, (size_t)n * META_SECTOR);
        if (rc < 0)
            return rc;
        container_of(m->staged_tail, struct stage_write, next)->page = true;
        i += n - 1;
    }
    return 0;
}

int meta_stage(struct map *m)
{
    for (struct page *p = m->meta->oldest; p; p = p->newer) {
        int rc = p->dirty ? stage_page(m, p) : 0;

        if (rc < 0)
            return rc;
    }
    for (struct page *p = m->meta->oldest; p; p = p->newer)
        p->dirty = 0;
    dirty_set(m->meta, 0);
    return 0;
}
