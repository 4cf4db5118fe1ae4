/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Xen's disk and card under a hostile front end: rings, grants, event channels and the keys of
 * xenstore, as a program of writes. What was connected stays so while the input tears at it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

#include "abi/bytes.h"
#include "console/hub.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fuzz.h"
#include "personas/xen/vbd.h"
#include "personas/xen/vfb.h"
#include "personas/xen/vif.h"
#include "personas/xen/xenbus.h"
#include "virtio/loopnet.h"
#include "virtio/memdisk.h"

enum { PAGE = 4096, SHARED = 0x1000, GRANTS = 0x2000, STATUS = 0x3000, RINGS = 0x4000 };
enum { REF_BLK = 8, REF_TX = 9, REF_RX = 10, REF_CTRL = 11, REFS = 64, RAM = 512 << 10 };
#define DEVICE "/local/domain/1/device/"

struct fuzz {
    struct fake_env f;
    struct xen *x;
    struct loopnet *net;
    struct memdisk *disk;
    unsigned port[3];
    const uint8_t *data;
    size_t size;
};

static uint64_t take(struct fuzz *z, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n && z->size; i++, z->size--)
        v |= (uint64_t)*z->data++ << 8 * i;
    return v;
}

static void upcall(void *arg, unsigned cpu)
{
}

static void op(struct fuzz *z, unsigned cmd, void *body, size_t n)
{
    bool back;

    (void)!evtchn_op(z->x->ev, 0, cmd, body, n, &back);
}

static void send_to(struct fuzz *z, unsigned port)
{
    struct evtchn_send s = {.port = port};

    op(z, EVTCHNOP_send, &s, sizeof(s));
}

static void run(struct fuzz *z)
{
    xenstore_run(z->x->store);
    fake_env_run(&z->f);
    xenstore_run(z->x->store);
}

static void poke(struct fuzz *z, gpa_t at, uint64_t v, unsigned n)
{
    uint8_t raw[8];

    le64_put(raw, v);
    (void)!gmem_write(z->f.env.mem, at, raw, n);
}

/* A picture of one page, whose lists lie in the last rings' pages. */
static void connect_screen(struct fuzz *z)
{
    struct xenstore *s = z->x->store;
    gpa_t page = RINGS + 20 * PAGE;

    for (unsigned i = 0; i < 2; i++) {
        struct evtchn_alloc_unbound a = {.dom = DOMID_SELF};

        op(z, EVTCHNOP_alloc_unbound, &a, sizeof(a));
        xs_put(s, i ? DEVICE "vkbd/0/event-channel" : DEVICE "vfb/0/event-channel", "%u", a.port);
    }
    poke(z, page + 16, 16 | UINT64_C(16) << 32, 8);   /* width, height */
    poke(z, page + 24, 64 | UINT64_C(4096) << 32, 8); /* stride, bytes */
    poke(z, page + 32, 32, 8);                        /* depth */
    poke(z, page + 40, page / PAGE + 1, 8);
    poke(z, page + PAGE, page / PAGE + 2, 8);
    xs_put(s, DEVICE "vfb/0/page-ref", "%u", (unsigned)(page / PAGE));
    xs_put(s, DEVICE "vkbd/0/page-ref", "%u", (unsigned)(page / PAGE) + 3);
    xs_put(s, DEVICE "vfb/0/state", "3");
    xs_put(s, DEVICE "vkbd/0/state", "3");
}

static void connect(struct fuzz *z)
{
    struct xenstore *s = z->x->store;

    for (unsigned i = 0; i < ARRAY_SIZE(z->port); i++) {
        struct evtchn_alloc_unbound a = {.dom = DOMID_SELF};

        op(z, EVTCHNOP_alloc_unbound, &a, sizeof(a));
        z->port[i] = a.port;
    }
    for (unsigned i = 8; i < REFS; i++)
        poke(z, GRANTS + 8 * i, GTF_permit_access | (uint64_t)(RINGS / PAGE + i - 8) << 32, 8);
    xs_put(s, DEVICE "vbd/51712/ring-ref", "%d", REF_BLK);
    xs_put(s, DEVICE "vbd/51712/event-channel", "%u", z->port[0]);
    xs_put(s, DEVICE "vbd/51712/state", "3");
    xs_put(s, DEVICE "vif/0/tx-ring-ref", "%d", REF_TX);
    xs_put(s, DEVICE "vif/0/rx-ring-ref", "%d", REF_RX);
    xs_put(s, DEVICE "vif/0/event-channel", "%u", z->port[1]);
    xs_put(s, DEVICE "vif/0/ctrl-ring-ref", "%d", REF_CTRL);
    xs_put(s, DEVICE "vif/0/event-channel-ctrl", "%u", z->port[2]);
    xs_put(s, DEVICE "vif/0/request-multicast-control", "1");
    xs_put(s, DEVICE "vif/0/request-rx-copy", "1");
    xs_put(s, DEVICE "vif/0/feature-sg", "1");
    xs_put(s, DEVICE "vif/0/feature-gso-tcpv4", "1");
    xs_put(s, DEVICE "vif/0/state", "4");
    connect_screen(z);
    run(z);
}

static void create(struct fuzz *z)
{
    struct nic_spec nic = {.id = "nic0"};
    struct disk_spec disk = {.id = "disk0"};
    struct err e;

    fake_env_create(&z->f, RAM);
    z->x = calloc(1, sizeof(*z->x));
    if (!z->x)
        abort();
    z->x->p.env.dev = z->f.env;
    z->x->p.env.cpus = 1;
    z->x->longmode = true;
    if (evtchn_create(z->f.env.mem, 1, upcall, NULL, &z->x->ev, &e) < 0 ||
        grant_create(z->f.env.mem, &z->x->gr, &e) < 0 || xenstore_create(&z->x->store, &e) < 0)
        abort();
    evtchn_set_shared(z->x->ev, SHARED, true);
    if (grant_set_frame(z->x->gr, 0, false, GRANTS) < 0 ||
        grant_set_frame(z->x->gr, 0, true, STATUS) < 0)
        abort();
    z->net = loopnet_create(z->f.env.loop);
    z->net->tx_caps = z->net->rx_caps = NET_CSUM | NET_TSO4;
    nic.netif = &z->net->n;
    z->disk = memdisk_create(z->f.env.loop, 64 * KiB);
    disk.disk = &z->disk->d;
    if (hub_create(z->f.env.loop, &z->x->p.env.hub, &e) < 0)
        abort();
    if (vif_add(z->x, &nic, 0, &e) < 0 || vbd_add(z->x, &disk, 0, &e) < 0 ||
        vfb_add(z->x, &e) < 0 || vkbd_add(z->x, &e) < 0)
        abort();
    run(z);
    connect(z);
}

/* One of the keys that a front end writes gets a value from the input. */
static void write_key(struct fuzz *z)
{
    static const char *const key[] = {"vbd/51712/state",
                                      "vbd/51712/ring-ref",
                                      "vbd/51712/ring-page-order",
                                      "vbd/51712/event-channel",
                                      "vbd/51712/protocol",
                                      "vbd/51712/multi-queue-num-queues",
                                      "vif/0/state",
                                      "vif/0/tx-ring-ref",
                                      "vif/0/rx-ring-ref",
                                      "vif/0/event-channel",
                                      "vif/0/event-channel-rx",
                                      "vif/0/event-channel-tx",
                                      "vif/0/ctrl-ring-ref",
                                      "vif/0/event-channel-ctrl",
                                      "vif/0/feature-sg",
                                      "vif/0/request-rx-copy",
                                      "vif/0/multi-queue-num-queues",
                                      "vfb/0/state",
                                      "vfb/0/page-ref",
                                      "vfb/0/event-channel",
                                      "vfb/0/protocol",
                                      "vkbd/0/state",
                                      "vkbd/0/page-ref",
                                      "vkbd/0/event-channel"};
    char path[96];

    snprintf(path, sizeof(path), DEVICE "%s", key[take(z, 1) % ARRAY_SIZE(key)]);
    xs_put(z->x->store, path, "%llu", (unsigned long long)take(z, 1));
}

static void network(struct fuzz *z)
{
    static uint8_t frame[NET_FRAME_MAX];
    struct net_meta m = {.flags = (uint32_t)take(z, 1) & 3, .csum_start = 34, .csum_off = 16};

    z->net->full = take(z, 1) & 1;
    if (take(z, 1) & 1)
        m.gso = NET_GSO_TCP4, m.gso_size = 1448, m.flags = NET_NEEDS_CSUM;
    loopnet_offer(z->net, frame, 14 + take(z, 2), &m);
    if (!z->net->full)
        z->net->ev->writable(z->net->arg);
}

/* A viewer, and somebody who types and points. */
static void look(struct fuzz *z)
{
    struct pointer_event ev = {.x = (int)take(z, 2), .y = (int)take(z, 2), .buttons = 1};
    struct image img;
    struct err e;

    if (hub_image(z->x->p.env.hub, &img, &e) == 0)
        free(img.pixels);
    hub_key(z->x->p.env.hub, (unsigned)take(z, 1), take(z, 1) & 1);
    hub_move(z->x->p.env.hub, &ev);
}

static void step(struct fuzz *z)
{
    uint8_t body[24];
    unsigned cmd;

    switch (take(z, 1) % 9) {
    case 0:
        poke(z, (gpa_t)take(z, 2) << 2, take(z, 8), 8);
        break;
    case 1: /* ring words and entries */
        cmd = (unsigned)take(z, 1) % 4;
        poke(z, (gpa_t)RINGS + cmd * PAGE + take(z, 1) * 4, take(z, 4), 4);
        break;
    case 2:
        send_to(z, z->port[take(z, 1) % ARRAY_SIZE(z->port)]);
        break;
    case 3:
        write_key(z);
        break;
    case 4:
        network(z);
        break;
    case 5:
        z->disk->no_try = take(z, 1) & 1;
        z->disk->hold = take(z, 1) & 1;
        if (!z->disk->hold)
            memdisk_let_go(z->disk);
        break;
    case 6:
        cmd = (unsigned)take(z, 1) % 14;
        for (size_t i = 0; i < sizeof(body); i++)
            body[i] = (uint8_t)take(z, 1);
        if (evtchn_op_size(cmd) && evtchn_op_size(cmd) <= sizeof(body))
            op(z, cmd, body, evtchn_op_size(cmd));
        break;
    case 7:
        look(z);
        break;
    default:
        (void)!grant_set_version(z->x->gr, 1 + (take(z, 1) & 1));
        connect(z);
        break;
    }
    run(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz z = {.data = data, .size = size};

    create(&z);
    for (unsigned i = 0; i < 200 && z.size; i++)
        step(&z);
    z.disk->hold = false;
    memdisk_let_go(z.disk);
    run(&z);
    xenbus_destroy(z.x);
    hub_destroy(z.x->p.env.hub);
    xenstore_destroy(z.x->store);
    evtchn_destroy(z.x->ev);
    grant_destroy(z.x->gr);
    free(z.x);
    fake_env_destroy(&z.f);
    return 0;
}
