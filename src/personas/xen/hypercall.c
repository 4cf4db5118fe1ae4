/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypercall.c - the hypercalls of HVM and PVH guests, from number and arguments to result.
 *
 * Document: Xen public headers. Arguments are guest-virtual addresses: every structure is copied
 * once, page by page, and what was copied is checked. Results are Xen's errno values, which are
 * those of Linux.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "abi/bytes.h"
#include "console/console.h"
#include "core/err.h"
#include "core/gmem.h"
#include "personas/xen/xen.h"

#include <xen/features.h>
#include <xen/memory.h>
#include <xen/version.h>

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>

enum { PAGE = 4096, MULTICALL_MAX = 256, CONSOLE_MAX = 4096 };

/* --- guest memory by virtual address --- */

static int copy(struct xen *x, struct vcpu *v, uint64_t va, void *buf, size_t n, bool in)
{
    uint8_t *at = buf;

    while (n) {
        size_t len = (size_t)min_u64(n, PAGE - va % PAGE);
        gpa_t gpa;
        int rc;

        if (v->host->ops->vcpu_translate(v, va, &gpa) < 0)
            return -EFAULT;
        rc = in ? gmem_read(x->p.env.dev.mem, gpa, at, len)
                : gmem_write(x->p.env.dev.mem, gpa, at, len);
        if (rc < 0)
            return rc;
        at += len;
        va += len;
        n -= len;
    }
    return 0;
}

int xen_copy_in(struct xen *x, struct vcpu *v, uint64_t va, void *buf, size_t n)
{
    return copy(x, v, va, buf, n, true);
}

int xen_copy_out(struct xen *x, struct vcpu *v, uint64_t va, const void *buf, size_t n)
{
    return copy(x, v, va, (void *)buf, n, false);
}

static long give(struct xen *x, struct vcpu *v, uint64_t va, const void *buf, size_t n)
{
    return xen_copy_out(x, v, va, buf, n) < 0 ? -EFAULT : 0;
}

/* --- version --- */

static long features(struct xen *x, struct vcpu *v, uint64_t arg)
{
    struct xen_feature_info f;

    if (xen_copy_in(x, v, arg, &f, sizeof(f)) < 0)
        return -EFAULT;
    /* Without hvm_pirqs guests leave interrupt routing to ACPI. */
    f.submap = f.submap_idx == 0
                   ? 1u << XENFEAT_auto_translated_physmap | 1u << XENFEAT_hvm_callback_vector |
                         1u << XENFEAT_hvm_safe_pvclock | 1u << XENFEAT_memory_op_vnode_supported |
                         1u << XENFEAT_supervisor_mode_kernel | 1u << XENFEAT_writable_page_tables |
                         1u << XENFEAT_writable_descriptor_tables
                   : 0;
    return give(x, v, arg, &f, sizeof(f));
}

static long version(struct xen *x, struct vcpu *v, bool longmode, unsigned cmd, uint64_t arg)
{
    static const char capabilities[1024] =
        "xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 ";
    static const char extra[16] = ".0", changeset[64] = "unavailable";
    static const char compiler[64 + 16 + 32 + 32] = "cc";
    static const uint8_t zero[8];

    switch (cmd) {
    case XENVER_version:
        return 4 << 16 | 17;
    case XENVER_extraversion:
        return give(x, v, arg, extra, sizeof(extra));
    case XENVER_compile_info:
        return give(x, v, arg, compiler, sizeof(compiler));
    case XENVER_capabilities:
        return give(x, v, arg, capabilities, sizeof(capabilities));
    case XENVER_changeset:
        return give(x, v, arg, changeset, sizeof(changeset));
    case XENVER_platform_parameters:
        return give(x, v, arg, zero, longmode ? 8 : 4);
    case XENVER_get_features:
        return features(x, v, arg);
    case XENVER_pagesize:
        return PAGE;
    case XENVER_guest_handle:
        return give(x, v, arg, x->p.env.uuid, 16);
    default:
        return -ENOSYS;
    }
}

/* --- event channels, grants --- */

/* The kernel runs the timers that it knows the ports of. */
static void timers_changed(struct xen *x, struct vcpu *v)
{
    for (unsigned i = 0; i < x->p.env.cpus; i++) {
        if (x->kernel_events && evtchn_timer_port(x->ev, i) != READ_ONCE(x->vcpu[i].told.timer))
            xen_kernel_changed(x, v, i);
    }
}

static long event_channel(struct xen *x, struct vcpu *v, unsigned cmd, uint64_t arg)
{
    size_t n = evtchn_op_size(cmd);
    uint64_t body[8];
    bool back;
    int rc;

    if (n == 0 || n > sizeof(body))
        return -ENOSYS;
    if (xen_copy_in(x, v, arg, body, n) < 0)
        return -EFAULT;
    rc = evtchn_op(x->ev, v->index, cmd, body, n, &back);
    if (cmd == EVTCHNOP_bind_virq || cmd == EVTCHNOP_close || cmd == EVTCHNOP_reset)
        timers_changed(x, v);
    /* Sending and unmasking, the hot ones, give nothing back. */
    if (back && cmd != EVTCHNOP_send && cmd != EVTCHNOP_unmask &&
        xen_copy_out(x, v, arg, body, n) < 0)
        return -EFAULT;
    return rc;
}

static long grant_query(struct xen *x, struct vcpu *v, uint64_t arg)
{
    struct gnttab_query_size q;

    if (xen_copy_in(x, v, arg, &q, sizeof(q)) < 0)
        return -EFAULT;
    q.nr_frames = grant_frames(x->gr);
    q.max_nr_frames = GRANT_MAX_FRAMES;
    q.status = GNTST_okay;
    return give(x, v, arg, &q, sizeof(q));
}

static long grant_set(struct xen *x, struct vcpu *v, uint64_t arg)
{
    struct gnttab_set_version s;
    long rc;

    if (xen_copy_in(x, v, arg, &s, sizeof(s)) < 0)
        return -EFAULT;
    rc = grant_set_version(x->gr, s.version);
    s.version = grant_version(x->gr);
    return rc < 0 ? rc : give(x, v, arg, &s, sizeof(s));
}

static long grant_get(struct xen *x, struct vcpu *v, uint64_t arg)
{
    struct gnttab_get_version q;

    if (xen_copy_in(x, v, arg, &q, sizeof(q)) < 0)
        return -EFAULT;
    q.version = grant_version(x->gr);
    return give(x, v, arg, &q, sizeof(q));
}

static long grant_op(struct xen *x, struct vcpu *v, unsigned cmd, uint64_t arg, uint64_t count)
{
    if (count != 1)
        return count ? -EINVAL : 0;
    switch (cmd) {
    case GNTTABOP_query_size:
        return grant_query(x, v, arg);
    case GNTTABOP_set_version:
        return grant_set(x, v, arg);
    case GNTTABOP_get_version:
        return grant_get(x, v, arg);
    default:
        return -ENOSYS; /* mapping and copying are for back ends, which are ours */
    }
}

/* --- HVM --- */

/* {u16 domid; u32 index@4; u64 value@8}. */
static long hvm_param(struct xen *x, struct vcpu *v, bool set, uint64_t arg)
{
    uint8_t raw[16];
    uint64_t value;
    size_t i;
    long rc = 0;

    if (xen_copy_in(x, v, arg, raw, sizeof(raw)) < 0)
        return -EFAULT;
    if (!idx_in(le32_at(raw + 4), XEN_PARAMS, &i))
        return -EINVAL;
    value = le64_at(raw + 8);
    pthread_mutex_lock(&x->lock);
    if (set)
        x->param[i] = value;
    else
        value = x->param[i];
    pthread_mutex_unlock(&x->lock);
    if (set && i == HVM_PARAM_CALLBACK_IRQ)
        return xen_set_callback(x, v, value);
    if (!set) {
        le64_put(raw + 8, value);
        rc = give(x, v, arg, raw, sizeof(raw));
    }
    return rc;
}

static long upcall_vector(struct xen *x, struct vcpu *v, uint64_t arg)
{
    uint8_t raw[8];
    size_t cpu;

    if (xen_copy_in(x, v, arg, raw, 5) < 0)
        return -EFAULT;
    if (!idx_in(le32_at(raw), x->p.env.cpus, &cpu))
        return -ENOENT;
    return xen_set_upcall_vector(x, v, (unsigned)cpu, raw[4]);
}

/* {u16 domid; u16 type; u32 pad; u64 pfn}. Whoever saves a crashed guest's memory asks. */
static long mem_type(struct xen *x, struct vcpu *v, uint64_t arg)
{
    uint8_t raw[16];
    uint64_t pfn;
    bool ram;

    if (xen_copy_in(x, v, arg, raw, sizeof(raw)) < 0)
        return -EFAULT;
    pfn = le64_at(raw + 8);
    ram = pfn < UINT64_C(1) << 40 && gmem_shared(x->p.env.dev.mem, pfn * PAGE, PAGE) &&
          !xen_page_is_out(x, pfn);
    le16_put(raw + 2, ram ? HVMMEM_ram_rw : HVMMEM_mmio_dm);
    return give(x, v, arg, raw, sizeof(raw));
}

static long hvm_op(struct xen *x, struct vcpu *v, unsigned cmd, uint64_t arg)
{
    uint64_t now;

    switch (cmd) {
    case HVMOP_set_param:
    case HVMOP_get_param:
        return hvm_param(x, v, cmd == HVMOP_set_param, arg);
    case HVMOP_get_time:
        now = v->host->ops->clock_ns(v->host);
        return give(x, v, arg, &now, sizeof(now));
    case HVMOP_set_evtchn_upcall_vector:
        return upcall_vector(x, v, arg);
    case HVMOP_get_mem_type:
        return mem_type(x, v, arg);
    case HVMOP_flush_tlbs:
        return 0; /* every vCPU that runs KVM's nested tables sees them */
    default:
        return -ENOSYS;
    }
}

/* --- console --- */

void xen_event(struct xen *x, enum machine_event what, const char *text)
{
    x->p.env.event(x->p.env.event_arg, what, text);
}

static long console_io(struct xen *x, struct vcpu *v, unsigned cmd, uint64_t count, uint64_t va)
{
    uint8_t text[CONSOLE_MAX];
    size_t n = (size_t)min_u64(count, sizeof(text));

    if (cmd != 0) /* CONSOLEIO_write; reading gives nothing */
        return cmd == 1 ? 0 : -ENOSYS;
    if (count > INT32_MAX)
        return -EINVAL;
    if (xen_copy_in(x, v, va, text, n) < 0)
        return -EFAULT;
    if (x->p.env.console)
        console_write(x->p.env.console, text, n);
    return 0;
}

/* --- dispatch --- */

static long one(struct xen *x, struct vcpu *v, bool longmode, unsigned nr, const uint64_t *a);

/* {op, result, args[6]} of the guest's width. */
static long multicall(struct xen *x, struct vcpu *v, bool longmode, uint64_t list, uint64_t count)
{
    size_t width = longmode ? 8 : 4;

    if (count > MULTICALL_MAX)
        return -EINVAL;
    for (uint64_t i = 0; i < count; i++) {
        uint8_t raw[64], result[8];
        uint64_t at = list + i * 8 * width, nr, args[6];

        if (xen_copy_in(x, v, at, raw, 8 * width) < 0)
            return -EFAULT;
        nr = longmode ? le64_at(raw) : le32_at(raw);
        for (unsigned k = 0; k < 6; k++)
            args[k] = longmode ? le64_at(raw + 8 * (k + 2)) : le32_at(raw + 4 * (k + 2));
        le64_put(result, nr == __HYPERVISOR_multicall || nr >= XEN_HCALLS
                             ? (uint64_t)-ENOSYS
                             : (uint64_t)one(x, v, longmode, (unsigned)nr, args));
        if (xen_copy_out(x, v, at + width, result, width) < 0)
            return -EFAULT;
    }
    return 0;
}

static long one(struct xen *x, struct vcpu *v, bool longmode, unsigned nr, const uint64_t *a)
{
    switch (nr) {
    case __HYPERVISOR_memory_op:
        return xen_memory_op(x, v, longmode, (unsigned)a[0], a[1]);
    case __HYPERVISOR_multicall:
        return multicall(x, v, longmode, a[0], a[1]);
    case __HYPERVISOR_set_timer_op:
        return xen_set_timer(x, v, longmode ? a[0] : (a[1] << 32 | a[0]));
    case __HYPERVISOR_xen_version:
        return version(x, v, longmode, (unsigned)a[0], a[1]);
    case __HYPERVISOR_console_io:
        return console_io(x, v, (unsigned)a[0], a[1], a[2]);
    case __HYPERVISOR_grant_table_op:
        return grant_op(x, v, (unsigned)a[0], a[1], a[2]);
    case __HYPERVISOR_vcpu_op:
        return xen_vcpu_op(x, v, longmode, (unsigned)a[0], (unsigned)a[1], a[2]);
    case __HYPERVISOR_sched_op:
        return xen_sched_op(x, v, (unsigned)a[0], a[1]);
    case __HYPERVISOR_event_channel_op:
        return event_channel(x, v, (unsigned)a[0], a[1]);
    case __HYPERVISOR_hvm_op:
        return hvm_op(x, v, (unsigned)a[0], a[1]);
    default:
        return -ENOSYS;
    }
}

long xen_hypercall(struct xen *x, struct vcpu *v, bool longmode, unsigned nr, const uint64_t *args)
{
    long rc;

    if (x->vcpu[v->index].clock_moved)
        xen_clock_place(x, v);
    xen_deliver_again(x, v);
    rc = one(x, v, longmode, nr, args);
    __atomic_add_fetch(nr < XEN_HCALLS ? &x->hcalls[nr] : &x->unknown_hcalls, 1, __ATOMIC_RELAXED);
    if (rc < 0 && nr < XEN_HCALLS) {
        __atomic_add_fetch(&x->hcall_errors[nr], 1, __ATOMIC_RELAXED);
        WRITE_ONCE(x->hcall_error[nr], (int)rc);
    }
    return rc;
}
