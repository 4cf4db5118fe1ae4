/* SPDX-License-Identifier: Apache-2.0 */
/* Hypercalls in both widths: the layouts that guests use, and what they get. Virtual addresses are
 * physical ones. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "abi/bytes.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "fakes/fake_env.h"
#include "personas/xen/xen.h"

#include <xen/features.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>

enum { PAGE = 4096, ARG = 0x1000, LIST = 0x2000, OUT = 0x3000, SHARED = 0x10, RAM = 2 << 20 };

static struct fake_env f;
static struct host_ops ops;
static struct host host;
static struct vcpu cpu;
static struct xen *x;
static enum machine_event told;
static uint64_t now, khz, clock_at;
static bool apic_on;
static unsigned upcalls;

static uint64_t clock_ns(const struct host *h)
{
    (void)h;
    return now;
}

static uint64_t tsc_khz(const struct host *h)
{
    (void)h;
    return khz;
}

static int get_msr(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    (void)v;
    *val = 77 << 20;
    return msr == 0x10 ? 0 : -EINVAL;
}

static int set_msr(struct vcpu *v, uint32_t msr, uint64_t val)
{
    (void)v;
    if (msr == 0x4b564d01)
        clock_at = val;
    return 0;
}

static int msi_send(struct host *h, uint64_t addr, uint32_t data)
{
    (void)h;
    (void)addr;
    assert_int_equal(data, 0xf3);
    upcalls += apic_on;
    return apic_on;
}

static void event(void *arg, enum machine_event what, const char *text)
{
    (void)arg;
    (void)text;
    told = what;
}

static int setup(void **state)
{
    struct err e;

    *state = NULL;
    fake_env_create(&f, RAM);
    ops = host_fake;
    ops.clock_ns = clock_ns;
    ops.tsc_khz = tsc_khz;
    ops.vcpu_get_msr = get_msr;
    ops.vcpu_set_msr = set_msr;
    ops.msi_send = msi_send;
    apic_on = true;
    upcalls = 0;
    host.ops = &ops;
    cpu = (struct vcpu){&host, 0};
    x = calloc(1, sizeof(*x));
    assert_non_null(x);
    x->p.env.dev = f.env;
    x->p.env.host = &host;
    x->p.env.cpus = 1;
    x->p.env.event = event;
    xen_deliver_init(x);
    xen_dogs_init(x);
    told = MACHINE_ALIVE;
    x->vcpu[0].v = &cpu;
    x->vcpu[0].runstate = HOST_XEN_NOWHERE;
    now = 5000;
    khz = 0;
    pthread_mutex_init(&x->lock, NULL);
    assert_int_equal(evtchn_create(f.env.mem, 1, xen_deliver, x, &x->ev, &e), 0);
    assert_int_equal(grant_create(f.env.mem, &x->gr, &e), 0);
    assert_int_equal(xen_timers_create(x, &e), 0);
    return 0;
}

static int setup64(void **state)
{
    int rc = setup(state);

    *state = x;
    return rc;
}

static int teardown(void **state)
{
    (void)state;
    xen_dogs_reset(x);
    xen_deliver_reset(x);
    xen_timers_destroy(x);
    evtchn_destroy(x->ev);
    grant_destroy(x->gr);
    xen_pages_free(x);
    free(x->out_pages);
    pthread_mutex_destroy(&x->lock);
    free(x);
    fake_env_destroy(&f);
    return 0;
}

static uint8_t *ram(gpa_t at)
{
    return gmem_shared(f.env.mem, at, 1);
}

static long call(bool wide, unsigned nr, uint64_t a, uint64_t b, uint64_t c)
{
    const uint64_t args[6] = {a, b, c};

    return xen_hypercall(x, &cpu, wide, nr, args);
}

/* A number of the guest's width at p + offset of its layout. */
static void put(bool wide, uint8_t *p, size_t at64, size_t at32, uint64_t v)
{
    if (wide)
        le64_put(p + at64, v);
    else
        le32_put(p + at32, (uint32_t)v);
}

static long map(bool wide, unsigned space, uint64_t idx, uint64_t gpfn)
{
    uint8_t *p = ram(ARG);

    memset(p, 0xee, 64); /* what lies behind a structure does not matter */
    le16_put(p, DOMID_SELF);
    le16_put(p + 2, 0);
    le32_put(p + 4, space);
    put(wide, p, 8, 8, idx);
    put(wide, p, 16, 12, gpfn);
    return call(wide, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, ARG, 0);
}

static void shared_info_and_grants_are_mapped(void **state)
{
    bool wide = *state != NULL;

    assert_int_equal(map(wide, XENMAPSPACE_shared_info, 0, SHARED), 0);
    assert_int_equal(x->longmode, wide);
    assert_int_equal(x->shared_at, SHARED * PAGE);
    assert_int_equal(map(wide, XENMAPSPACE_grant_table, 0, SHARED + 1), 0);
    assert_true(map(wide, 99, 0, SHARED) < 0);
}

static long unmap(bool wide, uint64_t gpfn)
{
    uint8_t *p = ram(ARG);

    le16_put(p, DOMID_SELF);
    put(wide, p, 8, 4, gpfn);
    return call(wide, __HYPERVISOR_memory_op, XENMEM_remove_from_physmap, ARG, 0);
}

static bool is_all(gpa_t at, uint8_t byte)
{
    for (unsigned i = 0; i < PAGE; i++) {
        if (ram(at)[i] != byte)
            return false;
    }
    return true;
}

/* Windows lends pages of its RAM when a driver starts, and wants them back when it stops. */
static void pages_that_were_unmapped_are_the_guests(void **state)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF};
    gpa_t info = SHARED * PAGE, grants = info + PAGE;
    bool wide = *state != NULL, back;

    assert_int_equal(map(wide, XENMAPSPACE_shared_info, 0, SHARED), 0);
    assert_int_equal(clock_at, info + 33);
    assert_int_equal(map(wide, XENMAPSPACE_grant_table, 0, SHARED + 1), 0);
    assert_int_equal(evtchn_op(x->ev, 0, EVTCHNOP_alloc_unbound, &a, sizeof(a), &back), 0);
    ram(grants)[100] = 7;
    assert_int_equal(unmap(wide, SHARED), 0);
    assert_int_equal(unmap(wide, SHARED + 1), 0);
    assert_int_equal(unmap(wide, SHARED + 2), 0);
    assert_int_equal(clock_at, 0);
    memset(ram(info), 0xaa, 2 * PAGE);
    evtchn_notify(x->ev, a.port);
    grant_reserve(x->gr, 1, 0x123);
    assert_true(is_all(info, 0xaa) && is_all(grants, 0xaa));
    assert_int_equal(map(wide, XENMAPSPACE_grant_table, 0, SHARED), 0);
    assert_int_equal(ram(info)[100], 7);
    assert_int_equal(le32_at(ram(info) + 12), 0x123);
    assert_int_equal(map(wide, XENMAPSPACE_shared_info, 0, SHARED + 1), 0);
    assert_int_equal(clock_at, grants + 33);
    assert_int_equal(ram(grants)[2048], 1 << a.port);
    assert_int_equal(map(wide, XENMAPSPACE_shared_info, 0, SHARED + 2), 0);
    assert_int_equal(ram(grants)[PAGE + 2048], 1 << a.port);
}

/* FreeBSD takes the pages above its RAM, Unikraft some far away: wherever RAM ends. */
static void pages_outside_ram_are_made(void **state)
{
    static uint8_t more[PAGE];
    bool wide = *state != NULL;
    uint64_t odd = RAM / PAGE + 1, far = UINT64_C(0xf0000);
    struct err e;

    assert_int_equal(gmem_add(f.env.mem, RAM, PAGE, more, GMEM_RAM, &e), 0); /* no whole 2 MiB */
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(map(wide, XENMAPSPACE_grant_table, i, odd + i), 0);
    for (unsigned i = 3; i < 6; i++) /* into the next 2 MiB, too */
        assert_int_equal(map(wide, XENMAPSPACE_grant_table, i, odd + 508 + i), 0);
    assert_int_equal(map(wide, XENMAPSPACE_shared_info, 0, far), 0);
    for (unsigned i = 0; i < XEN_EXTRAS; i++)
        (void)map(wide, XENMAPSPACE_grant_table, 8 + i, far + 512 * (i + 1));
    assert_int_equal(map(wide, XENMAPSPACE_grant_table, 20, 2 * far), -ENOMEM);
}

/* Linux reads the TSC's rate there, whichever vCPU it runs on. */
static void the_clock_of_a_vcpu_that_rests_tells_the_rate(void **state)
{
    static const uint64_t rates[] = {1000, 999999, 1000000, 2494140, 5000000};
    bool wide = *state != NULL;
    const uint8_t *time;

    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        double ns;

        khz = rates[i];
        assert_int_equal(map(wide, XENMAPSPACE_shared_info, 0, SHARED), 0);
        time = ram(SHARED * PAGE) + 32;
        assert_int_equal(le32_at(time), 2);
        assert_int_equal(le64_at(time + 8), 77 << 20);
        assert_int_equal(le64_at(time + 16), now);
        assert_true(le32_at(time + 24) >> 31); /* all 32 bits count */
        ns = le32_at(time + 24) / 4294967296.0;
        for (int s = time[28] < 128 ? time[28] : time[28] - 256; s; s += s < 0 ? 1 : -1)
            ns = s < 0 ? ns / 2 : ns * 2;
        assert_true(ns * (double)khz > 999999.99 && ns * (double)khz < 1000000.01);
    }
}

static long pages_now(bool wide)
{
    le16_put(ram(ARG) + 0x80, DOMID_SELF);
    return call(wide, __HYPERVISOR_memory_op, XENMEM_current_reservation, ARG + 0x80, 0);
}

static unsigned type_of(bool wide, uint64_t pfn)
{
    uint8_t *p = ram(ARG) + 0x80;

    le16_put(p, DOMID_SELF);
    le16_put(p + 2, 0xeeee);
    le64_put(p + 8, pfn);
    assert_int_equal(call(wide, __HYPERVISOR_hvm_op, HVMOP_get_mem_type, ARG + 0x80, 0), 0);
    return le16_at(p + 2);
}

/* NetBSD's balloon gives pages back until there are as few as it was told. */
static void pages_are_given_back_once(void **state)
{
    bool wide = *state != NULL;
    uint8_t *p = ram(ARG);

    put(wide, ram(LIST), 0, 0, 0x40);
    put(wide, ram(LIST), 8, 4, 0x41);
    put(wide, p, 0, 0, LIST);
    put(wide, p, 8, 4, 2);
    le32_put(p + (wide ? 16 : 8), 0);
    le32_put(p + (wide ? 20 : 12), 0);
    le16_put(p + (wide ? 24 : 16), DOMID_SELF);
    assert_int_equal(call(wide, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, ARG, 0), 2);
    assert_int_equal(pages_now(wide), RAM / PAGE - 2);
    assert_int_equal(type_of(wide, 0x41), HVMMEM_mmio_dm);
    assert_int_equal(type_of(wide, 0x42), HVMMEM_ram_rw);
    assert_int_equal(type_of(wide, RAM / PAGE), HVMMEM_mmio_dm);
    assert_int_equal(type_of(wide, UINT64_MAX), HVMMEM_mmio_dm);
    assert_int_equal(call(wide, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, ARG, 0), 0);
    assert_int_equal(call(wide, __HYPERVISOR_memory_op, XENMEM_populate_physmap, ARG, 0), 2);
    assert_int_equal(pages_now(wide), RAM / PAGE);
    assert_int_equal(call(wide, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, ARG, 0), 2);
}

static long populate(bool wide, uint64_t nr, uint32_t order)
{
    uint8_t *p = ram(ARG);

    put(wide, p, 0, 0, LIST); /* the same page again and again */
    put(wide, p, 8, 4, nr);
    le32_put(p + (wide ? 16 : 8), order);
    le32_put(p + (wide ? 20 : 12), 0);
    le16_put(p + (wide ? 24 : 16), DOMID_SELF);
    return call(wide, __HYPERVISOR_memory_op, XENMEM_populate_physmap, ARG, 0);
}

/* A guest that names a million of them is told how far it came. */
static void one_call_moves_so_many_pages(void **state)
{
    bool wide = *state != NULL;

    assert_int_equal(populate(wide, 2048, 0), 2048);
    assert_int_equal(populate(wide, 1 << 17, 0), 8192);
    assert_int_equal(populate(wide, 1 << 17, 9), 16);
    assert_int_equal(populate(wide, (1 << 20) + 1, 0), -EINVAL);
}

static void a_memory_map_has_entries_of_20_bytes(void **state)
{
    bool wide = *state != NULL;
    uint8_t *p = ram(ARG);

    le32_put(p, 4);
    put(wide, p, 8, 4, OUT);
    assert_int_equal(call(wide, __HYPERVISOR_memory_op, XENMEM_memory_map, ARG, 0), 0);
    assert_int_equal(le32_at(p), 1);
    assert_int_equal(le64_at(ram(OUT) + 8), RAM);
    le32_put(p, 0); /* as much as there is room for */
    assert_int_equal(call(wide, __HYPERVISOR_memory_op, XENMEM_memory_map, ARG, 0), 0);
    assert_int_equal(le32_at(p), 0);
    assert_int_equal(le32_at(ram(OUT) + 16), 1);
}

static void a_list_of_calls_has_entries_of_the_width(void **state)
{
    bool wide = *state != NULL;
    size_t w = wide ? 8 : 4;
    uint8_t *p = ram(LIST);

    put(wide, p, 0, 0, __HYPERVISOR_xen_version);
    put(wide, p + 2 * w, 0, 0, XENVER_pagesize);
    put(wide, p + 8 * w, 0, 0, __HYPERVISOR_multicall); /* none inside another */
    assert_int_equal(call(wide, __HYPERVISOR_multicall, LIST, 2, 0), 0);
    assert_int_equal(wide ? le64_at(p + w) : le32_at(p + w), PAGE);
    assert_int_equal((int32_t)le32_at(p + 9 * w), -ENOSYS);
}

static void run_states_have_no_padding_in_32_bits(void **state)
{
    bool wide = *state != NULL;

    put(wide, ram(ARG), 0, 0, OUT);
    le32_put(ram(OUT) + (wide ? 48 : 44), 0x12345678);
    assert_int_equal(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0, ARG),
                     0);
    assert_int_equal(le32_at(ram(OUT)), RUNSTATE_running);
    assert_int_equal(le64_at(ram(OUT) + (wide ? 8 : 4)), now);
    assert_int_equal(le32_at(ram(OUT) + (wide ? 48 : 44)), 0x12345678); /* not beyond */
}

static void timers_take_64_bits_in_two_words(void **state)
{
    bool wide = *state != NULL;
    uint8_t *p = ram(ARG);

    assert_int_equal(wide ? call(true, __HYPERVISOR_set_timer_op, 1ull << 40, 0, 0)
                          : call(false, __HYPERVISOR_set_timer_op, 0, 1 << 8, 0),
                     0);
    le64_put(p, now - 1);
    le32_put(p + 8, VCPU_SSHOTTMR_future);
    assert_int_equal(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, ARG), -ETIME);
    assert_int_equal(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_stop_singleshot_timer, 0, 0), 0);
}

static void platform_parameters_are_one_word(void **state)
{
    bool wide = *state != NULL;

    memset(ram(OUT), 0xff, 16);
    assert_int_equal(call(wide, __HYPERVISOR_xen_version, XENVER_platform_parameters, OUT, 0), 0);
    assert_int_equal(le32_at(ram(OUT)), 0);
    assert_int_equal(le32_at(ram(OUT) + 4), wide ? 0 : UINT32_MAX);
}

static long callback(bool wide, uint64_t via)
{
    uint8_t *p = ram(ARG);

    le16_put(p, DOMID_SELF);
    le32_put(p + 4, HVM_PARAM_CALLBACK_IRQ);
    le64_put(p + 8, via);
    return call(wide, __HYPERVISOR_hvm_op, HVMOP_set_param, ARG, 0);
}

/* A guest may call as fast as it likes; the loop's work does not add up. */
static void callbacks_said_again_and_again_are_taken_once(void **state)
{
    bool wide = *state != NULL;

    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(callback(wide, 10 + i % 2), 0);
    assert_int_equal(loop_step(f.env.loop, 0), 1);
    assert_int_equal(callback(wide, 0), 0);
    fake_env_run(&f);
}

static void each_way_of_callbacks_is_taken(void **state)
{
    bool wide = *state != NULL;

    assert_int_equal(callback(wide, 2ull << 56 | 0xf3), 0);
    assert_int_equal(x->callback_vector, 0xf3);
    assert_int_equal(x->vcpu[0].auto_eoi, 0xf3);
    assert_int_equal(callback(wide, 0x0a), 0);
    assert_int_equal(x->callback_vector, 0);
    assert_int_equal(x->callback_gsi, 10);
    fake_env_run(&f);
    assert_int_equal(callback(wide, 1ull << 56 | 2 << 11), 0);
    assert_true(x->callback_gsi != 0);
    fake_env_run(&f);
    assert_int_equal(callback(wide, 2ull << 56 | 3), -EINVAL); /* an exception's vector */
    assert_int_equal(callback(wide, 9ull << 56), -EINVAL);
    assert_int_equal(callback(wide, 0), 0);
    fake_env_run(&f);
}

static void any_call(bool wide)
{
    (void)call(wide, __HYPERVISOR_xen_version, XENVER_pagesize, 0, 0);
}

/* Whoever switches an APIC off or INITs a processor loses what it had. */
static void an_upcall_that_the_apic_lost_comes_again(void **state)
{
    bool wide = *state != NULL;
    uint8_t *p = ram(ARG);

    assert_int_equal(map(wide, XENMAPSPACE_shared_info, 0, SHARED), 0);
    le32_put(p, 0);
    p[4] = 0xf3;
    apic_on = false;
    *ram(SHARED * PAGE) = 1; /* evtchn_upcall_pending */
    assert_int_equal(call(wide, __HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, ARG, 0), 0);
    assert_int_equal(upcalls, 0);
    apic_on = true;
    loop_step(f.env.loop, 0);
    fake_env_advance(&f, 1000000); /* it is offered until it is taken */
    fake_env_run(&f);
    assert_int_equal(upcalls, 1);
    fake_env_advance(&f, 1000000);
    fake_env_run(&f);
    assert_int_equal(upcalls, 1);
    any_call(wide); /* the guest has not seen it */
    assert_int_equal(upcalls, 2);
    *ram(SHARED * PAGE) = 0;
    any_call(wide);
    assert_int_equal(upcalls, 2);
}

/* Calls of a vCPU whose APIC is off do not put the next offer off. */
static void an_offer_is_not_put_off(void **state)
{
    bool wide = *state != NULL;

    assert_int_equal(map(wide, XENMAPSPACE_shared_info, 0, SHARED), 0);
    x->vcpu[0].upcall_vector = 0xf3;
    *ram(SHARED * PAGE) = 1;
    apic_on = false;
    for (unsigned i = 0; i < 4; i++) {
        any_call(wide);
        loop_step(f.env.loop, 0);
        apic_on = i == 3;
        fake_env_advance(&f, 300000);
    }
    assert_int_equal(upcalls, 1);
}

static void shutdowns_are_told(void **state)
{
    static const struct {
        uint32_t reason;
        enum machine_event what;
    } cases[] = {{SHUTDOWN_poweroff, MACHINE_POWEROFF},
                 {SHUTDOWN_reboot, MACHINE_RESET},
                 {SHUTDOWN_crash, MACHINE_CRASH},
                 {SHUTDOWN_soft_reset, MACHINE_RENEW}};
    bool wide = *state != NULL;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        le32_put(ram(ARG), cases[i].reason);
        assert_int_equal(call(wide, __HYPERVISOR_sched_op, SCHEDOP_shutdown, ARG, 0), 0);
        assert_int_equal(told, cases[i].what);
    }
    le32_put(ram(ARG), SHUTDOWN_suspend);
    assert_int_equal(call(wide, __HYPERVISOR_sched_op, SCHEDOP_shutdown, ARG, 0), 1);
}

static long say(bool wide, unsigned cmd, uint32_t a, uint32_t b)
{
    le32_put(ram(ARG), a);
    le32_put(ram(ARG) + 4, b);
    return call(wide, __HYPERVISOR_sched_op, cmd, ARG, 0);
}

/* Windows says so, writes its dump and reboots. */
static void a_guest_that_said_it_crashed_has_crashed(void **state)
{
    bool wide = *state != NULL;

    assert_int_equal(say(wide, SCHEDOP_shutdown_code, SHUTDOWN_crash, 0), 0);
    assert_int_equal(told, MACHINE_ALIVE); /* not yet */
    assert_int_equal(say(wide, SCHEDOP_shutdown, SHUTDOWN_reboot, 0), 0);
    assert_int_equal(told, MACHINE_CRASH);
}

static void a_watchdog_that_is_not_fed_bites(void **state)
{
    enum { SECOND = 1000000000 };
    bool wide = *state != NULL;

    assert_int_equal(say(wide, SCHEDOP_watchdog, UINT32_MAX, 0), -EINVAL); /* Linux's probe */
    assert_int_equal(say(wide, SCHEDOP_watchdog, 1, 10), -EINVAL);
    assert_int_equal(say(wide, SCHEDOP_watchdog, 0, 10), 1);
    assert_int_equal(say(wide, SCHEDOP_watchdog, 0, UINT32_MAX), 2);
    assert_int_equal(say(wide, SCHEDOP_watchdog, 0, 30), -ENOSPC);
    fake_env_run(&f);
    fake_env_advance(&f, 9ull * SECOND);
    assert_int_equal(say(wide, SCHEDOP_watchdog, 1, 20), 0);
    fake_env_run(&f);
    fake_env_advance(&f, 19ull * SECOND);
    assert_int_equal(say(wide, SCHEDOP_watchdog, 1, 0), 0);
    assert_int_equal(say(wide, SCHEDOP_watchdog, 1, 5), -EINVAL);
    fake_env_run(&f);
    fake_env_advance(&f, 100ull * SECOND);
    assert_int_equal(told, MACHINE_ALIVE);
    assert_int_equal(say(wide, SCHEDOP_watchdog, 2, 5), 0);
    fake_env_run(&f);
    fake_env_advance(&f, 6ull * SECOND);
    assert_int_equal(told, MACHINE_RESET);
}

static void bad_addresses_fault(void **state)
{
    bool wide = *state != NULL;

    assert_int_equal(call(wide, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, RAM, 0), -EFAULT);
    assert_int_equal(call(wide, __HYPERVISOR_event_channel_op, EVTCHNOP_send, RAM - 2, 0), -EFAULT);
    assert_int_equal(call(wide, __HYPERVISOR_multicall, RAM, 1, 0), -EFAULT);
    assert_int_equal(x->hcall_errors[__HYPERVISOR_memory_op], 1);
    assert_int_equal(x->hcall_error[__HYPERVISOR_memory_op], -EFAULT);
}

int main(void)
{
/* Each once for a 32-bit and once for a 64-bit guest. */
#define T(name)                                                                                    \
    {#name " (32 bits)", name, setup, teardown, NULL},                                             \
    {                                                                                              \
#name, name, setup64, teardown, NULL                                                       \
    }
    const struct CMUnitTest tests[] = {
        T(shared_info_and_grants_are_mapped),
        T(pages_that_were_unmapped_are_the_guests),
        T(pages_outside_ram_are_made),
        T(the_clock_of_a_vcpu_that_rests_tells_the_rate),
        T(pages_are_given_back_once),
        T(one_call_moves_so_many_pages),
        T(a_memory_map_has_entries_of_20_bytes),
        T(a_list_of_calls_has_entries_of_the_width),
        T(run_states_have_no_padding_in_32_bits),
        T(timers_take_64_bits_in_two_words),
        T(platform_parameters_are_one_word),
        T(each_way_of_callbacks_is_taken),
        T(callbacks_said_again_and_again_are_taken_once),
        T(an_upcall_that_the_apic_lost_comes_again),
        T(an_offer_is_not_put_off),
        T(shutdowns_are_told),
        T(a_guest_that_said_it_crashed_has_crashed),
        T(a_watchdog_that_is_not_fed_bites),
        T(bad_addresses_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
