/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vkbd.c - Xen's keyboard and pointer back end.
 *
 * Document: Xen public/io/kbdif.h. Keys are Linux's KEY_ numbers on the wire too. The pointer is
 * absolute for front ends that ask for it, and relative for others. Touch and raw (unscaled)
 * positions are not offered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "console/hub.h"
#include "core/err.h"
#include "core/gmem.h"
#include "personas/xen/vfb.h"

enum {
    PAGE = 4096,
    /* struct xenkbd_page */
    IN_CONS = 0,
    IN_PROD = 4,
    IN_RING = 1024,
    EVENT = 40,
    EVENTS = 2048 / EVENT,
    TYPE_MOTION = 1,
    TYPE_KEY = 3,
    TYPE_POS = 4,
    BTN_FIRST = 0x110, /* left, right, middle */
    AXIS = 32768,      /* what the hub's coordinates span */
    BUTTONS = 3,
};

struct vkbd {
    struct xenbus_dev d; /* first */
    struct keyboard keyboard;
    struct pointer pointer;
    unsigned port, buttons;
    uint8_t *page; /* shared with the guest, NULL: not connected */
    uint64_t events;
};

static struct vkbd *vkbd_of(struct xenbus_dev *d)
{
    return container_of(d, struct vkbd, d);
}

/* Bytes that are left for events of the guest's ring; a guest that breaks it has none. */
static unsigned room(const struct vkbd *k)
{
    uint32_t used =
        k->page ? shared_load32(k->page + IN_PROD) - shared_load32(k->page + IN_CONS) : EVENTS;

    return used > EVENTS ? 0 : EVENTS - used;
}

static void put(struct vkbd *k, const uint8_t ev[EVENT])
{
    uint32_t prod = shared_load32(k->page + IN_PROD);

    memcpy(k->page + IN_RING + (size_t)(prod % EVENTS) * EVENT, ev, EVENT);
    shared_store32(k->page + IN_PROD, prod + 1);
    k->events++;
}

static void put_key(struct vkbd *k, unsigned code, bool down)
{
    uint8_t ev[EVENT] = {TYPE_KEY, down};

    le32_put(ev + 4, code);
    put(k, ev);
}

static bool vkbd_key(struct keyboard *kb, unsigned code, bool down)
{
    struct vkbd *k = container_of(kb, struct vkbd, keyboard);

    if (room(k) < 1)
        return false;
    put_key(k, code, down);
    evtchn_notify(k->d.x->ev, k->port);
    return true;
}

static bool vkbd_move(struct pointer *p, const struct pointer_event *e)
{
    struct vkbd *k = container_of(p, struct vkbd, pointer);
    unsigned changed = k->buttons ^ e->buttons;
    uint8_t ev[EVENT] = {p->absolute ? TYPE_POS : TYPE_MOTION};

    if (room(k) < 1 + BUTTONS)
        return false;
    le32_put(ev + 4, (uint32_t)e->x);
    le32_put(ev + 8, (uint32_t)e->y);
    le32_put(ev + 12, (uint32_t)-e->wheel); /* Xen counts towards the user */
    put(k, ev);
    for (unsigned i = 0; i < BUTTONS; i++) {
        if (changed >> i & 1)
            put_key(k, BTN_FIRST + i, e->buttons >> i & 1);
    }
    k->buttons = e->buttons;
    evtchn_notify(k->d.x->ev, k->port);
    return true;
}

static void vkbd_offer(struct xenbus_dev *d)
{
    xenbus_write(d, "feature-abs-pointer", "1");
    xenbus_write(d, "feature-raw-pointer", "1"); /* 0 to 32767 whatever the screen, as it is */
    xenbus_write(d, "width", "%d", AXIS);
    xenbus_write(d, "height", "%d", AXIS);
}

static void vkbd_sent(void *arg)
{
    (void)arg; /* the guest has taken events: whoever waits for room comes back by itself */
}

static void vkbd_disconnect(struct xenbus_dev *d)
{
    struct vkbd *k = vkbd_of(d);

    if (!k->page)
        return;
    k->page = NULL;
    hub_keyboard_gone(d->x->p.env.hub, &k->keyboard);
    hub_pointer_gone(d->x->p.env.hub, &k->pointer);
    evtchn_unbind(d->x->ev, k->port, k);
}

static int vkbd_connect(struct xenbus_dev *d)
{
    struct vkbd *k = vkbd_of(d);
    uint64_t pfn = xenbus_read(d, "page-ref", UINT64_MAX);
    uint8_t *page =
        pfn < UINT64_C(1) << 40 ? gmem_shared(d->x->p.env.dev.mem, pfn * PAGE, PAGE) : NULL;
    int rc;

    if (!page)
        return -EINVAL;
    k->port = (unsigned)xenbus_read(d, "event-channel", 0);
    rc = evtchn_bind(d->x->ev, k->port, vkbd_sent, k, -1);
    if (rc < 0)
        return rc;
    k->page = page;
    k->buttons = 0;
    k->pointer.absolute =
        xenbus_read(d, "request-abs-pointer", 0) || xenbus_read(d, "request-raw-pointer", 0);
    hub_keyboard(d->x->p.env.hub, &k->keyboard);
    hub_pointer(d->x->p.env.hub, &k->pointer);
    return 0;
}

static void vkbd_destroy(struct xenbus_dev *d)
{
    vkbd_disconnect(d);
    free(vkbd_of(d));
}

static void vkbd_describe(struct xenbus_dev *d, struct dump *out)
{
    struct vkbd *k = vkbd_of(d);

    dump_add(out, "vkbd events", "%llu, %s pointer", (unsigned long long)k->events,
             k->pointer.absolute ? "absolute" : "relative");
}

static const struct xenbus_ops vkbd_ops = {
    .class = "vkbd",
    .offer = vkbd_offer,
    .connect = vkbd_connect,
    .disconnect = vkbd_disconnect,
    .destroy = vkbd_destroy,
    .describe = vkbd_describe,
};

int vkbd_add(struct xen *x, struct err *e)
{
    struct vkbd *k = calloc(1, sizeof(*k));
    int rc;

    if (!k)
        return err_set(e, ENOMEM, "no memory for Xen's keyboard");
    k->d.ops = &vkbd_ops;
    k->d.x = x;
    k->keyboard = (struct keyboard){.name = "vkbd", .key = vkbd_key};
    k->pointer = (struct pointer){.name = "vkbd", .absolute = true, .move = vkbd_move};
    rc = xenbus_add(x, &k->d, 0, e);
    if (rc < 0)
        free(k);
    return rc;
}
