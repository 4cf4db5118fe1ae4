/* SPDX-License-Identifier: Apache-2.0 */
/* Event channels and grants as a guest uses them, in both widths and both ABIs. */
#include "unit.h"

#include <errno.h>

#include "core/err.h"
#include "core/gmem.h"
#include "personas/xen/evtchn.h"
#include "personas/xen/grant.h"
#include "personas/xen/public.h"

enum {
    PAGE = 4096,
    SHARED = 0x5000,
    INFO = 0x6000,
    ARRAY = 0x7000,
    BLOCK = 0x8000,
    GRANTS = 0x9000,
    STATUS = 0xa000,
    DATA = 0xb000
};

static struct gmem *mem;
static struct evtchn *x;
static struct grant_table *g;
static unsigned upcalls[2], sends;

static void upcall(void *arg, unsigned cpu)
{
    (void)arg;
    upcalls[cpu]++;
}

static void sent(void *arg)
{
    (void)arg;
    sends++;
}

static int setup(void **state)
{
    struct err e;

    (void)state;
    upcalls[0] = upcalls[1] = sends = 0;
    assert_int_equal(gmem_create(&mem, &e), 0);
    assert_int_equal(gmem_add_ram(mem, 0, 2 * MiB, false, &e), 0);
    assert_int_equal(evtchn_create(mem, 2, upcall, NULL, &x, &e), 0);
    assert_int_equal(grant_create(mem, &g, &e), 0);
    evtchn_set_shared(x, SHARED, true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    evtchn_destroy(x);
    grant_destroy(g);
    gmem_destroy(mem);
    return 0;
}

static uint8_t *ram(gpa_t at)
{
    return gmem_shared(mem, at, 4096);
}

static int op(unsigned cmd, void *body, size_t n)
{
    bool back;

    return evtchn_op(x, 0, cmd, body, n, &back);
}
#define OP(cmd, s) op(cmd, &(s), sizeof(s))

static unsigned unbound(void)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = 0};

    assert_int_equal(OP(EVTCHNOP_alloc_unbound, a), 0);
    return a.port;
}

static void two_levels_raise_once(void **state)
{
    unsigned port = unbound();
    struct evtchn_send s = {port};

    (void)state;
    assert_int_equal(evtchn_bind(x, port, sent, &sends, -1), 0);
    assert_int_equal(evtchn_bind(x, port, sent, &sends, -1), -EINVAL);
    assert_int_equal(OP(EVTCHNOP_send, s), 0);
    assert_int_equal(sends, 1);
    evtchn_notify(x, port);
    evtchn_notify(x, port);
    assert_int_equal(upcalls[0], 1);
    assert_int_equal(ram(SHARED)[0], 1);            /* upcall pending */
    assert_int_equal(ram(SHARED)[8], 1);            /* selector */
    assert_int_equal(ram(SHARED)[2048], 1 << port); /* pending */
    evtchn_unbind(x, port, &sends);
    assert_int_equal(OP(EVTCHNOP_send, s), 0); /* lost, not an error */
    assert_int_equal(sends, 1);
}

static void a_closed_port_is_not_pending(void **state)
{
    unsigned a = unbound();
    struct evtchn_close cl = {.port = a};

    (void)state;
    evtchn_notify(x, a);
    assert_int_equal(OP(EVTCHNOP_close, cl), 0);
    assert_int_equal(unbound(), a);
    upcalls[0] = 0;
    memset(ram(SHARED), 0, 64); /* the upcall was taken, and found nothing */
    evtchn_notify(x, a);
    assert_int_equal(upcalls[0], 1);
}

static void masked_events_wait_for_the_unmask(void **state)
{
    unsigned port = unbound();
    struct evtchn_unmask u = {port};

    (void)state;
    ram(SHARED)[2560] = (uint8_t)(1 << port);
    evtchn_notify(x, port);
    assert_int_equal(upcalls[0], 0);
    assert_int_equal(OP(EVTCHNOP_unmask, u), 0);
    assert_int_equal(upcalls[0], 1);
}

static void virqs_and_ipis_go_to_their_cpu(void **state)
{
    struct evtchn_bind_virq v = {.virq = VIRQ_TIMER, .vcpu = 1};
    struct evtchn_bind_ipi i = {.vcpu = 1};
    struct evtchn_send s;

    (void)state;
    assert_false(evtchn_virq(x, 1, VIRQ_TIMER));
    assert_int_equal(OP(EVTCHNOP_bind_virq, v), 0);
    assert_int_equal(OP(EVTCHNOP_bind_virq, v), -EEXIST);
    assert_int_equal(OP(EVTCHNOP_bind_ipi, i), 0);
    assert_true(evtchn_virq(x, 1, VIRQ_TIMER));
    assert_int_equal(upcalls[1], 1);
    ram(SHARED)[64 + 8] = 0;
    s.port = i.port;
    assert_int_equal(OP(EVTCHNOP_send, s), 0);
    assert_int_equal(upcalls[1], 2);
    s.port = v.port;
    assert_int_equal(OP(EVTCHNOP_send, s), -EINVAL);
}

static void vcpu_info_moves_and_nothing_is_lost(void **state)
{
    gpa_t at;

    (void)state;
    assert_int_equal(evtchn_set_vcpu_info(x, 0, INFO + 4090), -EINVAL);
    assert_int_equal(evtchn_set_vcpu_info(x, 2, INFO), -EINVAL);
    assert_int_equal(evtchn_set_vcpu_info(x, 0, INFO + 128), 0);
    assert_int_equal(ram(INFO)[128], 1);
    assert_int_equal(ram(INFO)[128 + 15], 0xff);
    assert_true(evtchn_vcpu_info(x, 0, &at));
    assert_int_equal(at, INFO + 128);
    for (unsigned i = 16; i < 64; i++)
        ram(INFO)[128 + i] = (uint8_t)i;
    assert_int_equal(evtchn_set_vcpu_info(x, 0, INFO + 144), 0); /* over itself */
    for (unsigned i = 16; i < 64; i++)
        assert_int_equal(ram(INFO)[144 + i], i);
}

static void ports_run_out_politely(void **state)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF};
    struct evtchn_close c = {.port = 9};
    unsigned n = 0;

    (void)state;
    while (OP(EVTCHNOP_alloc_unbound, a) == 0)
        n++;
    assert_int_equal(n, EVTCHN_MAX_PORTS - 1);
    assert_int_equal(OP(EVTCHNOP_alloc_unbound, a), -ENOSPC);
    assert_int_equal(OP(EVTCHNOP_close, c), 0);
    assert_int_equal(OP(EVTCHNOP_alloc_unbound, a), 0);
    assert_int_equal(a.port, 9);
    assert_int_equal(op(99, &a, sizeof(a)), -ENOSYS);
    assert_int_equal(op(EVTCHNOP_alloc_unbound, &a, 2), -EFAULT);
}

/* As Windows does: it notes the other end, closes all and binds to that end anew. */
static void a_service_is_found_again_after_a_reset(void **state)
{
    struct evtchn_status st = {.dom = DOMID_SELF};
    struct evtchn_bind_interdomain b = {.remote_dom = 0};
    struct evtchn_reset r = {.dom = DOMID_SELF};
    struct evtchn_close cl;
    struct evtchn_send s;

    (void)state;
    st.port = evtchn_serve(x, EVTCHN_STORE, sent, &sends, -1);
    assert_int_equal(OP(EVTCHNOP_status, st), 0);
    assert_int_equal(st.status, EVTCHNSTAT_interdomain);
    assert_int_equal(st.u.interdomain.dom, 0);
    b.remote_port = st.u.interdomain.port;
    assert_int_not_equal(b.remote_port, 0);
    assert_int_equal(OP(EVTCHNOP_bind_interdomain, b), -EINVAL); /* it is taken */
    assert_int_equal(OP(EVTCHNOP_reset, r), 0);
    evtchn_notify_service(x, EVTCHN_STORE); /* nobody is there */
    assert_int_equal(upcalls[0], 0);
    assert_int_not_equal(unbound(), 0);
    assert_int_equal(OP(EVTCHNOP_bind_interdomain, b), 0);
    assert_int_equal(upcalls[0], 1); /* the binder looks once */
    assert_int_not_equal(b.local_port, st.port);
    s.port = b.local_port;
    assert_int_equal(OP(EVTCHNOP_send, s), 0);
    assert_int_equal(sends, 1);
    memset(ram(SHARED), 0, PAGE);
    evtchn_notify_service(x, EVTCHN_STORE);
    assert_int_equal(ram(SHARED)[2048], 1 << b.local_port);
    cl.port = b.local_port;
    assert_int_equal(OP(EVTCHNOP_close, cl), 0);
    assert_int_equal(OP(EVTCHNOP_bind_interdomain, b), 0);
    cl.port = b.local_port;
    assert_int_equal(OP(EVTCHNOP_close, cl), 0);
    b.remote_port += 100;
    assert_int_equal(OP(EVTCHNOP_bind_interdomain, b), -EINVAL);
    b.remote_port = EVTCHN_CONSOLE + 1; /* nobody serves it */
    assert_int_equal(OP(EVTCHNOP_bind_interdomain, b), -EINVAL);
    b.remote_dom = 7;
    assert_int_equal(OP(EVTCHNOP_bind_interdomain, b), -ESRCH);
}

static void fifo_links_events_in_order(void **state)
{
    struct evtchn_init_control ic = {.control_gfn = BLOCK >> 12, .vcpu = 0};
    struct evtchn_expand_array ea = {.array_gfn = ARRAY >> 12};
    uint32_t *word = (uint32_t *)ram(ARRAY), *block = (uint32_t *)ram(BLOCK);
    unsigned a = unbound(), b = unbound();

    (void)state;
    assert_int_equal(OP(EVTCHNOP_expand_array, ea), -EOPNOTSUPP);
    assert_int_equal(OP(EVTCHNOP_init_control, ic), 0);
    assert_int_equal(ic.link_bits, 17);
    assert_int_equal(OP(EVTCHNOP_expand_array, ea), 0);
    evtchn_notify(x, a);
    evtchn_notify(x, b);
    assert_int_equal(block[0], 1 << 7);
    assert_int_equal(block[2 + 7], a);
    assert_int_equal(word[a] & 0x1ffff, b);
    assert_int_equal(upcalls[0], 1);
    /* The guest takes a and clears LINKED and the link; then b, which was the tail. */
    word[a] = word[b] = 0;
    block[0] = 0;
    block[2 + 7] = 0;
    evtchn_notify(x, a);
    assert_int_equal(block[2 + 7], a); /* the old tail is not queued: a new head */
    assert_int_equal(upcalls[0], 2);
    word[b] = UINT32_C(1) << 30;
    evtchn_notify(x, b);
    assert_int_equal(word[b] >> 29, 6); /* pending and masked, not linked */
}

/* Xen raises them when the guest has made room. */
static void fifo_events_wait_for_their_words(void **state)
{
    struct evtchn_init_control ic = {.control_gfn = BLOCK >> 12, .vcpu = 0};
    struct evtchn_expand_array ea = {.array_gfn = ARRAY >> 12};
    uint32_t *word = (uint32_t *)ram(ARRAY), *block = (uint32_t *)ram(BLOCK);
    unsigned early = unbound(), a = unbound(), closed = unbound(), last = 0;
    struct evtchn_unmask u = {a};
    struct evtchn_close cl = {closed};

    (void)state;
    evtchn_notify(x, early); /* under the 2-level ABI */
    while (last < 1500) {
        last = unbound();
        if (last == 1200)
            evtchn_notify(x, last);
    }
    upcalls[0] = 0;
    assert_int_equal(OP(EVTCHNOP_init_control, ic), 0);
    evtchn_notify(x, a);
    evtchn_notify(x, closed);
    evtchn_notify(x, last);
    assert_int_equal(OP(EVTCHNOP_unmask, u), 0);
    assert_int_equal(OP(EVTCHNOP_close, cl), 0);
    assert_int_equal(unbound(), closed);
    assert_int_equal(OP(EVTCHNOP_expand_array, ea), 0);
    assert_int_equal(upcalls[0], 1);
    assert_int_equal(block[2 + 7], early);
    assert_int_equal(word[early] & 0x1ffff, a);
    assert_int_equal(word[a] & 0x1ffff, 0);
    assert_int_equal(word[closed], 0);
    word[early] = word[a] = block[0] = block[2 + 7] = 0;
    ea.array_gfn = GRANTS >> 12;
    word = (uint32_t *)ram(GRANTS);
    assert_int_equal(OP(EVTCHNOP_expand_array, ea), 0);
    assert_int_equal(block[2 + 7], 1200);
    assert_int_equal(word[1200 - 1024] & 0x1ffff, last);
}

/* What the guest made of that page is its own after. */
static void fifo_ends_with_a_reset(void **state)
{
    struct evtchn_init_control ic = {.control_gfn = BLOCK >> 12, .vcpu = 1};
    struct evtchn_expand_array ea = {.array_gfn = ARRAY >> 12};
    struct evtchn_reset r = {.dom = DOMID_SELF};
    struct evtchn_bind_vcpu bind = {.vcpu = 1};

    (void)state;
    assert_int_equal(OP(EVTCHNOP_init_control, ic), 0);
    assert_int_equal(OP(EVTCHNOP_reset, r), 0);
    ic.vcpu = 0;
    ic.control_gfn = DATA >> 12;
    assert_int_equal(OP(EVTCHNOP_init_control, ic), 0);
    assert_int_equal(OP(EVTCHNOP_expand_array, ea), 0);
    bind.port = unbound();
    assert_int_equal(OP(EVTCHNOP_bind_vcpu, bind), 0);
    evtchn_notify(x, bind.port);
    assert_int_equal(((uint32_t *)ram(BLOCK))[2 + 7], 0);
}

static void fifo_queues_stay_apart_when_events_move(void **state)
{
    struct evtchn_init_control ic = {.control_gfn = BLOCK >> 12, .vcpu = 0};
    struct evtchn_expand_array ea = {.array_gfn = ARRAY >> 12};
    uint32_t *word = (uint32_t *)ram(ARRAY), *block = (uint32_t *)ram(BLOCK);
    unsigned a = unbound(), b = unbound(), c = unbound();
    struct evtchn_bind_vcpu bind = {.port = a, .vcpu = 1};
    struct evtchn_close cl = {.port = a};

    (void)state;
    assert_int_equal(OP(EVTCHNOP_init_control, ic), 0);
    ic.vcpu = 1;
    ic.offset = 1024;
    assert_int_equal(OP(EVTCHNOP_init_control, ic), 0);
    assert_int_equal(OP(EVTCHNOP_expand_array, ea), 0);
    evtchn_notify(x, a);
    assert_int_equal(block[2 + 7], a);
    word[a] = 0; /* taken */
    assert_int_equal(OP(EVTCHNOP_bind_vcpu, bind), 0);
    evtchn_notify(x, a);
    assert_int_equal(block[256 + 2 + 7], a);
    evtchn_notify(x, b); /* to vCPU 0, where a was the last: not behind a, which is vCPU 1's now */
    assert_int_equal(block[2 + 7], b);
    assert_int_equal(word[a] & 0x1ffff, 0);
    /* Nor behind a port that was closed and made anew. */
    word[b] = 0;
    word[a] &= ~(UINT32_C(1) << EVTCHN_FIFO_LINKED);
    assert_int_equal(word[a], UINT32_C(1) << EVTCHN_FIFO_PENDING);
    assert_int_equal(OP(EVTCHNOP_close, cl), 0);
    assert_int_equal(word[a], 0);
    assert_int_equal(unbound(), a);
    evtchn_notify(x, a);
    assert_int_equal(block[2 + 7], a);
    bind.port = c;
    assert_int_equal(OP(EVTCHNOP_bind_vcpu, bind), 0);
    evtchn_notify(x, c);
    assert_int_equal(block[256 + 2 + 7], c);
    assert_int_equal(word[a] & 0x1ffff, 0);
}

static void grants_are_checked_and_pinned(void **state)
{
    grant_entry_v1_t *e = (grant_entry_v1_t *)ram(GRANTS);
    struct granted got;

    (void)state;
    grant_reserve(g, GRANT_RESERVED_XENSTORE, 5);
    assert_int_equal(grant_begin(g, 8, false, &got), GNTST_bad_gntref);
    assert_int_equal(grant_set_frame(g, 0, false, GRANTS), 0);
    assert_int_equal(e[GRANT_RESERVED_XENSTORE].frame, 5);
    e[8] = (grant_entry_v1_t){GTF_permit_access | GTF_readonly, 0, DATA >> 12};
    assert_int_equal(grant_begin(g, 8, true, &got), GNTST_permission_denied);
    assert_int_equal(grant_begin(g, 8, false, &got), GNTST_okay);
    assert_ptr_equal(got.page, ram(DATA));
    assert_true(e[8].flags & GTF_reading);
    assert_int_equal(grant_begin(g, 8, false, &got), GNTST_okay);
    grant_end(g, 8, false);
    assert_true(e[8].flags & GTF_reading); /* the other one still reads */
    assert_int_equal(grant_set_version(g, 2), -EBUSY);
    grant_end(g, 8, false);
    assert_false(e[8].flags & GTF_reading);
    e[9] = (grant_entry_v1_t){GTF_permit_access, 3, DATA >> 12};
    assert_int_equal(grant_begin(g, 9, false, &got), GNTST_bad_gntref); /* another domain's */
    e[10] = (grant_entry_v1_t){GTF_permit_access, 0, 0xffffffff};
    assert_int_equal(grant_begin(g, 10, false, &got), GNTST_general_error);
    assert_false(e[10].flags & GTF_reading);
    assert_int_equal(grant_begin(g, UINT32_MAX, false, &got), GNTST_bad_gntref);
}

static void version_two_has_parts_of_pages(void **state)
{
    grant_entry_v2_t *e = (grant_entry_v2_t *)ram(GRANTS);
    uint16_t *status = (uint16_t *)ram(STATUS);
    struct granted got;

    (void)state;
    assert_int_equal(grant_set_frame(g, 0, false, GRANTS), 0);
    assert_int_equal(grant_set_frame(g, 0, true, STATUS), 0);
    assert_int_equal(grant_set_version(g, 3), -EINVAL);
    assert_int_equal(grant_set_version(g, 2), 0);
    e[8].sub_page.hdr.flags = GTF_permit_access | GTF_sub_page;
    e[8].sub_page.hdr.domid = 0;
    e[8].sub_page.page_off = 100;
    e[8].sub_page.length = 200;
    e[8].sub_page.frame = DATA >> 12;
    assert_int_equal(grant_begin(g, 8, true, &got), GNTST_okay);
    assert_int_equal(got.off, 100);
    assert_int_equal(got.len, 200);
    assert_int_equal(status[8], GTF_reading | GTF_writing);
    grant_end(g, 8, true);
    assert_int_equal(status[8], 0);
    e[8].sub_page.length = 4000;
    assert_int_equal(grant_begin(g, 8, true, &got), GNTST_bad_gntref);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(two_levels_raise_once),
        T(a_closed_port_is_not_pending),
        T(masked_events_wait_for_the_unmask),
        T(virqs_and_ipis_go_to_their_cpu),
        T(vcpu_info_moves_and_nothing_is_lost),
        T(ports_run_out_politely),
        T(a_service_is_found_again_after_a_reset),
        T(fifo_links_events_in_order),
        T(fifo_events_wait_for_their_words),
        T(fifo_ends_with_a_reset),
        T(fifo_queues_stay_apart_when_events_move),
        T(grants_are_checked_and_pinned),
        T(version_two_has_parts_of_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
