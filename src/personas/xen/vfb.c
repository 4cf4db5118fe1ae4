/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfb.c - Xen's frame buffer back end.
 *
 * Document: Xen public/io/fbif.h. The guest's picture lies in pages anywhere in its memory; their
 * numbers are in pages of numbers, whose numbers are in the shared page. The lists are read once,
 * at connection; a picture is put together when somebody looks, so the guest is never asked for
 * updates. Resizing by the front end is modelled. Depths of 8 bits have no palette here and are
 * not.
 */
#include "personas/xen/vfb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "console/hub.h"
#include "core/bell.h"
#include "core/err.h"
#include "core/gmem.h"

enum {
    PAGE = 4096,
    /* struct xenfb_page */
    OUT_CONS = 8,
    OUT_PROD = 12,
    WIDTH = 16,
    HEIGHT = 20,
    LINE_LENGTH = 24,
    MEM_LENGTH = 28,
    DEPTH = 32,
    PD_64 = 40,
    PD_32 = 36,
    OUT_RING = 2048,
    EVENT = 40,
    EVENTS = 2048 / EVENT,
    TYPE_RESIZE = 3,
    LISTS = 256,
    PAGES_MAX = (64 << 20) / PAGE,
    VIDEORAM_MIB = 64,
};

struct vfb {
    struct xenbus_dev d; /* first */
    struct screen screen;
    struct watch kick; /* eventfd: the guest has sent an event */
    unsigned port;
    uint8_t *page; /* shared with the guest, NULL: not connected */
    bool bound;
    uint8_t **part; /* the picture's pages, guest memory */
    unsigned parts;
    uint8_t *copy;      /* parts * PAGE */
    struct surface now; /* checked against parts */
    uint32_t offset;
    uint64_t resizes;
};

static struct vfb *vfb_of(struct xenbus_dev *d)
{
    return container_of(d, struct vfb, d);
}

static bool vfb_surface(struct screen *s, struct surface *out)
{
    struct vfb *b = container_of(s, struct vfb, screen);

    if (!b->page)
        return false;
    for (unsigned i = 0; i < b->parts; i++)
        memcpy(b->copy + (size_t)i * PAGE, b->part[i], PAGE);
    *out = b->now;
    out->pixels = b->copy + b->offset;
    return true;
}

/* -EINVAL: the picture would not lie in its pages. */
static int set_shape(struct vfb *b, uint32_t width, uint32_t height, uint32_t stride,
                     uint32_t depth, uint32_t offset)
{
    size_t room = (size_t)b->parts * PAGE;
    enum pixel_format format = depth == 32   ? PIXEL_XRGB8888
                               : depth == 24 ? PIXEL_RGB888
                                             : PIXEL_RGB565;

    if ((depth != 32 && depth != 24 && depth != 16) || width == 0 || height == 0 ||
        width > SCREEN_MAX_SIDE || height > SCREEN_MAX_SIDE || stride < width * (depth / 8) ||
        offset > room || (uint64_t)stride * height > room - offset)
        return -EINVAL;
    b->offset = offset;
    b->now = (struct surface){.size = room - offset,
                              .width = width,
                              .height = height,
                              .stride = stride,
                              .format = format};
    return 0;
}

/* --- events of the guest's --- */

static void vfb_kicked(struct watch *w, uint32_t got)
{
    struct vfb *b = container_of(w, struct vfb, kick);
    uint32_t cons, prod;

    (void)got;
    bell_take(w->fd);
    if (!b->page)
        return;
    cons = shared_load32(b->page + OUT_CONS);
    prod = shared_load32(b->page + OUT_PROD);
    if (prod - cons > EVENTS)
        cons = prod; /* nonsense: nothing in it can be believed */
    for (; cons != prod; cons++) {
        uint8_t ev[EVENT];

        memcpy(ev, b->page + OUT_RING + (size_t)(cons % EVENTS) * EVENT, sizeof(ev));
        if (ev[0] == TYPE_RESIZE && set_shape(b, le32_at(ev + 4), le32_at(ev + 8), le32_at(ev + 12),
                                              le32_at(ev + 16), le32_at(ev + 20)) == 0)
            b->resizes++;
    }
    shared_store32(b->page + OUT_CONS, prod);
    evtchn_notify(b->d.x->ev, b->port);
}

static void vfb_sent(void *arg)
{
    struct vfb *b = arg;

    bell_ring(b->kick.fd);
}

/* --- connecting --- */

static void vfb_offer(struct xenbus_dev *d)
{
    xenbus_write(d, "videoram", "%d", VIDEORAM_MIB);
    xenbus_write(d, "request-update", "0");
    xenbus_write(d, "feature-resize", "1");
}

static void vfb_disconnect(struct xenbus_dev *d)
{
    struct vfb *b = vfb_of(d);

    if (b->bound)
        evtchn_unbind(d->x->ev, b->port, b);
    b->bound = false;
    b->page = NULL;
    hub_screen_gone(d->x->p.env.hub, &b->screen);
    free(b->part);
    free(b->copy);
    b->part = NULL;
    b->copy = NULL;
    b->parts = 0;
}

static uint8_t *page_at(struct vfb *b, uint64_t pfn)
{
    return pfn < UINT64_C(1) << 40 ? gmem_shared(b->d.x->p.env.dev.mem, pfn * PAGE, PAGE) : NULL;
}

/* Numbers are as wide as the front end's protocol says. */
static uint64_t number_at(const uint8_t *p, size_t i, bool narrow)
{
    return narrow ? le32_at(p + 4 * i) : le64_at(p + 8 * i);
}

static int take_pages(struct vfb *b, const uint8_t *page, bool narrow)
{
    size_t per_list = PAGE / (narrow ? 4 : 8);
    uint32_t length = le32_at(page + MEM_LENGTH);
    unsigned want = length / PAGE + (length % PAGE != 0);

    if (want == 0 || want > PAGES_MAX || want > LISTS * per_list)
        return -EINVAL;
    b->part = calloc(want, sizeof(*b->part));
    b->copy = malloc((size_t)want * PAGE);
    if (!b->part || !b->copy)
        return -ENOMEM;
    for (unsigned i = 0; i < want; i++) {
        uint8_t *list =
            page_at(b, number_at(page + (narrow ? PD_32 : PD_64), i / per_list, narrow));

        b->part[i] = list ? page_at(b, number_at(list, i % per_list, narrow)) : NULL;
        if (!b->part[i])
            return -EFAULT;
    }
    b->parts = want;
    return 0;
}

static int vfb_connect(struct xenbus_dev *d)
{
    struct vfb *b = vfb_of(d);
    uint8_t *page = page_at(b, xenbus_read(d, "page-ref", UINT64_MAX));
    char protocol[32] = "";
    uint8_t copy[PAGE];
    bool narrow = xenbus_read_text(d, "protocol", protocol, sizeof(protocol))
                      ? strcmp(protocol, "x86_32-abi") == 0
                      : !d->x->longmode;
    int rc;

    if (!page)
        return -EINVAL;
    memcpy(copy, page, sizeof(copy));
    rc = take_pages(b, copy, narrow);
    if (rc == 0)
        rc = set_shape(b, le32_at(copy + WIDTH), le32_at(copy + HEIGHT),
                       le32_at(copy + LINE_LENGTH), copy[DEPTH], 0);
    if (rc < 0)
        return rc;
    b->port = (unsigned)xenbus_read(d, "event-channel", 0);
    rc = evtchn_bind(d->x->ev, b->port, vfb_sent, b, b->kick.fd);
    if (rc < 0)
        return rc;
    b->bound = true;
    b->page = page;
    hub_screen(d->x->p.env.hub, &b->screen);
    return 0;
}

/* --- life --- */

static void vfb_destroy(struct xenbus_dev *d)
{
    struct vfb *b = vfb_of(d);

    vfb_disconnect(d);
    if (b->kick.fd >= 0) {
        if (b->kick.loop)
            loop_unwatch(d->x->p.env.dev.loop, &b->kick);
        close(b->kick.fd);
    }
    free(b);
}

static void vfb_describe(struct xenbus_dev *d, struct dump *out)
{
    struct vfb *b = vfb_of(d);

    if (b->page)
        dump_add(out, "vfb picture", "%u x %u, resized %llu times", b->now.width, b->now.height,
                 (unsigned long long)b->resizes);
}

static const struct xenbus_ops vfb_ops = {
    .class = "vfb",
    .offer = vfb_offer,
    .connect = vfb_connect,
    .disconnect = vfb_disconnect,
    .destroy = vfb_destroy,
    .describe = vfb_describe,
};

int vfb_add(struct xen *x, struct err *e)
{
    struct vfb *b = calloc(1, sizeof(*b));
    int rc;

    if (!b)
        return err_set(e, ENOMEM, "no memory for Xen's frame buffer");
    b->d.ops = &vfb_ops;
    b->d.x = x;
    b->screen = (struct screen){.name = "vfb", .surface = vfb_surface};
    b->kick = (struct watch){.want = EPOLLIN, .ready = vfb_kicked};
    b->kick.fd = bell_make();
    rc = b->kick.fd < 0 ? -errno : loop_watch(x->p.env.dev.loop, &b->kick);
    if (rc < 0) {
        vfb_destroy(&b->d);
        return err_set(e, -rc, "cannot watch the doorbell of Xen's frame buffer: %s",
                       strerror(-rc));
    }
    rc = xenbus_add(x, &b->d, 0, e);
    if (rc < 0)
        vfb_destroy(&b->d);
    return rc;
}
