/* SPDX-License-Identifier: Apache-2.0 */
/* backend_kit.h - a guest's side of Xen's back ends: memory, grants, channels and a store, without
 * a machine. Included once by each test of one. */
#ifndef HOSPES_TESTS_BACKEND_KIT_H
#define HOSPES_TESTS_BACKEND_KIT_H

#include "unit.h"

#include <stdlib.h>

#include "abi/bytes.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "fakes/fake_env.h"
#include "personas/poll.h"
#include "personas/xen/xenbus.h"

enum { PAGE = 4096, SHARED = 0x5000, GRANTS = 0x9000, RING_A = 0x10000, RING_B = 0x11000 };
enum { RING_C = 0x12000, DATA = 0x20000, REF_A = 8, REF_B = 9, REF_C = 10, REF_DATA = 16 };

static struct fake_env f;
static struct xen *x;
static unsigned port;

static void upcall(void *arg, unsigned cpu)
{
    (void)arg;
    (void)cpu;
}

static inline uint8_t *ram(gpa_t at)
{
    uint8_t *p = gmem_shared(f.env.mem, at, PAGE);

    assert_non_null(p);
    return p;
}

static inline void grant(unsigned ref, gpa_t at)
{
    uint8_t *e = ram(GRANTS) + 8 * (size_t)ref;

    le16_put(e, GTF_permit_access);
    le16_put(e + 2, 0);
    le32_put(e + 4, (uint32_t)(at / PAGE));
}

static inline uint16_t grant_flags(unsigned ref)
{
    return le16_at(ram(GRANTS) + 8 * (size_t)ref);
}

static inline unsigned new_port(void)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = 0};
    bool back;

    assert_int_equal(evtchn_op(x->ev, 0, EVTCHNOP_alloc_unbound, &a, sizeof(a), &back), 0);
    return a.port;
}

static inline void run(void)
{
    xenstore_run(x->store);
    fake_env_run(&f);
    xenstore_run(x->store);
}

static inline void ring_bell(void)
{
    struct evtchn_send s = {.port = port};
    bool back;

    assert_int_equal(evtchn_op(x->ev, 0, EVTCHNOP_send, &s, sizeof(s), &back), 0);
    run();
}

static inline void empty_ring(gpa_t at)
{
    memset(ram(at), 0, PAGE);
    le32_put(ram(at) + 4, 1);
    le32_put(ram(at) + 12, 1);
}

static inline int setup(void **state)
{
    struct err e;

    (void)state;
    fake_env_create(&f, 2 * MiB);
    x = calloc(1, sizeof(*x));
    assert_non_null(x);
    x->p.env.dev = f.env;
    x->p.env.cpus = 1;
    x->longmode = true;
    assert_int_equal(evtchn_create(f.env.mem, 1, upcall, NULL, &x->ev, &e), 0);
    assert_int_equal(grant_create(f.env.mem, &x->gr, &e), 0);
    assert_int_equal(xenstore_create(&x->store, &e), 0);
    evtchn_set_shared(x->ev, SHARED, true);
    assert_int_equal(grant_set_frame(x->gr, 0, false, GRANTS), 0);
    for (unsigned i = 0; i < 32; i++)
        grant(REF_DATA + i, DATA + i * PAGE);
    grant(REF_A, RING_A);
    grant(REF_B, RING_B);
    grant(REF_C, RING_C);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    xenbus_destroy(x);
    poller_destroy(x->poller);
    xenstore_destroy(x->store);
    evtchn_destroy(x->ev);
    grant_destroy(x->gr);
    free(x);
    fake_env_destroy(&f);
    return 0;
}

#endif
