/* SPDX-License-Identifier: Apache-2.0 */
/* nic.c - see nic.h. */
#include "board/nic/nic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/bell.h"
#include "core/err.h"
#include "core/ids.h"
#include "net/csum.h"

bool nic_known(const char *model)
{
    for (size_t i = 0; nic_models[i]; i++) {
        if (strcmp(nic_models[i]->name, model) == 0)
            return true;
    }
    return false;
}

/* --- frames --- */

void nic_wake(struct nic *n)
{
    bell_ring(n->kick.fd);
}

static void work(struct nic *n)
{
    bool more;

    device_lock(&n->pci.dev);
    more = n->model->work(n);
    device_unlock(&n->pci.dev);
    if (more)
        nic_wake(n);
}

static void kicked(struct watch *w, uint32_t got)
{
    (void)got;
    bell_take(w->fd);
    work(container_of(w, struct nic, kick));
}

static void ready(void *arg)
{
    work(arg);
}

static void link_changed(void *arg, bool up)
{
    struct nic *n = arg;

    device_lock(&n->pci.dev);
    n->caps.link = up;
    n->model->link(n);
    device_unlock(&n->pci.dev);
}

static const struct net_events events = {ready, ready, link_changed};

bool nic_fetch(struct nic *n, size_t max)
{
    struct iovec iov = {n->in, NET_FRAME_MAX};

    while (!n->in_len) {
        long rc = n->netif->ops->recv(n->netif, &n->in_meta, &iov, 1);

        if (rc == -EAGAIN)
            return false;
        if (rc < ETHER_HEAD || (size_t)rc > max) {
            n->dropped++;
            continue;
        }
        n->in_len = (size_t)rc;
        if (n->in_meta.flags & NET_NEEDS_CSUM) {
            (void)!net_csum_fill(n->in, n->in_len, &n->in_meta);
            n->in_meta.flags = NET_CSUM_OK;
        }
        if (n->in_len < ETHER_MIN) {
            memset(n->in + n->in_len, 0, ETHER_MIN - n->in_len);
            n->in_len = ETHER_MIN;
        }
    }
    return true;
}

static int send_one(void *arg, const uint8_t *f, size_t len)
{
    static const struct net_meta none = {0};
    struct nic *n = arg;
    struct iovec iov = {(void *)(uintptr_t)f, len};

    (void)!n->netif->ops->send(n->netif, &none, &iov, 1); /* a full one loses what is left */
    return 0;
}

bool nic_send(struct nic *n, size_t len, struct net_meta *m)
{
    static const uint32_t need[] = {
        [NET_GSO_TCP4] = NET_TSO4, [NET_GSO_TCP6] = NET_TSO6, [NET_GSO_UDP] = NET_USO};
    struct iovec iov = {n->out, len};
    int rc = 0;

    if (m->gso != NET_GSO_NONE && !(n->caps.tx & need[m->gso])) {
        rc = net_segment(n->out, len, m->gso_size, n->cut, send_one, n);
    } else {
        if (m->flags & NET_NEEDS_CSUM && !(n->caps.tx & NET_CSUM)) {
            rc = net_csum_fill(n->out, len, m);
            m->flags = 0;
        }
        if (rc == 0 && n->netif->ops->send(n->netif, m, &iov, 1) == -EAGAIN)
            return false;
    }
    if (rc < 0) {
        n->refused++;
        guest_fault(&n->pci.dev, "a frame of %zu bytes cannot be sent as asked", len);
    }
    return true;
}

uint32_t nic_crc(const uint8_t mac[6])
{
    uint32_t crc = UINT32_MAX;

    for (unsigned i = 0; i < 48; i++) {
        uint32_t bit = (crc >> 31) ^ (mac[i / 8] >> (i % 8) & 1u);

        crc = crc << 1 ^ (bit ? UINT32_C(0x04c11db7) : 0);
    }
    return crc;
}

bool nic_is_broadcast(const uint8_t *frame)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    return memcmp(frame, all, sizeof(all)) == 0;
}

/* --- life --- */

void nic_describe(struct nic *n, struct dump *out)
{
    const uint8_t *m = n->mac;

    dump_add(out, "mac", MAC_FMT, MAC_ARGS(m));
    dump_add(out, "link", "%s", n->caps.link ? "up" : "down");
    dump_add(out, "sent", "%llu frames, %llu refused",
             (unsigned long long)n->netif->stats.tx_frames, (unsigned long long)n->refused);
    dump_add(out, "received", "%llu frames, %llu dropped",
             (unsigned long long)n->netif->stats.rx_frames, (unsigned long long)n->dropped);
}

static void release(struct nic *n)
{
    if (n->kick.fd >= 0) {
        loop_unwatch(n->pci.dev.env.loop, &n->kick);
        close(n->kick.fd);
    }
    if (n->model->fini)
        n->model->fini(n);
    free(n->in);
    free(n->out);
    free(n->cut);
    free(n);
}

void nic_destroy(struct device *d)
{
    struct nic *n = (struct nic *)d;

    n->netif->ops->listen(n->netif, NULL, NULL);
    net_close(n->netif);
    release(n);
}

static int set_up(struct nic *n, const struct env *env, const struct nic_cfg *c, struct err *e)
{
    int rc = n->model->init(n, env, e);

    n->in = malloc(NET_FRAME_MAX);
    n->out = malloc(NET_FRAME_MAX);
    n->cut = malloc(NET_FRAME_MAX);
    n->kick.fd = bell_make();
    if (rc == 0 && (!n->in || !n->out || !n->cut || n->kick.fd < 0))
        rc = err_set(e, ENOMEM, "%s: no memory for a network card", env->id);
    if (rc == 0) {
        rc = loop_watch(env->loop, &n->kick);
        if (rc < 0)
            rc = err_set(e, -rc, "%s: cannot watch a doorbell: %s", env->id, strerror(-rc));
    }
    if (rc == 0 && c->boot && n->model->rom)
        rc = pci_add_rom(&n->pci, n->model->rom, e);
    return rc < 0 ? rc : pci_add(env->pci, &n->pci, c->devfn, e);
}

int nic_create(const struct env *env, const struct nic_cfg *c, struct err *e)
{
    const struct nic_model *m = NULL;
    struct nic *n;
    int rc;

    for (size_t i = 0; nic_models[i]; i++) {
        if (strcmp(nic_models[i]->name, c->model) == 0)
            m = nic_models[i];
    }
    n = m ? calloc(1, m->size) : NULL;
    if (!n)
        return err_set(e, ENOMEM, "%s: no memory for a network card", env->id);
    n->model = m;
    n->netif = c->netif;
    memcpy(n->mac, c->mac, sizeof(n->mac));
    n->kick = (struct watch){.fd = -1, .want = EPOLLIN, .ready = kicked};
    c->netif->ops->caps(c->netif, &n->caps);
    rc = set_up(n, env, c, e);
    if (rc < 0) {
        pci_remove(&n->pci);
        release(n);
        return rc;
    }
    if (n->netif->ops->set_caps)
        n->netif->ops->set_caps(n->netif, n->caps.tx & (NET_CSUM | NET_TSO4 | NET_TSO6),
                                n->caps.rx & NET_CSUM);
    pci_boots(&n->pci, env->id, "ethernet", "ethernet-phy@0");
    n->netif->ops->listen(n->netif, &events, n);
    return 0;
}
