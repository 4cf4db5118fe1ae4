/* SPDX-License-Identifier: Apache-2.0 */
/* Event channels on a host whose kernel raises them: what it is told, and who delivers. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/gmem.h"
#include "host/host.h"
#include "personas/xen/evtchn.h"
#include "personas/xen/public.h"
#include "personas/xen/xen.h"

enum { SHARED = 0x5000, INFO = 0x6000, PORTS = 64, CPUS = 2 };

/* The kernel's memory. */
static struct host_xen_route route[PORTS];
static struct host_xen_vcpu told[CPUS];
static unsigned raised[PORTS], delivered[CPUS], attends;
static int raise_answer;
static gpa_t shared_at;
static uint8_t vector;
static bool refuse_runstate;
static struct gmem *mem;

static int k_shared(struct host *h, gpa_t at, bool longmode)
{
    (void)h;
    (void)longmode;
    shared_at = at;
    return 0;
}

static int k_route(struct host *h, uint32_t port, const struct host_xen_route *r)
{
    (void)h;
    assert_true(port < PORTS);
    route[port] = *r;
    return 0;
}

static void k_unroute(struct host *h)
{
    (void)h;
    memset(route, 0, sizeof(route));
}

static int k_raise(struct host *h, uint32_t port, unsigned vcpu)
{
    (void)h;
    (void)vcpu;
    raised[port]++;
    if (raise_answer == 0)
        *(uint8_t *)gmem_shared(mem, SHARED, 1) = 1; /* evtchn_upcall_pending */
    return raise_answer;
}

static int k_vector(struct host *h, uint8_t v)
{
    (void)h;
    vector = v;
    return 0;
}

static int k_vcpu(struct vcpu *v, const struct host_xen_vcpu *s)
{
    if (refuse_runstate && s->runstate != HOST_XEN_NOWHERE)
        return -EOPNOTSUPP;
    told[v->index] = *s;
    return 0;
}

static int k_runstate(struct vcpu *v, uint64_t out[6])
{
    (void)v;
    memset(out, 0, 6 * sizeof(*out));
    return 0;
}

static const struct host_xen fake_xen = {k_shared, k_route, k_unroute, k_raise,
                                         k_vector, k_vcpu,  k_runstate};

static unsigned messages;

static int msi_send(struct host *h, uint64_t addr, uint32_t data)
{
    (void)h;
    (void)addr;
    (void)data;
    messages++;
    return 1;
}

static void attend(struct vcpu *v)
{
    (void)v;
    attends++;
}

static struct host_ops ops;
static struct host host;
static struct vcpu cpu[CPUS];
static struct xen *x;

static void upcall(void *arg, unsigned n)
{
    (void)arg;
    delivered[n]++;
}

static void sent(void *arg)
{
    (void)arg;
}

static int setup(void **state)
{
    struct err e;

    (void)state;
    memset(route, 0, sizeof(route));
    memset(told, 0, sizeof(told));
    memset(raised, 0, sizeof(raised));
    memset(delivered, 0, sizeof(delivered));
    attends = 0;
    raise_answer = 0;
    refuse_runstate = false;
    ops = host_fake;
    ops.xen = &fake_xen;
    ops.vcpu_attend = attend;
    ops.msi_send = msi_send;
    messages = 0;
    host.ops = &ops;
    assert_int_equal(gmem_create(&mem, &e), 0);
    assert_int_equal(gmem_add_ram(mem, 0, 2 * MiB, false, &e), 0);
    x = calloc(1, sizeof(*x));
    assert_non_null(x);
    x->p.env.host = &host;
    x->p.env.dev.mem = mem;
    x->p.env.cpus = CPUS;
    x->kernel_hcalls = x->kernel_events = true;
    for (unsigned i = 0; i < CPUS; i++) {
        cpu[i] = (struct vcpu){&host, i};
        x->vcpu[i].v = &cpu[i];
        x->vcpu[i].x = x;
        x->vcpu[i].index = i;
        x->vcpu[i].timer.fd = -1;
    }
    assert_int_equal(evtchn_create(mem, CPUS, upcall, NULL, &x->ev, &e), 0);
    assert_int_equal(grant_create(mem, &x->gr, &e), 0);
    evtchn_use_kernel(x->ev, &host);
    xen_kernel_reset(x);
    evtchn_set_shared(x->ev, SHARED, true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    evtchn_destroy(x->ev);
    grant_destroy(x->gr);
    gmem_destroy(mem);
    free(x);
    return 0;
}

static int op(unsigned cmd, void *body, size_t n)
{
    bool back;

    return evtchn_op(x->ev, 0, cmd, body, n, &back);
}
#define OP(cmd, s) op(cmd, &(s), sizeof(s))

static unsigned unbound(uint16_t remote)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = remote};

    assert_int_equal(OP(EVTCHNOP_alloc_unbound, a), 0);
    return a.port;
}

static void sends_to_back_ends_are_routed_to_their_eventfd(void **state)
{
    unsigned port = unbound(0);
    struct evtchn_close c = {port};

    (void)state;
    assert_int_equal(evtchn_bind(x->ev, port, sent, x, 7), 0);
    assert_int_equal(route[port].kind, HOST_XEN_ROUTE_FD);
    assert_int_equal(route[port].fd, 7);
    evtchn_unbind(x->ev, port, x);
    assert_int_equal(route[port].kind, HOST_XEN_ROUTE_NONE);
    assert_int_equal(evtchn_bind(x->ev, port, sent, x, 7), 0);
    assert_int_equal(OP(EVTCHNOP_close, c), 0);
    assert_int_equal(route[port].kind, HOST_XEN_ROUTE_NONE);
}

static void the_kernel_sends_ipis_when_upcalls_are_vectors(void **state)
{
    struct evtchn_bind_ipi i = {.vcpu = 1};

    (void)state;
    assert_int_equal(OP(EVTCHNOP_bind_ipi, i), 0);
    assert_int_equal(route[i.port].kind, HOST_XEN_ROUTE_NONE);
    evtchn_set_vectored(x->ev, true);
    assert_int_equal(route[i.port].kind, HOST_XEN_ROUTE_PORT);
    assert_true(route[i.port].ipi);
    assert_int_equal(route[i.port].port, i.port);
    assert_int_equal(route[i.port].vcpu, 1);
    evtchn_set_vectored(x->ev, false);
    assert_int_equal(route[i.port].kind, HOST_XEN_ROUTE_NONE);
}

static void connected_ports_of_the_guest_follow_their_peer(void **state)
{
    unsigned port = unbound(DOMID_SELF);
    struct evtchn_bind_interdomain b = {.remote_dom = DOMID_SELF, .remote_port = port};
    struct evtchn_bind_vcpu v = {.port = port, .vcpu = 1};
    struct evtchn_close c = {port};

    (void)state;
    evtchn_set_vectored(x->ev, true);
    assert_int_equal(OP(EVTCHNOP_bind_interdomain, b), 0);
    assert_int_equal(route[b.local_port].port, port);
    assert_int_equal(route[port].port, b.local_port);
    assert_int_equal(OP(EVTCHNOP_bind_vcpu, v), 0);
    assert_int_equal(route[b.local_port].vcpu, 1);
    assert_int_equal(OP(EVTCHNOP_close, c), 0);
    assert_int_equal(route[b.local_port].kind, HOST_XEN_ROUTE_NONE);
    assert_int_equal(route[port].kind, HOST_XEN_ROUTE_NONE);
}

static void what_we_raise_goes_through_the_kernel(void **state)
{
    unsigned port = unbound(0);

    (void)state;
    assert_int_equal(evtchn_bind(x->ev, port, sent, x, -1), 0);
    evtchn_notify(x->ev, port);
    assert_int_equal(raised[port], 1);
    assert_int_equal(delivered[0], 1); /* by a line, which the kernel does not know */
    evtchn_set_vectored(x->ev, true);
    evtchn_notify(x->ev, port);
    assert_int_equal(raised[port], 2);
    assert_int_equal(delivered[0], 1);
    raise_answer = -EINVAL; /* it does not know the vCPU yet */
    evtchn_notify(x->ev, port);
    assert_int_equal(delivered[0], 2);
}

static void there_is_no_fifo(void **state)
{
    struct evtchn_init_control c = {.control_gfn = 8};

    (void)state;
    assert_int_equal(OP(EVTCHNOP_init_control, c), -ENOSYS);
}

static void a_vcpu_is_told_on_its_own_thread(void **state)
{
    struct evtchn_bind_virq v = {.virq = VIRQ_TIMER, .vcpu = 1};

    (void)state;
    x->vcpu[1].upcall_vector = 0xf3;
    evtchn_set_vectored(x->ev, true);
    assert_int_equal(OP(EVTCHNOP_bind_virq, v), 0);
    assert_int_equal(evtchn_set_vcpu_info(x->ev, 1, INFO), 0);
    xen_kernel_changed(x, &cpu[0], 1);
    assert_int_equal(attends, 1);
    assert_int_equal(told[1].timer, 0);
    delivered[1] = 0;
    xen_kernel_attend(x, &cpu[1]);
    assert_int_equal(told[1].info, INFO);
    assert_int_equal(told[1].timer, v.port);
    assert_int_equal(told[1].vector, 0xf3);
    assert_int_equal(delivered[1], 1); /* it looks at all its ports */
    xen_kernel_attend(x, &cpu[1]);
    assert_int_equal(delivered[1], 1); /* nothing changed */
}

/* Until the kernel knows the vector it wakes the vCPU and sends nothing. */
static void what_came_before_the_vector_is_told_with_it(void **state)
{
    (void)state;
    xen_kernel_attend(x, &cpu[0]);
    xen_kernel_attend(x, &cpu[1]);
    *(uint8_t *)gmem_shared(mem, SHARED + 64, 1) = 0;
    assert_int_equal(xen_set_upcall_vector(x, &cpu[0], 1, 0xf3), 0);
    assert_int_equal(messages, 0);
    *(uint8_t *)gmem_shared(mem, SHARED + 64, 1) = 1; /* an event, before vCPU 1 attends */
    xen_kernel_attend(x, &cpu[1]);
    assert_int_equal(told[1].vector, 0xf3);
    assert_int_equal(messages, 1);
    xen_kernel_attend(x, &cpu[1]);
    assert_int_equal(messages, 1);
}

static void a_kernel_without_run_states_does_the_rest(void **state)
{
    (void)state;
    refuse_runstate = true;
    x->vcpu[0].runstate = 0x7000;
    xen_kernel_attend(x, &cpu[0]);
    assert_int_equal(told[0].info, SHARED);
    assert_int_equal(told[0].runstate, HOST_XEN_NOWHERE);
}

static void a_reset_takes_everything_back(void **state)
{
    struct evtchn_bind_ipi i = {.vcpu = 0};

    (void)state;
    vector = 0xf3;
    evtchn_set_vectored(x->ev, true);
    assert_int_equal(OP(EVTCHNOP_bind_ipi, i), 0);
    xen_kernel_attend(x, &cpu[0]);
    evtchn_reset(x->ev);
    xen_kernel_reset(x);
    assert_int_equal(route[i.port].kind, HOST_XEN_ROUTE_NONE);
    assert_int_equal(told[0].info, HOST_XEN_NOWHERE);
    assert_int_equal(shared_at, HOST_XEN_NOWHERE);
    assert_int_equal(vector, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sends_to_back_ends_are_routed_to_their_eventfd, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_kernel_sends_ipis_when_upcalls_are_vectors, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(connected_ports_of_the_guest_follow_their_peer, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_we_raise_goes_through_the_kernel, setup, teardown),
        cmocka_unit_test_setup_teardown(there_is_no_fifo, setup, teardown),
        cmocka_unit_test_setup_teardown(a_vcpu_is_told_on_its_own_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(what_came_before_the_vector_is_told_with_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_kernel_without_run_states_does_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reset_takes_everything_back, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
