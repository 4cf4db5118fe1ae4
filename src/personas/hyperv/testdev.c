/* SPDX-License-Identifier: Apache-2.0 */
/*
 * testdev.c - QEMU's hyperv-testdev: SINTs, message and event connections at a guest's wish.
 *
 * Register layout: that of kvm-unit-tests' x86/hyperv.c. One port, 0x3000; a 32-bit write holds
 * SINT, processor, command and connection, a byte each. A message connection sends each message
 * that is posted to it back into the slot of its SINT, an event connection sets the flag that has
 * its own number. A message that finds its slot taken waits for the end of the one before it.
 *
 * Threads: commands and hypercalls come on vCPU threads and are carried out in order on the loop,
 * which alone may make and release SINTs; `kind` and `waiting` are atomic and seen by both.
 */
#include "testdev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/bus.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "synic.h"

enum { TESTDEV_PORT = 0x3000, CONNS = 256, SINTS_MAX = 4096 };

enum command {
    HV_TEST_DEV_SINT_ROUTE_CREATE = 1,
    HV_TEST_DEV_SINT_ROUTE_DESTROY,
    HV_TEST_DEV_SINT_ROUTE_SET_SINT,
    HV_TEST_DEV_MSG_CONN_CREATE,
    HV_TEST_DEV_MSG_CONN_DESTROY,
    HV_TEST_DEV_EVT_CONN_CREATE,
    HV_TEST_DEV_EVT_CONN_DESTROY,
    /* not the guest's: a hypercall on its way to the loop */
    TEST_POST,
    TEST_SIGNAL,
};

enum kind { CONN_NONE, CONN_MESSAGE, CONN_EVENT };

struct conn {
    struct hvtest *t;
    struct irq *irq;
    unsigned vp, sint;
    bool waiting; /* a message that is not in its slot yet; atomic */
    uint32_t type;
    uint8_t size, payload[HV_MESSAGE_PAYLOAD];
};

struct route {
    struct route *next;
    struct irq *irq;
    unsigned vp, sint;
};

struct hvtest {
    struct device d; /* first */
    struct host *host;
    struct synic *synic;
    struct route *routes;
    unsigned route_count;
    uint64_t life; /* raised by a reset: what was on its way then is forgotten; atomic */
    uint8_t kind[CONNS];
    struct conn conn[CONNS];
};

struct job {
    struct hvtest *t;
    uint64_t life;
    uint32_t type;
    uint8_t command, vp, sint, conn, size;
    uint8_t payload[HV_MESSAGE_PAYLOAD];
};

/* --- on the loop --- */

static void irq_drop(struct hvtest *t, struct irq **irq)
{
    struct irqs *irqs = t->host->ops->irqs(t->host);

    if (*irq)
        irqs->ops->release(irqs, *irq);
    *irq = NULL;
}

static struct irq *irq_make(struct hvtest *t, const struct job *j, void (*eom)(void *arg),
                            void *arg)
{
    struct irq *irq;
    struct err e;

    if (j->vp >= t->synic->cpus || j->sint >= HV_SYNIC_SLOTS ||
        t->host->ops->hyperv_sint(t->host, j->vp, j->sint, eom, arg, &irq, &e) < 0) {
        guest_fault(&t->d, "no SINT %u on processor %u", j->sint, j->vp);
        return NULL;
    }
    return irq;
}

static struct route **route_find(struct hvtest *t, const struct job *j)
{
    struct route **at = &t->routes;

    while (*at && ((*at)->vp != j->vp || (*at)->sint != j->sint))
        at = &(*at)->next;
    return at;
}

static void route_create(struct hvtest *t, const struct job *j)
{
    struct route *r = *route_find(t, j);

    if (r || t->route_count >= SINTS_MAX)
        return;
    r = calloc(1, sizeof(*r));
    if (r)
        r->irq = irq_make(t, j, NULL, NULL);
    if (!r || !r->irq) {
        free(r);
        return;
    }
    r->vp = j->vp;
    r->sint = j->sint;
    r->next = t->routes;
    t->routes = r;
    t->route_count++;
}

static void route_drop(struct hvtest *t, struct route **at)
{
    struct route *r = *at;

    irq_drop(t, &r->irq);
    *at = r->next;
    t->route_count--;
    free(r);
}

static void conn_deliver(void *arg)
{
    struct conn *c = arg;
    enum synic_sent sent;

    if (!c->irq || !__atomic_load_n(&c->waiting, __ATOMIC_ACQUIRE))
        return;
    sent = synic_put(c->t->synic, c->vp, c->sint, c->type, c->payload, c->size);
    if (sent == SYNIC_BUSY)
        return;
    if (sent == SYNIC_SENT)
        irq_raise(c->irq);
    __atomic_store_n(&c->waiting, false, __ATOMIC_RELEASE);
}

static void conn_create(struct hvtest *t, const struct job *j)
{
    struct conn *c = &t->conn[j->conn];

    irq_drop(t, &c->irq);
    c->t = t;
    c->vp = j->vp;
    c->sint = j->sint;
    c->irq = j->command == HV_TEST_DEV_MSG_CONN_CREATE ? irq_make(t, j, conn_deliver, c)
                                                       : irq_make(t, j, NULL, NULL);
}

static void conn_drop(struct hvtest *t, struct conn *c)
{
    irq_drop(t, &c->irq);
    __atomic_store_n(&c->waiting, false, __ATOMIC_RELEASE);
}

static void job_run(struct hvtest *t, const struct job *j)
{
    struct conn *c = &t->conn[j->conn];
    struct route **r = route_find(t, j);

    switch (j->command) {
    case HV_TEST_DEV_SINT_ROUTE_CREATE:
        route_create(t, j);
        break;
    case HV_TEST_DEV_SINT_ROUTE_DESTROY:
        if (*r)
            route_drop(t, r);
        break;
    case HV_TEST_DEV_SINT_ROUTE_SET_SINT:
        if (*r)
            irq_raise((*r)->irq);
        break;
    case HV_TEST_DEV_MSG_CONN_CREATE:
    case HV_TEST_DEV_EVT_CONN_CREATE:
        conn_create(t, j);
        break;
    case HV_TEST_DEV_MSG_CONN_DESTROY:
    case HV_TEST_DEV_EVT_CONN_DESTROY:
        conn_drop(t, c);
        break;
    case TEST_POST:
        c->type = j->type;
        c->size = j->size;
        memcpy(c->payload, j->payload, sizeof(c->payload));
        conn_deliver(c);
        break;
    case TEST_SIGNAL:
        if (c->irq && synic_flag(t->synic, c->vp, c->sint, j->conn) == SYNIC_SENT)
            irq_raise(c->irq);
        break;
    default:
        guest_fault(&t->d, "unknown command %u", j->command);
    }
}

static void job_posted(void *arg)
{
    struct job *j = arg;

    if (j->life == READ_ONCE(j->t->life))
        job_run(j->t, j);
    free(j);
}

/* --- on a vCPU's thread --- */

static bool job_post(struct hvtest *t, const struct job *k)
{
    struct job *j = malloc(sizeof(*j));

    if (!j)
        return false;
    *j = *k;
    j->t = t;
    j->life = READ_ONCE(t->life);
    loop_post(t->d.env.loop, job_posted, j);
    return true;
}

static void testdev_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                       enum access dir, uint64_t *val)
{
    struct hvtest *t = (struct hvtest *)d;
    struct job j = {.sint = (uint8_t)*val,
                    .vp = (uint8_t)(*val >> 8),
                    .command = (uint8_t)(*val >> 16),
                    .conn = (uint8_t)(*val >> 24)};
    uint8_t kind = CONN_NONE;

    (void)region;
    if (dir != ACC_WRITE || size != 4 || off != 0)
        return;
    if (j.command == 0 || j.command >= TEST_POST) {
        guest_fault(d, "unknown command %u", j.command);
        return;
    }
    if (!job_post(t, &j))
        return;
    if (j.command == HV_TEST_DEV_MSG_CONN_CREATE)
        kind = CONN_MESSAGE;
    else if (j.command == HV_TEST_DEV_EVT_CONN_CREATE)
        kind = CONN_EVENT;
    if (j.command >= HV_TEST_DEV_MSG_CONN_CREATE)
        __atomic_store_n(&t->kind[j.conn], kind, __ATOMIC_RELEASE);
}

static enum hv_status conn_post(struct hvtest *t, const struct hv_post_message_input *in,
                                uint8_t conn)
{
    struct job j = {.command = TEST_POST, .conn = conn, .type = le32_get(in->message_type)};
    uint32_t size = le32_get(in->payload_size);

    if (size > HV_MESSAGE_PAYLOAD || j.type == HVMSG_NONE)
        return HV_STATUS_INVALID_PARAMETER;
    if (__atomic_exchange_n(&t->conn[conn].waiting, true, __ATOMIC_ACQ_REL))
        return HV_STATUS_INSUFFICIENT_BUFFERS;
    j.size = (uint8_t)size;
    memcpy(j.payload, in->payload, sizeof(j.payload));
    if (job_post(t, &j))
        return HV_STATUS_SUCCESS;
    __atomic_store_n(&t->conn[conn].waiting, false, __ATOMIC_RELEASE);
    return HV_STATUS_INSUFFICIENT_BUFFERS;
}

bool hvtest_hypercall(struct hvtest *t, const struct hcall *h, enum hv_status *status)
{
    bool post = (h->nr & 0xffff) == HVCALL_POST_MESSAGE, fast = h->nr & HV_HYPERCALL_FAST_BIT;
    struct hv_post_message_input in = {.connectionid = le32_of(0)};
    uint64_t word = h->args[0];
    struct job j = {.command = TEST_SIGNAL};

    if ((!post && (h->nr & 0xffff) != HVCALL_SIGNAL_EVENT) || (post && fast) ||
        (!fast && (h->args[0] & 7)))
        return false;
    if (post && gmem_read(t->d.env.mem, h->args[0], &in, sizeof(in)) < 0)
        return false;
    if (!post && !fast && gmem_read(t->d.env.mem, h->args[0], &word, sizeof(word)) < 0)
        return false;
    if (post)
        word = le32_get(in.connectionid);
    j.conn = (uint8_t)word;
    if (word >= CONNS ||
        __atomic_load_n(&t->kind[j.conn], __ATOMIC_ACQUIRE) != (post ? CONN_MESSAGE : CONN_EVENT))
        return false;
    if (post)
        *status = conn_post(t, &in, j.conn);
    else
        *status = job_post(t, &j) ? HV_STATUS_SUCCESS : HV_STATUS_INSUFFICIENT_BUFFERS;
    return true;
}

/* --- life --- */

void hvtest_reset(struct hvtest *t)
{
    __atomic_add_fetch(&t->life, 1, __ATOMIC_RELAXED);
    while (t->routes)
        route_drop(t, &t->routes);
    for (unsigned i = 0; i < CONNS; i++)
        conn_drop(t, &t->conn[i]);
    memset(t->kind, CONN_NONE, sizeof(t->kind));
}

static void testdev_reset(struct device *d)
{
    hvtest_reset((struct hvtest *)d);
}

void hvtest_destroy(struct hvtest *t)
{
    if (!t)
        return;
    hvtest_reset(t);
    bus_release(t->d.env.pio, &t->d, 0);
    free(t);
}

static void testdev_destroy(struct device *d)
{
    hvtest_destroy((struct hvtest *)d);
}

static const struct device_ops testdev_ops = {
    .name = "hyperv-testdev",
    .destroy = testdev_destroy,
    .reset = testdev_reset,
    .io = testdev_io,
};

int hvtest_create(const struct env *env, struct host *h, struct synic *s, struct hvtest **out,
                  struct err *e)
{
    struct hvtest *t = calloc(1, sizeof(*t));

    if (!t)
        return err_set(e, ENOMEM, "no memory for the Hyper-V test device");
    device_init(&t->d, &testdev_ops, env);
    t->d.env.id = "hyperv-testdev";
    t->host = h;
    t->synic = s;
    if (bus_claim(env->pio, TESTDEV_PORT, 4, &t->d, 0) < 0) {
        hvtest_destroy(t);
        return err_set(e, EEXIST, "the Hyper-V test device's port %#x is taken", TESTDEV_PORT);
    }
    *out = t;
    return 0;
}
