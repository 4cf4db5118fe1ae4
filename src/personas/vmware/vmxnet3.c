/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmxnet3.c - VMware's network adapter: registers, commands, interrupts.
 *
 * Document: the public guest drivers (Linux drivers/net/vmxnet3). Modelled: revisions 1 to 4, 8
 * send and 16 receive queues, checksums and segmentation on sending (also within VXLAN and Geneve),
 * verified checksums and large frames on receiving, RSS, the receive data ring, moderation of
 * interrupts, VLAN tags and filters, receive filters, link state, statistics, MSI-X, MSI, INTx. Not
 * modelled: later revisions, large frames made of small ones (only those that come large), wake-up,
 * plug-ins.
 *
 * Threads: registers on vCPU threads, frames on the loop; one device lock.
 */
#include "personas/vmware/vmxnet3.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "abi/pvscsi.h"
#include "core/bell.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/ids.h"

enum { BAR_RINGS, BAR_REGISTERS, BAR_MSIX, BAR_SIZE = 4096, REVISIONS = 4 };
#define LINK_UP (10000u << 16 | 1) /* Mbit/s */

static struct vmxnet3 *of(struct device *d)
{
    return container_of(d, struct vmxnet3, pci.dev);
}

/* --- interrupts --- */

static bool all_off(struct vmxnet3 *x)
{
    le32 ctrl;

    return gmem_read(x->pci.dev.env.mem, x->s.shared + offsetof(struct vmxnet3_shared, intr_ctrl),
                     &ctrl, sizeof(ctrl)) < 0 ||
           le32_get(ctrl) & VMXNET3_IC_DISABLE_ALL;
}

void vmxnet3_raise(struct vmxnet3 *x, unsigned intr)
{
    size_t i;

    if (!x->s.active || !idx_in(intr, VMXNET3_MAX_INTRS, &i))
        return;
    if (x->s.masked[i] || all_off(x)) {
        x->s.pending[i] = true;
        return;
    }
    x->s.pending[i] = false;
    x->s.masked[i] = x->s.auto_mask;
    if (!pci_notify(&x->pci, (unsigned)i)) {
        x->s.icr = true;
        pci_intx(&x->pci, true);
    }
}

static void mask_write(struct vmxnet3 *x, size_t i, bool masked)
{
    x->s.masked[i] = masked;
    if (!masked && x->s.pending[i])
        vmxnet3_raise(x, (unsigned)i);
}

static void tell(struct vmxnet3 *x, uint32_t event)
{
    gpa_t at = x->s.shared + offsetof(struct vmxnet3_shared, ecr);
    uint8_t *p = x->s.active ? gmem_shared(x->pci.dev.env.mem, at, 4) : NULL;

    if (!p)
        return;
    shared_store32(p, shared_load32(p) | event);
    vmxnet3_raise(x, x->s.event_intr);
}

static void events_clear(struct vmxnet3 *x, uint32_t bits)
{
    gpa_t at = x->s.shared + offsetof(struct vmxnet3_shared, ecr);
    uint8_t *p = x->s.active ? gmem_shared(x->pci.dev.env.mem, at, 4) : NULL;

    if (p)
        shared_store32(p, shared_load32(p) & ~bits);
}

static gpa_t queue_at(const struct vmxnet3 *x, bool tx, unsigned i)
{
    return x->s.queues + (tx ? i : x->s.ntx + i) * sizeof(struct vmxnet3_tx_queue);
}

void vmxnet3_queue_error(struct vmxnet3 *x, bool tx, unsigned queue, const char *why)
{
    struct vmxnet3_queue_status s = {.stopped = 1, .error = le32_of(1)};
    gpa_t at = queue_at(x, tx, queue) + offsetof(struct vmxnet3_tx_queue, status);

    guest_fault(&x->pci.dev, "queue %u stops: %s", queue, why);
    (tx ? x->s.tx : x->s.rx)[queue].stopped = true;
    (void)!gmem_write(x->pci.dev.env.mem, at, &s, sizeof(s));
    tell(x, tx ? VMXNET3_ECR_TQERR : VMXNET3_ECR_RQERR);
}

/* --- commands --- */

/* What the back end may give us; on the loop. */
static void offloads(struct vmxnet3 *x, uint32_t rx)
{
    const struct net_ops *o = x->netif->ops;

    if (o->set_caps)
        o->set_caps(x->netif, x->caps.tx & (NET_CSUM | NET_TSO4 | NET_TSO6), x->caps.rx & rx);
}

static void offload(struct task *t)
{
    struct vmxnet3 *x = container_of(t, struct vmxnet3, offload);

    offloads(x, READ_ONCE(x->offloads));
}

static void rx_mode(struct vmxnet3 *x)
{
    struct gmem *m = x->pci.dev.env.mem;
    struct vmxnet3_shared s;
    unsigned n;

    if (gmem_read(m, x->s.shared, &s, sizeof(s)) < 0)
        return;
    x->s.rx_mode = le32_get(s.rx_mode);
    n = le16_get(s.mac_table_len) / 6u;
    x->s.macs = 0;
    if (n > VMXNET3_MACS) /* more than we keep: the guest sorts them out */
        x->s.rx_mode |= VMXNET3_RXM_ALL_MULTI;
    else if (n && gmem_read(m, le64_get(s.mac_table), x->s.table, n * 6) == 0)
        x->s.macs = n;
}

static bool ring_set(struct vmxnet3 *x, struct vmxnet3_ring *r, le64 at, le32 size, unsigned entry)
{
    uint32_t n = le32_get(size);

    *r = (struct vmxnet3_ring){.at = le64_get(at), .size = n, .gen = true};
    return n && n <= 2 * VMXNET3_RING_MAX + VMXNET3_RING_MAX && r->at % entry == 0 &&
           r->at < UINT64_C(1) << 52 &&
           gmem_shared(x->pci.dev.env.mem, r->at, (size_t)n * entry) != NULL;
}

/* A driver that asks for none, or for nonsense, gets all frames in its buffers. */
static void data_ring_set(struct vmxnet3 *x, struct vmxnet3_queue *q,
                          const struct vmxnet3_rx_queue *r)
{
    uint64_t n = (uint64_t)le16_get(r->data_desc_size) * q->ring[0].size;

    q->data = le64_get(r->data);
    if (q->data && q->data < UINT64_C(1) << 52 && n && gmem_shared(x->pci.dev.env.mem, q->data, n))
        q->data_size = le16_get(r->data_desc_size);
}

static bool queues_set(struct vmxnet3 *x)
{
    struct gmem *m = x->pci.dev.env.mem;
    bool ok = true;

    for (unsigned i = 0; ok && i < x->s.ntx; i++) {
        struct vmxnet3_tx_queue t;
        struct vmxnet3_queue *q = &x->s.tx[i];

        ok = gmem_read(m, queue_at(x, true, i), &t, sizeof(t)) == 0 &&
             ring_set(x, &q->ring[0], t.ring, t.ring_size, 16) &&
             ring_set(x, &q->comp, t.comp, t.comp_size, 16);
        q->intr = t.intr;
    }
    for (unsigned i = 0; ok && i < x->s.nrx; i++) {
        struct vmxnet3_rx_queue r;
        struct vmxnet3_queue *q = &x->s.rx[i];

        ok = gmem_read(m, queue_at(x, false, i), &r, sizeof(r)) == 0 &&
             ring_set(x, &q->ring[0], r.ring[0], r.ring_size[0], 16) &&
             (le32_get(r.ring_size[1]) == 0 ||
              ring_set(x, &q->ring[1], r.ring[1], r.ring_size[1], 16)) &&
             ring_set(x, &q->comp, r.comp, r.comp_size, 16);
        q->intr = r.intr;
        if (ok && x->revision >= 3)
            data_ring_set(x, q, &r);
    }
    return ok;
}

static void features(struct vmxnet3 *x)
{
    uint32_t lro = NET_CSUM | NET_TSO4 | NET_TSO6;
    struct vmxnet3_shared s;
    uint64_t f;

    if (gmem_read(x->pci.dev.env.mem, x->s.shared, &s, sizeof(s)) < 0)
        return;
    f = le64_get(s.upt_features);
    x->s.rx_csum = f & UPT1_F_RXCSUM;
    x->s.rx_vlan = f & UPT1_F_RXVLAN;
    x->s.lro = f & UPT1_F_LRO && x->revision >= 2 && x->s.rx_csum;
    if (!(f & UPT1_F_RSS) || !vmxnet3_rss_load(x))
        x->s.rss.on = false;
    x->s.vlan_filter = false;
    for (unsigned i = 0; i < ARRAY_SIZE(s.vlan); i++) {
        le32_put(x->s.vlan + 4 * i, le32_get(s.vlan[i]));
        x->s.vlan_filter |= le32_get(s.vlan[i]) != 0;
    }
    WRITE_ONCE(x->offloads, x->s.lro ? lro : 0);
    loop_ask(x->pci.dev.env.loop, &x->offload);
}

/* Stops, and forgets all but where the shared area is. */
static void quiet(struct vmxnet3 *x)
{
    uint64_t shared = x->s.shared;

    memset(x->due, 0, sizeof(x->due));
    pci_intx(&x->pci, false);
    memset(&x->s, 0, sizeof(x->s));
    x->s.shared = shared;
    x->in_len = 0;
}

/* 0, or 1 when the driver's areas make no sense. */
static uint32_t activate(struct vmxnet3 *x)
{
    struct vmxnet3_shared s;
    uint64_t last;

    quiet(x);
    if (gmem_read(x->pci.dev.env.mem, x->s.shared, &s, sizeof(s)) < 0 ||
        le32_get(s.magic) != VMXNET3_REV1_MAGIC || s.tx_queues > VMXNET3_MAX_TX_QUEUES ||
        s.rx_queues > VMXNET3_MAX_RX_QUEUES || !s.tx_queues || !s.rx_queues ||
        add_overflows(le64_get(s.queue_desc), 64 * KiB, &last)) {
        guest_fault(&x->pci.dev, "the shared area makes no sense");
        return 1;
    }
    x->s.queues = le64_get(s.queue_desc);
    x->s.ntx = s.tx_queues;
    x->s.nrx = s.rx_queues;
    x->s.event_intr = s.event_intr;
    x->s.auto_mask = s.auto_mask;
    for (unsigned i = 0; i < VMXNET3_MAX_INTRS; i++)
        x->s.masked[i] = true; /* until the driver unmasks it */
    if (!queues_set(x)) {
        quiet(x);
        guest_fault(&x->pci.dev, "a ring lies outside memory or has a bad size");
        return 1;
    }
    x->s.active = true;
    x->s.rss.fields = VMXNET3_RSS_FIELDS_TCPIP4 | VMXNET3_RSS_FIELDS_TCPIP6;
    vmxnet3_rx_ask(x, false);
    features(x);
    rx_mode(x);
    vmxnet3_wake(x);
    return 0;
}

/* Sent: two words of segmentation first; received: two of large receive. */
static void stats(struct vmxnet3 *x)
{
    for (unsigned i = 0; i < x->s.ntx + x->s.nrx; i++) {
        bool tx = i < x->s.ntx;
        const struct vmxnet3_queue *q = tx ? &x->s.tx[i] : &x->s.rx[i - x->s.ntx];
        gpa_t at = queue_at(x, tx, tx ? i : i - x->s.ntx) + 88;
        le64 v[10] = {0};

        for (unsigned k = 0; k < 3; k++) {
            v[2 + 2 * k] = le64_of(q->frames[k]);
            v[3 + 2 * k] = le64_of(q->bytes[k]);
        }
        (void)!gmem_write(x->pci.dev.env.mem, at, v, sizeof(v));
    }
}

static uint32_t mac_half(const uint8_t mac[6], bool high)
{
    return high ? le16_at(mac + 4) : le32_at(mac);
}

static uint32_t rss_fields(struct vmxnet3 *x)
{
    struct vmxnet3_conf_desc c;

    if (x->revision < 4 || !x->s.active ||
        gmem_read(x->pci.dev.env.mem, x->s.shared + offsetof(struct vmxnet3_shared, command), &c,
                  sizeof(c)) < 0)
        return 1;
    x->s.rss.fields = le32_get(c.version) & 0x3f;
    return 0;
}

static uint32_t command(struct vmxnet3 *x, uint32_t cmd)
{
    switch (cmd) {
    case VMXNET3_CMD_ACTIVATE_DEV:
        return activate(x);
    case VMXNET3_CMD_QUIESCE_DEV:
    case VMXNET3_CMD_RESET_DEV:
        quiet(x);
        return 0;
    case VMXNET3_CMD_UPDATE_RX_MODE:
    case VMXNET3_CMD_UPDATE_MAC_FILTERS:
        if (x->s.active)
            rx_mode(x);
        return 0;
    case VMXNET3_CMD_UPDATE_VLAN_FILTERS:
    case VMXNET3_CMD_UPDATE_RSSIDT:
    case VMXNET3_CMD_UPDATE_FEATURE:
        if (x->s.active)
            features(x);
        return 0;
    case VMXNET3_CMD_SET_COALESCE:
        return x->revision >= 3 ? vmxnet3_coalesce_load(x) : 1;
    case VMXNET3_CMD_GET_COALESCE:
        return x->s.coalesce.mode;
    case VMXNET3_CMD_SET_RSS_FIELDS:
        return rss_fields(x);
    case VMXNET3_CMD_GET_RSS_FIELDS:
        return x->s.rss.fields;
    case VMXNET3_CMD_GET_TXDATA_DESC_SIZE:
        return VMXNET3_TXDATA_DESC_SIZE;
    case VMXNET3_CMD_GET_STATS:
        stats(x);
        return 0;
    case VMXNET3_CMD_GET_LINK:
        return x->caps.link ? LINK_UP : 0;
    case VMXNET3_CMD_GET_PERM_MAC_LO:
    case VMXNET3_CMD_GET_PERM_MAC_HI:
        return mac_half(x->perm_mac, cmd == VMXNET3_CMD_GET_PERM_MAC_HI);
    default:
        return 0; /* queue status is always in place; interrupts: the driver's choice */
    }
}

/* --- registers --- */

void vmxnet3_wake(struct vmxnet3 *x)
{
    bell_ring(x->kick.fd);
}

static void ring_io(struct vmxnet3 *x, uint64_t off, enum access dir, uint64_t *val)
{
    size_t i;

    if (off >= VMXNET3_REG_TXPROD) {
        if (dir == ACC_WRITE)
            vmxnet3_wake(x);
    } else if (off % VMXNET3_REG_ALIGN == 0 &&
               idx_in(off / VMXNET3_REG_ALIGN, VMXNET3_MAX_INTRS, &i)) {
        if (dir == ACC_WRITE)
            mask_write(x, i, *val & 1);
        else
            *val = x->s.masked[i];
    }
}

static void reg_write(struct vmxnet3 *x, uint64_t off, uint32_t v)
{
    switch (off) {
    case VMXNET3_REG_DSAL:
        if (!x->s.active)
            x->s.shared = (x->s.shared & ~UINT64_C(0xffffffff)) | v;
        break;
    case VMXNET3_REG_DSAH:
        if (!x->s.active)
            x->s.shared = (uint32_t)x->s.shared | (uint64_t)v << 32;
        break;
    case VMXNET3_REG_CMD: {
        uint32_t result = command(x, v);

        x->s.result = result;
        break;
    }
    case VMXNET3_REG_MACL:
        le32_put(x->mac, v);
        break;
    case VMXNET3_REG_MACH:
        le16_put(x->mac + 4, (uint16_t)v);
        break;
    case VMXNET3_REG_ECR:
        events_clear(x, v);
        break;
    case VMXNET3_REG_VRRS:
        if (v && v < 1u << REVISIONS)
            x->revision = (unsigned)__builtin_ctz(v) + 1;
        break;
    default:
        break;
    }
}

static uint32_t reg_read(struct vmxnet3 *x, uint64_t off)
{
    uint32_t v = 0;

    switch (off) {
    case VMXNET3_REG_VRRS:
        return (1u << REVISIONS) - 1; /* a bit each */
    case VMXNET3_REG_UVRS:
        return 1;
    case VMXNET3_REG_CMD:
        return x->s.result;
    case VMXNET3_REG_MACL:
    case VMXNET3_REG_MACH:
        return mac_half(x->mac, off == VMXNET3_REG_MACH);
    case VMXNET3_REG_ICR:
        v = x->s.icr;
        x->s.icr = false;
        pci_intx(&x->pci, false);
        return v;
    default:
        return 0;
    }
}

static void vmxnet3_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                       enum access dir, uint64_t *val)
{
    struct vmxnet3 *x = of(d);

    if (size != 4)
        return;
    if (region == BAR_RINGS)
        ring_io(x, off, dir, val);
    else if (region == BAR_REGISTERS && dir == ACC_WRITE)
        reg_write(x, off, (uint32_t)*val);
    else if (region == BAR_REGISTERS)
        *val = reg_read(x, off);
}

/* --- the loop's side --- */

static void kicked(struct watch *w, uint32_t got)
{
    struct vmxnet3 *x = container_of(w, struct vmxnet3, kick);

    (void)got;
    bell_take(w->fd);
    device_lock(&x->pci.dev);
    if (x->s.active) {
        vmxnet3_send_all(x);
        vmxnet3_receive_all(x);
    }
    device_unlock(&x->pci.dev);
}

static void readable(void *arg)
{
    struct vmxnet3 *x = arg;

    device_lock(&x->pci.dev);
    if (x->s.active)
        vmxnet3_receive_all(x);
    device_unlock(&x->pci.dev);
}

static void look(struct alarm *a)
{
    readable(container_of(a, struct vmxnet3, look));
}

static void writable(void *arg)
{
    struct vmxnet3 *x = arg;

    device_lock(&x->pci.dev);
    if (x->s.active)
        vmxnet3_send_all(x);
    device_unlock(&x->pci.dev);
}

static void link_changed(void *arg, bool up)
{
    struct vmxnet3 *x = arg;

    device_lock(&x->pci.dev);
    x->caps.link = up;
    tell(x, VMXNET3_ECR_LINK);
    device_unlock(&x->pci.dev);
}

static const struct net_events events = {readable, writable, link_changed};

/* --- life --- */

static void vmxnet3_reset(struct device *d)
{
    struct vmxnet3 *x = of(d);

    device_lock(d);
    quiet(x);
    x->s.shared = 0;
    x->revision = 1;
    memcpy(x->mac, x->perm_mac, sizeof(x->mac));
    device_unlock(d);
    loop_forget(d->env.loop, &x->offload);
    loop_disarm(d->env.loop, &x->look);
    offloads(x, 0);
}

static void release(struct vmxnet3 *x)
{
    if (x->kick.fd >= 0) {
        loop_unwatch(x->pci.dev.env.loop, &x->kick);
        close(x->kick.fd);
    }
    loop_forget(x->pci.dev.env.loop, &x->offload);
    loop_disarm(x->pci.dev.env.loop, &x->look);
    loop_disarm(x->pci.dev.env.loop, &x->moderate);
    free(x->out);
    free(x->in);
    free(x->cut);
    free(x);
}

static void vmxnet3_destroy(struct device *d)
{
    struct vmxnet3 *x = of(d);

    x->netif->ops->listen(x->netif, NULL, NULL);
    net_close(x->netif);
    release(x);
}

static void vmxnet3_describe(struct device *d, struct dump *out)
{
    struct vmxnet3 *x = of(d);
    const uint8_t *m = x->mac;

    dump_add(out, "mac", MAC_FMT, MAC_ARGS(m));
    dump_add(out, "driver", "%s, %u send and %u receive queues",
             x->s.active ? "active" : "not active", x->s.ntx, x->s.nrx);
    dump_add(out, "revision", "%u", x->revision);
    dump_add(out, "features", "%s%s%s%s", x->s.rx_csum ? "checksums " : "",
             x->s.rss.on ? "rss " : "", x->s.lro ? "lro " : "", x->s.rx_vlan ? "vlan" : "");
    dump_add(out, "sent", "%llu frames, %llu refused",
             (unsigned long long)x->netif->stats.tx_frames, (unsigned long long)x->refused);
    dump_add(out, "received", "%llu frames, %llu dropped",
             (unsigned long long)x->netif->stats.rx_frames, (unsigned long long)x->dropped);
}

static const struct device_ops vmxnet3_ops = {
    .name = "vmxnet3",
    .destroy = vmxnet3_destroy,
    .reset = vmxnet3_reset,
    .io = vmxnet3_io,
    .describe = vmxnet3_describe,
};

static void bells(struct vmxnet3 *x)
{
    static const struct {
        unsigned at, count;
    } reg[] = {{VMXNET3_REG_TXPROD, VMXNET3_MAX_TX_QUEUES},
               {VMXNET3_REG_RXPROD, VMXNET3_MAX_RX_QUEUES},
               {VMXNET3_REG_RXPROD2, VMXNET3_MAX_RX_QUEUES}};

    for (size_t i = 0; i < ARRAY_SIZE(reg); i++) {
        for (unsigned k = 0; k < reg[i].count; k++)
            (void)!bus_doorbell(x->pci.dev.env.mmio, &x->pci.dev, BAR_RINGS,
                                reg[i].at + k * VMXNET3_REG_ALIGN, 4, false, 0, x->kick.fd);
    }
}

static int set_up(struct vmxnet3 *x, const struct env *env, bool boot, struct err *e)
{
    static const struct pci_id id = {PCI_VENDOR_ID_VMWARE, PCI_DEVICE_ID_VMWARE_VMXNET3,
                                     PCI_VENDOR_ID_VMWARE, PCI_DEVICE_ID_VMWARE_VMXNET3,
                                     0x02000001};
    int rc;

    pci_init(&x->pci, &vmxnet3_ops, env, &id);
    x->pci.bar[BAR_RINGS] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = BAR_SIZE};
    x->pci.bar[BAR_REGISTERS] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = BAR_SIZE};
    x->kick = (struct watch){.want = EPOLLIN, .ready = kicked};
    x->kick.fd = bell_make();
    x->out = malloc(NET_FRAME_MAX);
    x->in = malloc(NET_FRAME_MAX);
    if (x->kick.fd < 0 || !x->out || !x->in)
        return err_set(e, ENOMEM, "%s: no memory for a network card", env->id);
    rc = loop_watch(env->loop, &x->kick);
    if (rc < 0)
        return err_set(e, -rc, "cannot watch vmxnet3's doorbell: %s", strerror(-rc));
    rc = pci_add_msix(&x->pci, BAR_MSIX, VMXNET3_MAX_INTRS, e);
    if (rc == 0)
        rc = pci_add_msi(&x->pci, 1, e);
    if (rc == 0 && boot)
        rc = pci_add_rom(&x->pci, "pxe-vmxnet3.rom", e);
    return rc < 0 ? rc : pci_add(env->pci, &x->pci, -1, e);
}

int vmxnet3_create(const struct env *env, struct netif *n, const uint8_t mac[6], bool boot,
                   struct err *e)
{
    struct vmxnet3 *x = calloc(1, sizeof(*x));
    int rc;

    if (!x)
        return err_set(e, ENOMEM, "%s: no memory for a network card", env->id);
    x->netif = n;
    x->revision = 1;
    x->moderate.fire = vmxnet3_moderate_fire;
    x->offload.run = offload;
    x->look.fire = look;
    memcpy(x->perm_mac, mac, 6);
    memcpy(x->mac, mac, 6);
    n->ops->caps(n, &x->caps);
    rc = set_up(x, env, boot, e);
    if (rc < 0) {
        pci_remove(&x->pci);
        release(x);
        return rc;
    }
    bells(x);
    offloads(x, 0);
    pci_boots(&x->pci, env->id, "ethernet", "ethernet-phy@0");
    n->ops->listen(n, &events, x);
    return 0;
}
