/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu_op.c - per-vCPU calls: vcpu_info, time, timers, run states.
 *
 * Document: Xen public/vcpu.h. The clock is KVM's: its per-vCPU time area has the same layout as
 * vcpu_time_info, so KVM is told to write there. Timers are timerfds that the loop watches; a
 * vCPU's thread sets its own without going through the loop. A run state area is filled once, with
 * the state "running": stolen time is not told. A kernel that knows Xen does all three itself, and
 * tells stolen time; see kernel.c. VCPUOP_initialise, up and down are not offered:
 * processors start by INIT and SIPI.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "core/bell.h"
#include "core/err.h"
#include "core/gmem.h"
#include "personas/xen/xen.h"

#include <xen/vcpu.h>

enum { MSR_KVM_SYSTEM_TIME_NEW = 0x4b564d01 };
enum { TIME_OFFSET = 32, TIME_SIZE = 32 }; /* vcpu_time_info inside vcpu_info */

static uint64_t clock_now(struct xen *x)
{
    return x->p.env.host->ops->clock_ns(x->p.env.host);
}

/* --- timers --- */

static void timer_fired(struct watch *w, uint32_t got)
{
    struct xen_vcpu *c = container_of(w, struct xen_vcpu, timer);

    (void)got;
    if (bell_take(w->fd))
        evtchn_virq(c->x->ev, c->index, VIRQ_TIMER);
}

int xen_timers_create(struct xen *x, struct err *e)
{
    for (unsigned i = 0; i < x->p.env.cpus; i++) {
        struct xen_vcpu *c = &x->vcpu[i];
        int rc;

        c->x = x;
        c->index = i;
        c->timer = (struct watch){.want = EPOLLIN, .ready = timer_fired};
        c->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (c->timer.fd < 0)
            return err_set(e, errno, "cannot make a timer for vCPU %u: %s", i, strerror(errno));
        rc = loop_watch(x->p.env.dev.loop, &c->timer);
        if (rc < 0)
            return err_set(e, -rc, "cannot watch the timer of vCPU %u: %s", i, strerror(-rc));
    }
    return 0;
}

void xen_timers_destroy(struct xen *x)
{
    for (unsigned i = 0; i < x->p.env.cpus; i++) {
        if (!x->vcpu[i].x || x->vcpu[i].timer.fd < 0)
            continue;
        loop_unwatch(x->p.env.dev.loop, &x->vcpu[i].timer);
        close(x->vcpu[i].timer.fd);
    }
}

static void timer_stop(struct xen_vcpu *c)
{
    struct itimerspec off = {0};

    timerfd_settime(c->timer.fd, 0, &off, NULL);
}

void xen_timers_reset(struct xen *x)
{
    for (unsigned i = 0; i < x->p.env.cpus; i++)
        timer_stop(&x->vcpu[i]);
}

/* abs_ns is a time of the guest's clock. */
static void timer_set(struct xen *x, struct xen_vcpu *c, uint64_t abs_ns)
{
    uint64_t now = clock_now(x), wait = abs_ns > now ? abs_ns - now : 1;
    struct itimerspec t = {.it_value = {.tv_sec = (time_t)min_u64(wait / 1000000000, INT32_MAX),
                                        .tv_nsec = (long)(wait % 1000000000)}};

    timerfd_settime(c->timer.fd, 0, &t, NULL);
}

long xen_set_timer(struct xen *x, struct vcpu *v, uint64_t abs_ns)
{
    if (abs_ns == 0)
        timer_stop(&x->vcpu[v->index]);
    else
        timer_set(x, &x->vcpu[v->index], abs_ns);
    return 0;
}

/* {u64 when; u32 flags}, the same in both widths but for padding at the end. */
static long set_singleshot(struct xen *x, struct vcpu *v, unsigned cpu, uint64_t arg)
{
    struct vcpu_set_singleshot_timer t = {0};

    if (cpu != v->index)
        return -EINVAL;
    if (xen_copy_in(x, v, arg, &t, 12) < 0)
        return -EFAULT;
    if (t.flags & VCPU_SSHOTTMR_future && t.timeout_abs_ns < clock_now(x))
        return -ETIME;
    timer_set(x, &x->vcpu[cpu], t.timeout_abs_ns);
    return 0;
}

/* --- time and run state areas --- */

void xen_clock_place(struct xen *x, struct vcpu *v)
{
    struct xen_vcpu *c = &x->vcpu[v->index];
    bool there, had = c->clock_kept;
    gpa_t at = 0;

    c->clock_moved = false;
    there = c->clock_kept = evtchn_vcpu_info(x->ev, v->index, &at);
    if (!there && !had)
        return;
    if (v->host->ops->vcpu_set_msr(v, MSR_KVM_SYSTEM_TIME_NEW, there ? (at + TIME_OFFSET) | 1 : 0) <
        0)
        log_line(LOG_WARN, "xen", "KVM refuses to keep the clock of vCPU %u", v->index);
}

void xen_clocks_reset(struct xen *x)
{
    for (unsigned i = 0; i < x->p.env.cpus && !x->kernel_events; i++) {
        struct vcpu *v = x->vcpu[i].v;

        x->vcpu[i].clock_moved = x->vcpu[i].clock_kept = false;
        if (v)
            (void)!v->host->ops->vcpu_set_msr(v, MSR_KVM_SYSTEM_TIME_NEW, 0);
    }
}

/* Xen public/xen.h, struct vcpu_time_info: ns = (ticks << shift) * mul >> 32. */
static void clock_scale(uint64_t khz, uint32_t *mul, int8_t *shift)
{
    uint64_t m = (UINT64_C(1000000) << 40) / khz; /* ns of a tick, times 2^40 */
    int s = -8;

    for (; m > UINT32_MAX; m >>= 1)
        s++;
    for (; m < UINT64_C(1) << 31; m <<= 1)
        s--;
    *mul = (uint32_t)m;
    *shift = (int8_t)s;
}

void xen_clocks_begin(struct xen *x, struct vcpu *v)
{
    enum { MSR_TSC = 0x10, VERSION = 0, TSC = 8, SYSTEM = 16, MUL = 24, SHIFT = 28 };
    const struct host_ops *ops = v->host->ops;
    uint64_t khz = ops->tsc_khz(v->host), tsc;
    uint8_t area[TIME_SIZE] = {0};
    uint32_t mul;
    int8_t shift;
    gpa_t at;

    if (khz == 0 || ops->vcpu_get_msr(v, MSR_TSC, &tsc) < 0)
        return;
    clock_scale(khz, &mul, &shift);
    le32_put(area + VERSION, 2); /* odd while it is written */
    le64_put(area + TSC, tsc);
    le64_put(area + SYSTEM, clock_now(x));
    le32_put(area + MUL, mul);
    area[SHIFT] = (uint8_t)shift;
    for (unsigned i = 0; i < x->p.env.cpus; i++) {
        /* One elsewhere is a running vCPU's. */
        if (evtchn_vcpu_info(x->ev, i, &at) && align_down(at, 4096) == x->shared_at)
            (void)!gmem_write(x->p.env.dev.mem, at + TIME_OFFSET, area, sizeof(area));
    }
}

/* All vCPUs share one clock, so until the other vCPU runs and its own area is set up, it may read
 * a copy of ours. */
static void lend_clock(struct xen *x, struct vcpu *v, unsigned to)
{
    uint8_t area[TIME_SIZE];
    gpa_t from, at;

    if (evtchn_vcpu_info(x->ev, v->index, &from) && evtchn_vcpu_info(x->ev, to, &at) &&
        gmem_read(x->p.env.dev.mem, from + TIME_OFFSET, area, sizeof(area)) == 0)
        (void)!gmem_write(x->p.env.dev.mem, at + TIME_OFFSET, area, sizeof(area));
}

static long register_info(struct xen *x, struct vcpu *v, unsigned cpu, uint64_t arg)
{
    struct vcpu_register_vcpu_info r;
    int rc;

    if (xen_copy_in(x, v, arg, &r, sizeof(r)) < 0)
        return -EFAULT;
    if (r.mfn >= UINT64_C(1) << 40 || r.offset >= 4096)
        return -EINVAL;
    rc = evtchn_set_vcpu_info(x->ev, cpu, r.mfn * 4096 + r.offset);
    if (rc < 0)
        return rc;
    if (x->kernel_events) {
        xen_kernel_changed(x, v, cpu);
    } else if (cpu == v->index) {
        xen_clock_place(x, v);
    } else {
        lend_clock(x, v, cpu);
        x->vcpu[cpu].clock_moved = true;
    }
    return 0;
}

/* state, entry time, time in each state; 32-bit guests have no padding after the state. */
static long write_runstate(struct xen *x, struct vcpu *v, bool longmode, uint64_t va)
{
    uint8_t area[48] = {0};
    size_t head = longmode ? 8 : 4;
    uint64_t now = clock_now(x), real[6];

    le64_put(area + head, now);     /* running since; state 0 is RUNSTATE_running */
    le64_put(area + head + 8, now); /* and that was all its time */
    if (x->kernel_events && v->host->ops->xen->runstate(v, real) == 0) {
        le32_put(area, (uint32_t)real[0]);
        for (unsigned i = 1; i < ARRAY_SIZE(real); i++)
            le64_put(area + head + 8 * (i - 1), real[i]);
    }
    return xen_copy_out(x, v, va, area, head + 40) < 0 ? -EFAULT : 0;
}

/* The kernel wants one place in memory. */
static bool runstate_by_kernel(struct xen *x, struct vcpu *v, uint64_t va, size_t n)
{
    struct xen_vcpu *c = &x->vcpu[v->index];
    gpa_t from, to;

    if (!x->kernel_events || v->host->ops->vcpu_translate(v, va, &from) < 0 ||
        v->host->ops->vcpu_translate(v, va + n - 1, &to) < 0 || to != from + n - 1)
        return false;
    c->runstate = from;
    xen_kernel_changed(x, v, v->index);
    return c->runstate == from;
}

static long register_runstate(struct xen *x, struct vcpu *v, bool longmode, uint64_t arg)
{
    uint64_t va = 0;

    if (xen_copy_in(x, v, arg, &va, longmode ? 8 : 4) < 0)
        return -EFAULT;
    if (!va) {
        x->vcpu[v->index].runstate = HOST_XEN_NOWHERE;
        xen_kernel_changed(x, v, v->index);
        return 0;
    }
    if (runstate_by_kernel(x, v, va, longmode ? 48 : 44))
        return 0;
    return write_runstate(x, v, longmode, va);
}

long xen_vcpu_op(struct xen *x, struct vcpu *v, bool longmode, unsigned cmd, unsigned cpu,
                 uint64_t arg)
{
    size_t i;

    if (!idx_in(cpu, x->p.env.cpus, &i))
        return -ENOENT;
    switch (cmd) {
    case VCPUOP_is_up:
        return 1;
    case VCPUOP_get_runstate_info:
        return write_runstate(x, v, longmode, arg);
    case VCPUOP_register_runstate_memory_area:
        return cpu == v->index ? register_runstate(x, v, longmode, arg) : -EINVAL;
    case VCPUOP_set_periodic_timer:
        return -EINVAL; /* no guest of this century asks for it */
    case VCPUOP_stop_periodic_timer:
        return 0;
    case VCPUOP_set_singleshot_timer:
        return set_singleshot(x, v, cpu, arg);
    case VCPUOP_stop_singleshot_timer:
        timer_stop(&x->vcpu[i]);
        return 0;
    case VCPUOP_register_vcpu_info:
        return register_info(x, v, cpu, arg);
    case VCPUOP_send_nmi:
        if (x->vcpu[i].v)
            v->host->ops->nmi(x->vcpu[i].v);
        return 0;
    default:
        return -ENOSYS;
    }
}
