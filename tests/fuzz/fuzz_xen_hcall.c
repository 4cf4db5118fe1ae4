/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Xen's hypercalls from a hostile guest, of both widths: numbers, arguments and what the arguments
 * point to, as a program. Addresses are physical ones, as with paging off. Grants are taken and
 * given back meanwhile, as back ends do. In half of the programs the kernel raises the events.
 */
#include <errno.h>
#include <stdlib.h>

#include "unit.h"

#include "abi/bytes.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fuzz.h"
#include "personas/xen/xen.h"

#include <xen/grant_table.h>

enum { PAGE = 4096, RAM = 512 << 10, CPUS = 2, ARGS = 0x1000, HELD = 16 };

struct fuzz {
    struct fake_env f;
    struct host_ops ops;
    struct host host;
    struct vcpu cpu[CPUS];
    struct xen *x;
    struct {
        uint32_t ref;
        bool write;
    } held[HELD]; /* grants in use */
    unsigned helds;
    uint64_t now;
    const uint8_t *data;
    size_t size;
};

static struct fuzz *current;

static uint64_t take(struct fuzz *z, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n && z->size; i++, z->size--)
        v |= (uint64_t)*z->data++ << 8 * i;
    return v;
}

/* --- the host --- */

static uint64_t clock_ns(const struct host *h)
{
    return current->now += 1000;
}

static int set_msr(struct vcpu *v, uint32_t msr, uint64_t val)
{
    return 0;
}

static int k_shared(struct host *h, gpa_t at, bool longmode)
{
    return 0;
}

static int k_route(struct host *h, uint32_t port, const struct host_xen_route *r)
{
    if (port >= EVTCHN_MAX_PORTS ||
        (r->kind == HOST_XEN_ROUTE_PORT && (r->port >= EVTCHN_MAX_PORTS || r->vcpu >= CPUS)))
        abort();
    return 0;
}

static void k_unroute(struct host *h)
{
}

static int k_raise(struct host *h, uint32_t port, unsigned vcpu)
{
    return vcpu < CPUS ? -EINVAL : 0;
}

static int k_vector(struct host *h, uint8_t v)
{
    return 0;
}

static int k_vcpu(struct vcpu *v, const struct host_xen_vcpu *s)
{
    return 0;
}

static int k_runstate(struct vcpu *v, uint64_t out[6])
{
    memset(out, 0, 6 * sizeof(*out));
    return 0;
}

static const struct host_xen kernel = {k_shared, k_route, k_unroute, k_raise,
                                       k_vector, k_vcpu,  k_runstate};

static void event(void *arg, enum machine_event what, const char *text)
{
}

/* --- the guest --- */

static void create(struct fuzz *z)
{
    struct xen *x = calloc(1, sizeof(*x));
    struct err e;

    if (!x)
        abort();
    fake_env_create(&z->f, RAM);
    z->x = x;
    z->ops = host_fake;
    z->ops.clock_ns = clock_ns;
    z->ops.vcpu_set_msr = set_msr;
    z->ops.xen = &kernel;
    z->host.ops = &z->ops;
    x->p.env.dev = z->f.env;
    x->p.env.host = &z->host;
    x->p.env.cpus = CPUS;
    x->p.env.event = event;
    xen_deliver_init(x);
    xen_dogs_init(x);
    x->kernel_hcalls = x->kernel_events = take(z, 1) & 1;
    pthread_mutex_init(&x->lock, NULL);
    if (evtchn_create(z->f.env.mem, CPUS, xen_deliver, x, &x->ev, &e) < 0 ||
        grant_create(z->f.env.mem, &x->gr, &e) < 0 || xen_timers_create(x, &e) < 0)
        abort();
    if (x->kernel_events)
        evtchn_use_kernel(x->ev, &z->host);
    for (unsigned i = 0; i < CPUS; i++) {
        z->cpu[i] = (struct vcpu){&z->host, i};
        x->vcpu[i].v = &z->cpu[i];
    }
    xen_kernel_reset(x);
}

static void call(struct fuzz *z)
{
    static const uint8_t known[] = {12, 13, 15, 17, 18, 20, 24, 29, 32, 34};
    uint8_t pick = (uint8_t)take(z, 1), flags = (uint8_t)take(z, 1);
    uint64_t args[6] = {0};
    unsigned n = (unsigned)take(z, 1) % 64;

    /* What the arguments point to. */
    for (unsigned i = 0; i < n; i++) {
        uint8_t b = (uint8_t)take(z, 1);

        (void)!gmem_write(z->f.env.mem, ARGS + i, &b, 1);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(args); i++) {
        unsigned how = flags >> i & 1;

        args[i] = how ? ARGS : take(z, i == 0 ? 1 : 2);
    }
    if (flags & 0x40)
        args[1] = take(z, 8);
    (void)xen_hypercall(z->x, &z->cpu[pick >> 7], flags & 0x80,
                        pick & 0x40 ? pick & 0x3f : known[pick % ARRAY_SIZE(known)], args);
}

static void grants(struct fuzz *z)
{
    uint32_t ref = (uint32_t)take(z, 2);
    bool write = take(z, 1) & 1;
    struct granted g;

    if (z->helds < HELD && grant_begin(z->x->gr, ref, write, &g) == 0) {
        if ((unsigned)g.off + g.len > PAGE)
            abort();
        g.page[g.off] ^= g.len && write ? 1 : 0;
        z->held[z->helds].ref = ref;
        z->held[z->helds++].write = write;
    } else if (z->helds) {
        z->helds--;
        grant_end(z->x->gr, z->held[z->helds].ref, z->held[z->helds].write);
    }
}

static void step(struct fuzz *z)
{
    uint8_t raw[8];

    switch (take(z, 1) % 8) {
    case 0:
        le64_put(raw, take(z, 8));
        (void)!gmem_write(z->f.env.mem, take(z, 2) << 3, raw, sizeof(raw));
        break;
    case 1:
        grants(z);
        break;
    case 2:
        evtchn_notify(z->x->ev, (unsigned)take(z, 2));
        (void)evtchn_virq(z->x->ev, (unsigned)take(z, 1) % CPUS, (unsigned)take(z, 1));
        break;
    case 3:
        xen_kernel_attend(z->x, &z->cpu[take(z, 1) % CPUS]);
        fake_env_run(&z->f);
        break;
    default:
        call(z);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz z = {.data = data, .size = size};
    struct xen *x;

    current = &z;
    create(&z);
    x = z.x;
    for (unsigned i = 0; i < 300 && z.size; i++)
        step(&z);
    fake_env_run(&z.f);
    xen_dogs_reset(x);
    xen_deliver_reset(x);
    xen_timers_destroy(x);
    evtchn_destroy(x->ev);
    grant_destroy(x->gr);
    xen_pages_free(x);
    pthread_mutex_destroy(&x->lock);
    free(x->out_pages);
    free(x);
    fake_env_destroy(&z.f);
    return 0;
}
