/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balloon.c - the virtio memory balloon (VIRTIO 1.2, 5.5): inflating, statistics, free pages.
 *
 * Pages that the guest gives up, for good or only as "free now", go back to the host at once and
 * read as zeroes when the guest takes them again. A guest that poisons free pages with something
 * else than zero keeps them. Queues after the first two exist as far as they were negotiated, one
 * after the other, as Linux numbers them.
 *
 * Not modelled: free page hinting (a migration aid), MUST_TELL_HOST. Threads: the loop, under the
 * device's lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/virtio_balloon.h"
#include "balloon.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/iov.h"

enum {
    BALLOON_RING = 128,
    BALLOON_IOV = BALLOON_RING + 4,
    BALLOON_PAGE = 4096,
    BALLOON_PFNS = 256, /* as Linux gives them at once */
    BALLOON_TURN = BALLOON_RING * BALLOON_PFNS,
};
enum balloon_queue { BALLOON_INFLATE, BALLOON_DEFLATE, BALLOON_STATS, BALLOON_REPORT, BALLOON_NR };

struct balloon {
    struct virtio v; /* first */
    bool asked;      /* the target moved and the guest is not there yet */
    bool stats_held;
    struct vq_chain stats_chain;
    struct iovec stats_iov[BALLOON_IOV];
    uint64_t stat[VIRTIO_BALLOON_S_NR];
    uint32_t stats_seen; /* by tag */
    uint64_t reported;   /* bytes of free pages, in all */
    void (*event)(void *arg, enum machine_event what, const char *text);
    void *event_arg;
};

static struct balloon *balloon_of(struct virtio *v)
{
    return container_of(v, struct balloon, v);
}

static struct virtio_balloon_config *balloon_config(struct balloon *b)
{
    return (void *)b->v.config;
}

/* --- giving pages back --- */

static bool balloon_keeps_pages(struct balloon *b)
{
    return virtio_has(&b->v, VIRTIO_BALLOON_F_PAGE_POISON) &&
           le32_get(balloon_config(b)->poison_val) != 0;
}

static void balloon_discard(struct balloon *b, gpa_t at, uint64_t len)
{
    if (gmem_discard(b->v.pci.dev.env.mem, at, len) < 0)
        guest_fault(&b->v.pci.dev, "pages at %#llx are not the guest's to give",
                    (unsigned long long)at);
}

/* Page numbers one by one; neighbours in either direction are given back together. What is beyond
 * *left in a chain stays as it is: it costs memory and no more. */
static void balloon_inflate(struct balloon *b, const struct vq_chain *c, size_t *left)
{
    gpa_t start = 0, len = 0;
    le32 pfn[BALLOON_PFNS];

    for (uint64_t at = 0; at + sizeof(pfn[0]) <= c->out_len && *left;) {
        size_t n = iov_read(c->iov, c->out, at, pfn, sizeof(pfn)) / sizeof(pfn[0]);

        n = min_u64(n, *left);
        *left -= n;
        for (size_t i = 0; i < n; i++) {
            gpa_t page = (gpa_t)le32_get(pfn[i]) << VIRTIO_BALLOON_PFN_SHIFT;

            if (len && page == start + len) {
                len += BALLOON_PAGE;
            } else if (len && page + BALLOON_PAGE == start) {
                start = page;
                len += BALLOON_PAGE;
            } else {
                if (len)
                    balloon_discard(b, start, len);
                start = page;
                len = BALLOON_PAGE;
            }
        }
        at += n * sizeof(pfn[0]);
    }
    if (len)
        balloon_discard(b, start, len);
}

/* Where in guest memory a vector lies; it came from gmem_map(), so it is in one region. */
static bool balloon_gpa(struct balloon *b, const struct iovec *v, gpa_t *out)
{
    struct gmem_region r;

    for (size_t i = 0; gmem_region_at(b->v.pci.dev.env.mem, i, &r); i++) {
        if (r.size && (uint8_t *)v->iov_base >= r.host &&
            (uint8_t *)v->iov_base < r.host + r.size) {
            *out = r.base + (gpa_t)((uint8_t *)v->iov_base - r.host);
            return true;
        }
    }
    return false;
}

static void balloon_report(struct balloon *b, const struct vq_chain *c)
{
    if (balloon_keeps_pages(b))
        return;
    for (unsigned i = c->out; i < (unsigned)c->out + c->in; i++) {
        gpa_t at, end;

        if (!balloon_gpa(b, &c->iov[i], &at))
            continue;
        end = align_down(at + c->iov[i].iov_len, BALLOON_PAGE);
        at = align_up(at, BALLOON_PAGE);
        if (end <= at)
            continue;
        balloon_discard(b, at, end - at);
        b->reported += end - at;
    }
}

/* --- statistics: the device holds the driver's buffer until it wants new ones --- */

static void balloon_stats_read(struct balloon *b, const struct vq_chain *c)
{
    struct virtio_balloon_stat s;

    for (uint64_t at = 0; at + sizeof(s) <= c->out_len; at += sizeof(s)) {
        size_t tag;

        iov_read(c->iov, c->out, at, &s, sizeof(s));
        if (!idx_in(le16_get(s.tag), VIRTIO_BALLOON_S_NR, &tag))
            continue;
        b->stat[tag] = le64_get(s.val);
        b->stats_seen |= 1u << tag;
        if (at > BALLOON_IOV * sizeof(s))
            break;
    }
}

static void balloon_stats(struct balloon *b, struct virtio_queue *q)
{
    bool more;

    if (!b->stats_held) {
        b->stats_chain.iov = b->stats_iov;
        b->stats_chain.max = BALLOON_IOV;
        if (!virtio_pop(q, &b->stats_chain))
            return;
        b->stats_held = true;
        balloon_stats_read(b, &b->stats_chain);
    }
    more = vq_notify_on(&q->vq);
    (void)more; /* one buffer is all that may be there */
}

static struct virtio_queue *balloon_find(struct balloon *b, enum balloon_queue want)
{
    unsigned i = BALLOON_STATS;

    if (want < BALLOON_STATS)
        return &b->v.q[want];
    if (want == BALLOON_STATS)
        return virtio_has(&b->v, VIRTIO_BALLOON_F_STATS_VQ) ? &b->v.q[i] : NULL;
    i += virtio_has(&b->v, VIRTIO_BALLOON_F_STATS_VQ);
    return virtio_has(&b->v, VIRTIO_BALLOON_F_PAGE_REPORTING) ? &b->v.q[i] : NULL;
}

static void balloon_kick(struct virtio *v, struct virtio_queue *q, bool on_loop)
{
    struct balloon *b = balloon_of(v);
    struct iovec iov[BALLOON_IOV];
    struct vq_chain c = {.iov = iov, .max = ARRAY_SIZE(iov)};
    size_t left = BALLOON_TURN;
    unsigned n = 0;

    if (q == balloon_find(b, BALLOON_STATS)) {
        balloon_stats(b, q);
        return;
    }
    do {
        while (n++ < BALLOON_RING && left && virtio_pop(q, &c)) {
            if (q->index == BALLOON_INFLATE)
                balloon_inflate(b, &c, &left);
            else if (q == balloon_find(b, BALLOON_REPORT))
                balloon_report(b, &c);
            vq_push(&q->vq, &c, 0);
        }
        if (n > BALLOON_RING || !left) {
            virtio_wake(q);
            break;
        }
    } while (v->running && vq_notify_on(&q->vq));
    virtio_flush(q);
}

/* --- the target --- */

static void balloon_config_written(struct virtio *v, unsigned off, unsigned size)
{
    struct balloon *b = balloon_of(v);
    struct virtio_balloon_config *c = balloon_config(b);

    if (!b->asked || le32_get(c->actual) != le32_get(c->num_pages))
        return;
    b->asked = false;
    if (b->event)
        b->event(b->event_arg, MACHINE_ASK_DONE, "the balloon has the size that was asked for");
}

int balloon_ask(struct balloon *b, uint64_t keep, struct err *e)
{
    uint64_t ram = gmem_ram_size(b->v.pci.dev.env.mem);
    uint32_t pages;
    int rc = 0;

    if (keep > ram)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "the guest has %llu MiB: it cannot be given more while it runs",
                        (unsigned long long)(ram / MiB));
    pages = (uint32_t)min_u64((ram - keep) / BALLOON_PAGE, UINT32_MAX);
    device_lock(&b->v.pci.dev);
    if (!b->v.running) {
        rc = err_set(e, ENOTSUP, "the guest has no balloon driver");
    } else {
        balloon_config(b)->num_pages = le32_of(pages);
        b->asked = true;
        virtio_config_changed(&b->v);
    }
    device_unlock(&b->v.pci.dev);
    return rc;
}

/* --- life --- */

static void balloon_stop(struct virtio *v)
{
    balloon_of(v)->stats_held = false;
}

static void balloon_stop_queue(struct virtio *v, struct virtio_queue *q)
{
    if (q == balloon_find(balloon_of(v), BALLOON_STATS))
        balloon_of(v)->stats_held = false;
}

/* The target stays: it is the host's wish, not the driver's state. */
static void balloon_reset(struct virtio *v)
{
    struct balloon *b = balloon_of(v);

    balloon_config(b)->actual = le32_of(0);
    balloon_config(b)->poison_val = le32_of(0);
    memset(b->stat, 0, sizeof(b->stat));
    b->stats_seen = 0;
}

static void balloon_destroy(struct virtio *v)
{
    /* holds nothing */
}

static void balloon_describe(struct virtio *v, struct dump *out)
{
    static const char *const names[VIRTIO_BALLOON_S_NR] = {
        "swapped in",   "swapped out", "major faults", "minor faults",         "free memory",
        "total memory", "available",   "disk caches",  "huge pages allocated", "huge page failures",
    };
    struct balloon *b = balloon_of(v);
    struct virtio_queue *q = balloon_find(b, BALLOON_STATS);

    dump_add(out, "balloon", "%u of %u pages", le32_get(balloon_config(b)->actual),
             le32_get(balloon_config(b)->num_pages));
    dump_add(out, "free pages returned", "%llu bytes", (unsigned long long)b->reported);
    for (unsigned i = 0; i < VIRTIO_BALLOON_S_NR; i++) {
        if (b->stats_seen >> i & 1)
            dump_add(out, names[i], "%llu", (unsigned long long)b->stat[i]);
    }
    if (q && b->stats_held && v->running) { /* newer ones for the next time */
        b->stats_held = false;
        vq_push(&q->vq, &b->stats_chain, 0);
        virtio_flush(q);
    }
}

static const struct virtio_class balloon_class = {
    .ops = VIRTIO_DEVICE_OPS("virtio-balloon"),
    .id = VIRTIO_ID_BALLOON,
    .transitional_id = VIRTIO_PCI_DEVICE_BALLOON,
    .pci_class = 0x00ff00,
    .stop = balloon_stop,
    .stop_queue = balloon_stop_queue,
    .kick = balloon_kick,
    .reset = balloon_reset,
    .config_written = balloon_config_written,
    .destroy = balloon_destroy,
    .describe = balloon_describe,
};

static void balloon_writable(struct virtio *v, unsigned off)
{
    for (unsigned i = 0; i < 4; i++)
        v->config_mask[off + i] = 0xff;
}

int balloon_create(const struct env *env, const struct virtio_options *o,
                   const struct persona_env *p, struct balloon **out, struct err *e)
{
    struct balloon *b = calloc(1, sizeof(*b));
    int rc;

    if (!b)
        return err_set(e, ENOMEM, "no memory for a balloon");
    b->event = p->event;
    b->event_arg = p->event_arg;
    rc = virtio_init(&b->v, &balloon_class, env, BALLOON_NR, BALLOON_RING, o, e);
    if (rc == 0) {
        b->v.offered |= VIRTIO_BALLOON_F_STATS_VQ | VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
                        VIRTIO_BALLOON_F_PAGE_POISON | VIRTIO_BALLOON_F_PAGE_REPORTING;
        b->v.config_len = sizeof(struct virtio_balloon_config);
        balloon_writable(&b->v, __builtin_offsetof(struct virtio_balloon_config, actual));
        balloon_writable(&b->v, __builtin_offsetof(struct virtio_balloon_config, poison_val));
        rc = virtio_attach(&b->v, o, e);
    }
    if (rc < 0) {
        virtio_fini(&b->v);
        free(b);
        return rc;
    }
    *out = b;
    return 0;
}
