/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xs_ring.c - the page through which a guest talks to xenstore (Xen public/io/xs_wire.h).
 *
 * Two byte rings of 1024 bytes. Indices are the guest's; a distance beyond the ring's size or a
 * payload beyond 4096 bytes breaks the connection, which the error field tells, until it is reset.
 *
 * A guest sends an event only when it finds that all it had written before was taken, or that it
 * has just made room in a full ring. So what is stored here must be seen before the guest's index
 * is read again. Linux has no such barrier on its side (xb_write() and xb_read() of
 * xenbus_comms.c): its processor may look first, and miss that we have just taken all there was,
 * while we miss what it has just written. So the ring is looked at once more a while later.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/xenstore.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "personas/xen/xenstore.h"

enum {
    LOOK_NS = 10 * 1000 * 1000,
    TURN = 64, /* pieces of requests that are taken before the loop does something else */
};

struct xs_ring {
    struct loop *loop;
    struct alarm look;
    struct xenstore_domain_interface *page;
    struct xs_client *client;
    void (*notify)(void *arg);
    void *arg;
    bool broken;
    bool kicked; /* inside xs_ring_kick(): it notifies once, at its end */
    bool told;
    size_t have, sent; /* bytes of in, bytes of the current answer that are out */
    uint8_t in[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
};

/* Something changed in the page that the guest should look at. */
static void tell(struct xs_ring *r)
{
    if (r->kicked)
        r->told = true;
    else
        r->notify(r->arg);
}

static void fail(struct xs_ring *r, uint32_t why)
{
    r->broken = true;
    shared_store32(&r->page->error, why);
    tell(r);
}

/* As much of msg as there is room for; true when all of it is out. */
static bool ring_send(void *arg, const uint8_t *msg, size_t n)
{
    struct xs_ring *r = arg;
    uint32_t prod = shared_load32(&r->page->rsp_prod), room = 1;

    if (r->broken)
        return true; /* nobody will read it */
    while (r->sent < n && room) {
        uint32_t used = prod - shared_load32(&r->page->rsp_cons);

        if (used > XENSTORE_RING_SIZE) {
            fail(r, XENSTORE_ERROR_RINGIDX);
            return true;
        }
        room = (uint32_t)min_u64(XENSTORE_RING_SIZE - used, n - r->sent);
        for (uint32_t i = 0; i < room; i++)
            r->page->rsp[prod++ % XENSTORE_RING_SIZE] = msg[r->sent++];
        shared_store32(&r->page->rsp_prod, prod);
        shared_barrier(); /* a guest that made room meanwhile has not seen that the ring is full */
    }
    tell(r);
    if (r->sent < n)
        return false;
    r->sent = 0;
    return true;
}

/* Bytes still missing from the message that is being collected. */
static size_t missing(const struct xs_ring *r)
{
    struct xsd_sockmsg head;

    if (r->have < sizeof(head))
        return sizeof(head) - r->have;
    memcpy(&head, r->in, sizeof(head));
    return sizeof(head) + le32_get(head.len) - r->have;
}

static bool payload_too_long(const struct xs_ring *r)
{
    struct xsd_sockmsg head;

    memcpy(&head, r->in, sizeof(head));
    return r->have == sizeof(head) && le32_get(head.len) > XENSTORE_PAYLOAD_MAX;
}

/* Takes what the guest has written; false: nothing more to take, or none before it has read its
 * answers. */
static bool receive(struct xs_ring *r)
{
    uint32_t cons = shared_load32(&r->page->req_cons), prod = shared_load32(&r->page->req_prod);
    uint32_t n = prod - cons;

    if (n > XENSTORE_RING_SIZE) {
        fail(r, XENSTORE_ERROR_RINGIDX);
        return false;
    }
    if (n == 0 || !xs_client_reads(r->client))
        return false;
    while (n && missing(r) && !r->broken) {
        r->in[r->have++] = r->page->req[cons++ % XENSTORE_RING_SIZE];
        n--;
        if (payload_too_long(r))
            fail(r, XENSTORE_ERROR_PROTO);
    }
    shared_store32(&r->page->req_cons, cons);
    shared_barrier(); /* a guest that wrote more meanwhile has not seen that this was taken */
    tell(r);
    if (!r->broken && missing(r) == 0) {
        n = (uint32_t)r->have;
        r->have = 0;
        xs_client_message(r->client, r->in, n);
    }
    return !r->broken;
}

void xs_ring_reset(struct xs_ring *r)
{
    r->broken = true;
    xs_client_flush(r->client); /* what was meant for the old guest goes nowhere */
    xs_client_reset(r->client);
    r->have = r->sent = 0;
    memset(r->page, 0, sizeof(*r->page));
    r->page->server_features =
        le32_of(XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR);
    r->broken = false;
}

static void reconnect(struct xs_ring *r)
{
    xs_ring_reset(r);
    shared_store32(&r->page->connection, XENSTORE_CONNECTED);
    tell(r);
}

/* Serves what there is, for a turn, and looks again: at once when there was more, or later. */
static void serve(struct xs_ring *r, bool later)
{
    unsigned turn = 0;
    bool any;

    r->kicked = true;
    if (shared_load32(&r->page->connection) == XENSTORE_RECONNECT)
        reconnect(r);
    xs_client_flush(r->client);
    while (!r->broken && turn < TURN && receive(r))
        turn++;
    r->kicked = false;
    any = r->told;
    r->told = false;
    if (any)
        r->notify(r->arg);
    if (any || later)
        loop_arm(r->loop, &r->look, loop_now(r->loop) + (turn == TURN ? 0 : LOOK_NS));
}

void xs_ring_kick(struct xs_ring *r)
{
    serve(r, true);
}

static void look(struct alarm *a)
{
    serve(container_of(a, struct xs_ring, look), false);
}

/* --- life --- */

int xs_ring_create(struct xenstore *s, struct loop *loop, struct xenstore_domain_interface *page,
                   void (*notify)(void *arg), void *arg, struct xs_ring **out, struct err *e)
{
    struct xs_ring *r = calloc(1, sizeof(*r));
    int rc;

    if (!r)
        return err_set(e, ENOMEM, "no memory for the xenstore ring");
    r->loop = loop;
    r->look.fire = look;
    r->page = page;
    r->notify = notify;
    r->arg = arg;
    rc = xs_client_create(s, XS_GUEST, ring_send, r, &r->client, e);
    if (rc < 0) {
        free(r);
        return rc;
    }
    xs_ring_reset(r);
    *out = r;
    return 0;
}

void xs_ring_destroy(struct xs_ring *r)
{
    if (!r)
        return;
    loop_disarm(r->loop, &r->look);
    r->broken = true; /* a last event must not touch the page */
    xs_client_destroy(r->client);
    free(r);
}
