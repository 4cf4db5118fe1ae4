/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_flush.c - the one place where tables of an image reach the file, and where freed space
 * becomes free.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/map_impl.h"

enum { PHASES = 3 };

int map_fail(struct map *m, int rc)
{
    int none = 0;

    __atomic_compare_exchange_n(&m->failed, &none, rc, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    return rc;
}

int map_touch(struct map *m)
{
    int rc = map_failed(m);

    if (rc < 0 || map_touched(m))
        return rc;
    pthread_mutex_lock(&m->lock);
    if (!m->touched)
        rc = m->ops->touch(m);
    if (rc < 0)
        map_fail(m, rc);
    else
        __atomic_store_n(&m->touched, true, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&m->lock);
    return rc;
}

void map_untouch(struct map *m)
{
    __atomic_store_n(&m->touched, false, __ATOMIC_RELEASE);
}

/* --- runs of file space --- */

void map_runs_free(struct map_runs *v)
{
    free(v->v);
    *v = (struct map_runs){0};
}

void map_runs_add(struct map_runs *v, uint64_t at, uint64_t len)
{
    if (v->n && v->v[v->n - 1].at + v->v[v->n - 1].len == at) {
        v->v[v->n - 1].len += len;
        return;
    }
    if (v->n == v->room) {
        size_t room = v->room ? v->room * 2 : 16;
        struct map_run *grown = reallocarray(v->v, room, sizeof(*grown));

        if (!grown)
            return;
        v->v = grown;
        v->room = room;
    }
    v->v[v->n++] = (struct map_run){at, len};
}

void map_free(struct map *m, uint64_t at, uint64_t len)
{
    map_runs_add(&m->freed, at, len);
}

void map_unalloc(struct map *m, uint64_t at, uint64_t len)
{
    if (m->ops->released)
        m->ops->released(m, at, len);
    else if (at + len == m->end)
        m->end = at;
    else
        map_runs_add(&m->pool, at, len);
}

/* Pool space has been written before, unless it was punched; the caller zeroes what it needs. */
int map_alloc(struct map *m, uint64_t len, uint64_t align, struct piece *x)
{
    for (size_t i = m->pool.n; i-- > 0;) {
        struct map_run *v = &m->pool.v[i];
        uint64_t at = align_up(v->at, align);

        if (at != v->at || v->len < len)
            continue;
        x->at = at;
        x->fresh = false;
        v->at += len;
        v->len -= len;
        if (v->len == 0)
            *v = m->pool.v[--m->pool.n];
        return 0;
    }
    x->at = align_up(m->end, align);
    if (x->at + len > (m->file->shape.grows ? INT64_MAX : disk_bytes(m->file)))
        return -ENOSPC;
    x->fresh = m->file->shape.grows && x->at >= m->virgin;
    m->end = x->at + len;
    m->virgin = max_u64(m->virgin, m->end);
    return 0;
}

/* --- staging --- */

int map_stage(struct map *m, unsigned phase, struct disk *file, uint64_t off, const void *data,
              size_t len)
{
    struct stage_write *w = malloc(sizeof(*w) + len);

    assert(phase < PHASES);
    if (!w)
        return -ENOMEM;
    *w = (struct stage_write){.file = file, .off = off, .len = len, .phase = phase};
    memcpy(w->data, data, len);
    *m->staged_tail = w;
    m->staged_tail = &w->next;
    return 0;
}

static void drop_staged(struct map *m)
{
    while (m->staged) {
        struct stage_write *w = m->staged;

        m->staged = w->next;
        free(w);
    }
    m->staged_tail = &m->staged;
}

static int by_place(const void *a, const void *b)
{
    const struct stage_write *x = *(struct stage_write *const *)a;
    const struct stage_write *y = *(struct stage_write *const *)b;

    if (x->phase != y->phase)
        return x->phase < y->phase ? -1 : 1;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->off < y->off ? -1 : x->off > y->off;
}

/* Puts the list into the order of writing, so that neighbours can go out together. */
static int sort_staged(struct map *m)
{
    struct stage_write **v, *w;
    size_t n = 0, i = 0;

    for (w = m->staged; w; w = w->next)
        n++;
    if (n < 2)
        return 0;
    v = malloc(n * sizeof(struct stage_write *));
    if (!v)
        return -ENOMEM;
    for (w = m->staged; w; w = w->next)
        v[i++] = w;
    qsort(v, n, sizeof(struct stage_write *), by_place);
    for (i = 0; i + 1 < n; i++)
        v[i]->next = v[i + 1];
    v[n - 1]->next = NULL;
    m->staged = v[0];
    m->staged_tail = &v[n - 1]->next;
    free(v);
    return 0;
}

/* Writes w and the neighbours after it in one request; *next is what follows. */
static int write_run(struct stage_write *w, struct stage_write **next)
{
    struct iovec iov[64];
    struct disk_req r = {.op = DISK_WRITE, .off = w->off, .iov = iov};
    struct disk *file = w->file;
    unsigned phase = w->phase;

    while (w && r.iovcnt < 64 && w->file == file && w->phase == phase && w->off == r.off + r.len) {
        iov[r.iovcnt++] = (struct iovec){w->data, w->len};
        r.len += w->len;
        w = w->next;
    }
    *next = w;
    return disk_now(file, &r);
}

static int write_phase(struct map *m, struct stage_write **at, unsigned phase, bool *any)
{
    int rc = 0;

    *any = false;
    while (*at && (*at)->phase == phase && rc == 0) {
        *any = true;
        rc = write_run(*at, at);
    }
    return rc;
}

/* Of a disk in many files few were written to since they were last synced. A change is counted
 * before the request that made it ends, so what this sync must cover is in the count. */
static int sync_file(struct disk *file)
{
    uint64_t changes = 0;
    int rc;

    for (unsigned op = DISK_WRITE; op < ARRAY_SIZE(file->stats.ops); op++) {
        if (op != DISK_FLUSH)
            changes += READ_ONCE(file->stats.ops[op]);
    }
    if (changes == file->synced)
        return 0;
    rc = disk_flush(file);
    if (rc == 0)
        file->synced = changes;
    return rc;
}

static int sync_all(struct map *m)
{
    int rc = m->file_count ? sync_file(m->file) : disk_flush(m->file);

    for (size_t i = 0; i < m->file_count && rc == 0; i++)
        rc = sync_file(m->files[i]);
    return rc;
}

/* --- the flush --- */

/* Under the lock: everything that this flush will make durable is copied. */
static int begin(struct map *m, uint64_t *ticket, struct map_runs *freed)
{
    int rc = 0;

    pthread_mutex_lock(&m->lock);
    *ticket = m->asked;
    if (m->ops->stage && !meta_clean(m->meta))
        rc = m->ops->stage(m);
    if (rc == 0)
        rc = meta_stage(m);
    if (rc == 0) {
        *freed = m->freed;
        m->freed = (struct map_runs){0};
    }
    pthread_mutex_unlock(&m->lock);
    return rc == 0 ? sort_staged(m) : rc;
}

static int write_out(struct map *m)
{
    struct stage_write *at = m->staged;
    bool wrote = __atomic_exchange_n(&m->wrote, false, __ATOMIC_ACQ_REL);
    bool any;
    int rc;

    rc = write_phase(m, &at, 0, &any);
    if (rc == 0 && (wrote || any))
        rc = sync_all(m);
    if (rc == 0 && at && m->ops->journal) {
        rc = m->ops->journal(m);
        if (rc == 0)
            rc = sync_all(m);
        if (rc == 0)
            rc = write_phase(m, &at, 1, &any);
        __atomic_store_n(&m->wrote, true, __ATOMIC_RELEASE); /* the next flush syncs them */
    }
    for (unsigned phase = 1; phase < PHASES && rc == 0; phase++) {
        rc = write_phase(m, &at, phase, &any);
        if (rc == 0 && any)
            rc = sync_all(m);
    }
    return rc;
}

static int flush_locked(struct map *m)
{
    struct map_runs freed = {0};
    uint64_t ticket = 0;
    int rc = map_failed(m);

    if (rc == 0)
        rc = begin(m, &ticket, &freed);
    if (rc == 0)
        rc = write_out(m);
    drop_staged(m);
    if (rc < 0) {
        map_runs_free(&freed);
        return map_fail(m, rc);
    }
    pthread_mutex_lock(&m->lock);
    m->covered = ticket;
    for (size_t i = 0; i < freed.n; i++)
        map_runs_add(&m->flushed, freed.v[i].at, freed.v[i].len);
    pthread_mutex_unlock(&m->lock);
    map_runs_free(&freed);
    return 0;
}

int map_flush(struct map *m)
{
    uint64_t want;
    int rc = 0;

    if (m->d.shape.readonly)
        return 0;
    pthread_mutex_lock(&m->lock);
    want = ++m->asked;
    pthread_mutex_unlock(&m->lock);
    pthread_mutex_lock(&m->flushing);
    /* One that began after this one was asked for has done the work. */
    if (map_failed(m))
        rc = map_failed(m);
    else if (m->covered < want)
        rc = flush_locked(m);
    pthread_mutex_unlock(&m->flushing);
    if (rc == 0)
        map_release(m);
    return rc;
}

/* --- reuse --- */

static void punch(struct map *m, const struct map_runs *v)
{
    for (size_t i = 0; i < v->n; i++) {
        struct disk_req r = {.op = DISK_TRIM, .off = v->v[i].at, .len = v->v[i].len};
        int rc = m->ops->punch ? m->ops->punch(m, r.off, r.len) : disk_now(m->file, &r);

        if (rc < 0)
            return; /* only space is lost */
    }
}

/* The clusters of v that nothing else uses. */
static void pick_punchable(struct map *m, const struct map_runs *v, struct map_runs *out)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct map_run *x = &v->v[i];

        for (uint64_t at = x->at; at < x->at + x->len; at += m->cluster) {
            if (m->ops->punchable(m, at))
                map_runs_add(out, at, m->cluster);
        }
    }
}

/* Space becomes free in two steps: runs whose freeing is durable wait for the requests that may
 * still use them; those began in the old parity. Punching comes before reuse, never after. */
void map_release(struct map *m)
{
    struct map_runs ready = {0}, holes = {0};

    pthread_mutex_lock(&m->lock);
    if (m->draining && __atomic_load_n(&m->active[!m->parity], __ATOMIC_SEQ_CST) == 0) {
        ready = m->draining_runs;
        m->draining_runs = (struct map_runs){0};
        m->draining = false;
    }
    if (!m->draining && m->flushed.n) {
        m->draining_runs = m->flushed;
        m->flushed = (struct map_runs){0};
        m->draining = true;
        __atomic_store_n(&m->parity, !m->parity, __ATOMIC_SEQ_CST);
    }
    if (m->ops->punchable)
        pick_punchable(m, &ready, &holes);
    pthread_mutex_unlock(&m->lock);
    if (ready.n == 0)
        return;
    punch(m, m->ops->punchable ? &holes : &ready);
    map_runs_free(&holes);
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < ready.n; i++)
        map_unalloc(m, ready.v[i].at, ready.v[i].len);
    pthread_mutex_unlock(&m->lock);
    map_runs_free(&ready);
}
