/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vif_ctrl.c - the control ring of a card and what it sets: by which hash, key and table frames
 * come to queues (Xen public/io/netif.h). Static grants are answered as not supported.
 *
 * Requests are copied before they are looked at; each is answered once, in order.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "abi/bytes.h"
#include "core/bell.h"
#include "core/gmem.h"
#include "personas/xen/vif_priv.h"

enum { CTRL_SLOT = 16, CTRL_RING = 128 };
enum ctrl_type {
    XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS = 1,
    XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS = 2,
    XEN_NETIF_CTRL_TYPE_SET_HASH_KEY = 3,
    XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE = 4,
    XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE = 5,
    XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING = 6,
    XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM = 7,
};
enum ctrl_status {
    XEN_NETIF_CTRL_STATUS_SUCCESS = 0,
    XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED = 1,
    XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER = 2,
    XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW = 3,
};
enum { HASH_IPV4, HASH_IPV4_TCP, HASH_IPV6, HASH_IPV6_TCP, HASH_KINDS }; /* bit numbers */
enum { IP_TCP = 6 };

/* --- the hash --- */

/* n bytes from the start of what a front end grants. */
static bool copy_granted(struct vif *v, uint32_t ref, uint8_t *to, size_t n)
{
    struct granted g;
    bool whole;

    if (grant_begin(v->d.x->gr, ref, false, &g) != 0)
        return false;
    whole = g.off == 0 && g.len >= n;
    if (whole)
        memcpy(to, g.page, n);
    grant_end(v->d.x->gr, ref, false);
    return whole;
}

static enum ctrl_status set_algorithm(struct vif *v, const uint32_t data[3], uint32_t *out)
{
    if (data[0] > VIF_TOEPLITZ)
        return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
    v->hash.algorithm = data[0];
    return XEN_NETIF_CTRL_STATUS_SUCCESS;
}

static enum ctrl_status get_flags(struct vif *v, const uint32_t data[3], uint32_t *out)
{
    if (!v->hash.algorithm)
        return XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED;
    *out = (1u << HASH_KINDS) - 1;
    return XEN_NETIF_CTRL_STATUS_SUCCESS;
}

static enum ctrl_status set_flags(struct vif *v, const uint32_t data[3], uint32_t *out)
{
    if (!v->hash.algorithm)
        return XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED;
    if (data[0] >> HASH_KINDS)
        return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
    v->hash.kinds = data[0];
    return XEN_NETIF_CTRL_STATUS_SUCCESS;
}

static enum ctrl_status set_key(struct vif *v, const uint32_t data[3], uint32_t *out)
{
    uint8_t key[RSS_KEY] = {0};

    if (data[1] > sizeof(key))
        return XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW;
    if (data[1] && !copy_granted(v, data[0], key, data[1]))
        return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
    memcpy(v->hash.key, key, sizeof(key));
    return XEN_NETIF_CTRL_STATUS_SUCCESS;
}

static enum ctrl_status get_mapping_size(struct vif *v, const uint32_t data[3], uint32_t *out)
{
    *out = VIF_MAPPINGS;
    return XEN_NETIF_CTRL_STATUS_SUCCESS;
}

static enum ctrl_status set_mapping_size(struct vif *v, const uint32_t data[3], uint32_t *out)
{
    if (data[0] > VIF_MAPPINGS)
        return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
    v->hash.mappings = data[0];
    memset(v->hash.mapping, 0, sizeof(v->hash.mapping));
    return XEN_NETIF_CTRL_STATUS_SUCCESS;
}

static enum ctrl_status set_mapping(struct vif *v, const uint32_t data[3], uint32_t *out)
{
    uint8_t raw[VIF_MAPPINGS * sizeof(uint32_t)];

    if (!range_in(data[2], data[1], v->hash.mappings))
        return XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW;
    if (data[1] && !copy_granted(v, data[0], raw, data[1] * sizeof(uint32_t)))
        return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
    for (uint32_t i = 0; i < data[1]; i++) {
        if (le32_at(raw + 4 * (size_t)i) >= v->queues)
            return XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
    }
    for (uint32_t i = 0; i < data[1]; i++)
        v->hash.mapping[data[2] + i] = raw[4 * (size_t)i];
    return XEN_NETIF_CTRL_STATUS_SUCCESS;
}

bool vif_hashes(const struct vif *v)
{
    return v->hash.algorithm && v->hash.kinds;
}

unsigned vif_hash(const struct vif *v, const struct net_layout *o, struct vif_flow *out)
{
    unsigned plain = o->version == 4 ? HASH_IPV4 : HASH_IPV6;
    bool tcp = o->version && o->payload && o->proto == IP_TCP &&
               v->hash.kinds & 1u << (plain + 1); /* the TCP kind of the same version */
    uint8_t input[RSS_INPUT];
    size_t n = 0;

    if (o->version && (tcp || v->hash.kinds & 1u << plain))
        n = rss_input(v->bounce, o, tcp ? o->l4 : 0, input);
    *out = (struct vif_flow){.said = n != 0, .kind = (uint8_t)(plain + tcp)};
    out->value = n ? rss_toeplitz(v->hash.key, input, n) : 0;
    return v->hash.mappings ? v->hash.mapping[out->value % v->hash.mappings]
                            : out->value % v->queues;
}

/* --- the ring --- */

static enum ctrl_status obey(struct vif *v, unsigned type, const uint32_t data[3], uint32_t *out)
{
    static enum ctrl_status (*const how[])(struct vif * v, const uint32_t data[3],
                                           uint32_t *out) = {
        [XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS] = get_flags,
        [XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS] = set_flags,
        [XEN_NETIF_CTRL_TYPE_SET_HASH_KEY] = set_key,
        [XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE] = get_mapping_size,
        [XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE] = set_mapping_size,
        [XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING] = set_mapping,
        [XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM] = set_algorithm,
    };
    size_t at;

    if (!idx_in(type, sizeof(how) / sizeof(how[0]), &at) || !how[at])
        return XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED;
    return how[at](v, data, out);
}

static void serve_one(struct vif *v)
{
    struct vif_ring *r = &v->ctrl.tx;
    uint8_t raw[CTRL_SLOT], *p;
    uint32_t data[3], value = 0;
    enum ctrl_status status;

    memcpy(raw, r->page + VIF_RING_HEAD + (size_t)(r->req_cons++ % CTRL_RING) * CTRL_SLOT,
           CTRL_SLOT);
    for (unsigned i = 0; i < 3; i++)
        data[i] = le32_at(raw + 4 + 4 * (size_t)i);
    status = obey(v, le16_at(raw + 2), data, &value);
    p = r->page + VIF_RING_HEAD + (size_t)(r->rsp_prod++ % CTRL_RING) * CTRL_SLOT;
    memcpy(p, raw, 4); /* id and type */
    le32_put(p + 4, status);
    le32_put(p + 8, value);
}

void vif_ctrl_kicked(struct watch *w, uint32_t got)
{
    struct vif_queue *q = container_of(w, struct vif_queue, kick);
    uint32_t n, all = 0;

    bell_take(w->fd);
    if (!q->tx.up || q->broken)
        return;
    do {
        n = shared_load32(q->tx.page + RING_REQ_PROD) - q->tx.req_cons;
        if (n > CTRL_RING) {
            vif_break(q, "the control ring's producer is outside the ring");
            return;
        }
        for (uint32_t i = 0; i < n; i++)
            serve_one(q->v);
        all += n;
        shared_store32(q->tx.page + RING_REQ_EVENT, q->tx.req_cons + 1);
        shared_barrier();
    } while (shared_load32(q->tx.page + RING_REQ_PROD) != q->tx.req_cons && all < CTRL_RING);
    vif_push(q, &q->tx);
    if (all >= CTRL_RING)
        vif_wake(q); /* the guest may ask faster than it is answered: others come first */
}
