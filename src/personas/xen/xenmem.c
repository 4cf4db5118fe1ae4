/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xenmem.c - XENMEM operations, and the pages that guest and persona share.
 *
 * Document: Xen public/memory.h. Shared info and grant frames are used where the guest puts them:
 * a page of its RAM, of the platform device's memory, or an address outside both, for which memory
 * is made (guests take such addresses from few places). Ballooning gives pages back to the
 * host; what comes back reads as zeroes. A page that is out cannot be given back again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/bytes.h"
#include "core/err.h"
#include "core/gmem.h"
#include "personas/xen/xen.h"

#include <xen/memory.h>

#include <xen/hvm/params.h>

enum { PAGE = 4096, EXTRA_SIZE = 2 << 20, MAX_EXTENTS = 1 << 20, BATCH = 256 };
/* Pages that one call gives or takes. More would hold the vCPU, and who waits for it, for seconds:
 * the guest is told how far it came, and asks again. No driver has as many in one list. */
enum { CALL_PAGES = 8192 };
enum { WC_64 = 3072, WC_32 = 2304, MSR_KVM_WALL_CLOCK_NEW = 0x4b564d00 };

static void *anonymous(size_t n)
{
    void *p =
        mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    return p;
}

int xen_special_pages(struct xen *x, struct err *e)
{
    x->special = anonymous(XEN_SPECIAL_PAGES * PAGE);
    if (!x->special)
        return err_set(e, ENOMEM, "no memory for Xen's special pages");
    return gmem_add(x->p.env.dev.mem, (gpa_t)XEN_SPECIAL_PFN * PAGE, XEN_SPECIAL_PAGES * PAGE,
                    x->special, GMEM_DEVICE, e);
}

/* The 2 MiB around `at`, as far as no memory is there: RAM may end in between. */
static void window_at(struct xen *x, gpa_t at, gpa_t *base, gpa_t *end)
{
    struct gmem_region r;

    *base = align_down(at, EXTRA_SIZE);
    *end = *base + EXTRA_SIZE;
    for (size_t i = 0; gmem_region_at(x->p.env.dev.mem, i, &r); i++) {
        if (r.size == 0)
            continue;
        if (r.base + r.size <= at)
            *base = max_u64(*base, r.base + r.size);
        if (r.base > at)
            *end = min_u64(*end, r.base);
    }
}

static int make_window(struct xen *x, gpa_t at)
{
    struct xen_extra *w = x->extra;
    struct err ignored;
    gpa_t base, end;

    while (w < x->extra + XEN_EXTRAS && w->host)
        w++;
    if (w == x->extra + XEN_EXTRAS)
        return -ENOMEM;
    window_at(x, at, &base, &end);
    w->host = anonymous(end - base);
    if (!w->host)
        return -ENOMEM;
    if (gmem_add(x->p.env.dev.mem, base, end - base, w->host, GMEM_DEVICE, &ignored) < 0) {
        munmap(w->host, end - base);
        w->host = NULL;
        return -EINVAL;
    }
    w->at = base;
    w->size = end - base;
    return 0;
}

/* Makes sure that there is memory at a page the guest has chosen. */
static int page_at(struct xen *x, gpa_t at)
{
    int rc = 0;

    pthread_mutex_lock(&x->lock);
    if (!gmem_shared(x->p.env.dev.mem, at, PAGE))
        rc = make_window(x, at);
    pthread_mutex_unlock(&x->lock);
    return rc;
}

void xen_pages_free(struct xen *x)
{
    if (x->special) {
        gmem_remove(x->p.env.dev.mem, (gpa_t)XEN_SPECIAL_PFN * PAGE);
        munmap(x->special, XEN_SPECIAL_PAGES * PAGE);
    }
    for (struct xen_extra *w = x->extra; w < x->extra + XEN_EXTRAS && w->host; w++) {
        gmem_remove(x->p.env.dev.mem, w->at);
        munmap(w->host, w->size);
    }
}

/* vcpu_info in shared info has moved: so do the clocks there. */
static void clocks_follow(struct xen *x, struct vcpu *v)
{
    for (unsigned i = 0; i < x->p.env.cpus; i++) {
        if (x->kernel_events)
            xen_kernel_changed(x, v, i); /* it keeps the clocks */
        else
            x->vcpu[i].clock_moved = x->vcpu[i].clock_moved || x->vcpu[i].clock_kept;
    }
    if (!x->kernel_events)
        xen_clock_place(x, v);
}

static long unmap_shared_info(struct xen *x, struct vcpu *v)
{
    x->shared_at = 0;
    if (xen_kernel_shared(x, HOST_XEN_NOWHERE, x->longmode) < 0)
        return -EINVAL;
    evtchn_hide_shared(x->ev);
    clocks_follow(x, v);
    return 0;
}

static long map_shared_info(struct xen *x, struct vcpu *v, bool longmode, gpa_t at)
{
    gpa_t wall = at + (longmode ? WC_64 : WC_32);
    struct iovec part[1];
    size_t parts = 0;
    long rc = 0;

    if (gmem_map(x->p.env.dev.mem, at, PAGE, true, part, 1, &parts) < 0)
        return -EINVAL;
    if (x->shared_at && x->shared_at != at)
        rc = unmap_shared_info(x, v);
    if (rc < 0)
        return rc;
    x->longmode = longmode;
    x->shared_at = at;
    evtchn_set_shared(x->ev, at, longmode);
    if (xen_kernel_shared(x, at, longmode) < 0)
        return -EINVAL;
    xen_clocks_begin(x, v);
    clocks_follow(x, v);
    if (x->kernel_events)
        return 0;
    if (v->host->ops->vcpu_set_msr(v, MSR_KVM_WALL_CLOCK_NEW, wall) < 0)
        log_line(LOG_WARN, "xen", "KVM refuses to write the wall clock");
    return 0;
}

/* {u16 domid; u16 size; u32 space; ulong idx; ulong gpfn}. */
static long add_to_physmap(struct xen *x, struct vcpu *v, bool longmode, uint64_t arg)
{
    uint8_t raw[24] = {0};
    uint64_t idx, gpfn;
    uint32_t space;
    gpa_t at;
    int rc;

    if (xen_copy_in(x, v, arg, raw, longmode ? 24 : 16) < 0)
        return -EFAULT;
    space = le32_at(raw + 4);
    idx = longmode ? le64_at(raw + 8) : le32_at(raw + 8);
    gpfn = longmode ? le64_at(raw + 16) : le32_at(raw + 12);
    if (gpfn >= UINT64_C(1) << 40)
        return -EINVAL;
    at = gpfn * PAGE;
    if (space != XENMAPSPACE_shared_info && space != XENMAPSPACE_grant_table)
        return -EINVAL;
    rc = page_at(x, at);
    if (rc < 0)
        return rc;
    if (space == XENMAPSPACE_shared_info)
        return map_shared_info(x, v, longmode, at);
    return grant_set_frame(x->gr, (unsigned)min_u64(idx & 0x7fffffff, UINT32_MAX),
                           idx & XENMAPIDX_grant_table_status, at);
}

/* {u16 domid; ulong gpfn}. Without the page being removed, what Xen writes there would end in what
 * the guest makes of it. RAM stays where it is. */
static long remove_from_physmap(struct xen *x, struct vcpu *v, bool longmode, uint64_t arg)
{
    uint8_t raw[16] = {0};
    uint64_t gpfn;

    if (xen_copy_in(x, v, arg, raw, longmode ? 16 : 8) < 0)
        return -EFAULT;
    gpfn = longmode ? le64_at(raw + 8) : le32_at(raw + 4);
    if (gpfn >= UINT64_C(1) << 40)
        return -EINVAL;
    if (x->shared_at && x->shared_at == gpfn * PAGE)
        return unmap_shared_info(x, v);
    return grant_hide(x->gr, gpfn * PAGE);
}

static long highest_page(const struct xen *x)
{
    struct gmem_region r;
    uint64_t top = 0;

    for (size_t i = 0; gmem_region_at(x->p.env.dev.mem, i, &r); i++) {
        if (r.kind == GMEM_RAM)
            top = max_u64(top, (r.base + r.size) / PAGE);
    }
    return top ? (long)top - 1 : 0;
}

/* Notes that n pages from pfn on are out, or in; false: out already. Pages that are no RAM are not
 * kept book of. */
static bool balloon_mark(struct xen *x, uint64_t pfn, uint64_t n, bool out)
{
    uint64_t bits = (uint64_t)highest_page(x) + 1;
    bool was = false;

    if (!x->out_pages)
        x->out_pages = calloc((size_t)(bits / 64 + 1), sizeof(*x->out_pages));
    for (uint64_t i = pfn; x->out_pages && i < pfn + n && i < bits; i++) {
        uint64_t bit = UINT64_C(1) << (i % 64);
        bool is = x->out_pages[i / 64] & bit;

        was = was || is;
        if (is == out)
            continue;
        x->out_pages[i / 64] ^= bit;
        x->out_count += out ? 1 : UINT64_MAX;
    }
    return !was || !out;
}

bool xen_page_is_out(struct xen *x, uint64_t pfn)
{
    bool out;

    pthread_mutex_lock(&x->lock);
    out =
        x->out_pages && pfn <= (uint64_t)highest_page(x) && x->out_pages[pfn / 64] >> pfn % 64 & 1;
    pthread_mutex_unlock(&x->lock);
    return out;
}

/* {handle; ulong nr; u32 order; u32 flags; u16 domid}: the list is of page numbers. */
static long reservation(struct xen *x, struct vcpu *v, bool longmode, uint64_t arg, bool decrease)
{
    size_t width = longmode ? 8 : 4;
    uint8_t raw[32] = {0}, list[BATCH * 8];
    uint64_t handle, nr, done = 0;
    uint32_t order;

    if (xen_copy_in(x, v, arg, raw, longmode ? 26 : 18) < 0)
        return -EFAULT;
    handle = longmode ? le64_at(raw) : le32_at(raw);
    nr = longmode ? le64_at(raw + 8) : le32_at(raw + 4);
    order = le32_at(raw + 2 * width);
    if (nr > MAX_EXTENTS || order > 9)
        return -EINVAL;
    nr = min_u64(nr, CALL_PAGES >> order);
    while (done < nr) {
        size_t n = (size_t)min_u64(nr - done, BATCH);

        if (xen_copy_in(x, v, handle + done * width, list, n * width) < 0)
            break;
        for (size_t i = 0; i < n; i++, done++) {
            uint64_t pfn = longmode ? le64_at(list + i * 8) : le32_at(list + i * 4);

            bool fresh;

            if (pfn >= UINT64_C(1) << 40)
                return (long)done;
            pthread_mutex_lock(&x->lock);
            fresh = balloon_mark(x, pfn, UINT64_C(1) << order, decrease);
            pthread_mutex_unlock(&x->lock);
            if (!fresh)
                return (long)done;
            /* A page that cannot be given back stays: the guest does not touch it either way. */
            if (decrease)
                (void)!gmem_discard(x->p.env.dev.mem, pfn * PAGE, (uint64_t)PAGE << order);
        }
    }
    return (long)done;
}

/* {u32 entries; handle}: entries are those of the e820, 20 bytes. */
static long memory_map(struct xen *x, struct vcpu *v, bool longmode, uint64_t arg)
{
    uint8_t raw[16] = {0}, entry[20];
    uint32_t room, used = 0;
    struct gmem_region r;
    uint64_t handle;

    if (xen_copy_in(x, v, arg, raw, longmode ? 16 : 8) < 0)
        return -EFAULT;
    room = le32_at(raw);
    handle = longmode ? le64_at(raw + 8) : le32_at(raw + 4);
    for (size_t i = 0; gmem_region_at(x->p.env.dev.mem, i, &r); i++) {
        if (r.size == 0 || r.kind != GMEM_RAM)
            continue;
        if (used == room) /* as Xen does: what there is room for */
            break;
        le64_put(entry, r.base);
        le64_put(entry + 8, r.size);
        le32_put(entry + 16, 1);
        if (xen_copy_out(x, v, handle + used * sizeof(entry), entry, sizeof(entry)) < 0)
            return -EFAULT;
        used++;
    }
    le32_put(raw, used);
    return xen_copy_out(x, v, arg, raw, 4) < 0 ? -EFAULT : 0;
}

static long pages_now(struct xen *x)
{
    uint64_t out;

    pthread_mutex_lock(&x->lock);
    out = x->out_count;
    pthread_mutex_unlock(&x->lock);
    return (long)(gmem_ram_size(x->p.env.dev.mem) / PAGE - out);
}

long xen_memory_op(struct xen *x, struct vcpu *v, bool longmode, unsigned cmd, uint64_t arg)
{
    switch (cmd & 0x3f) {
    case XENMEM_decrease_reservation:
        return reservation(x, v, longmode, arg, true);
    case XENMEM_populate_physmap:
        return reservation(x, v, longmode, arg, false);
    case XENMEM_current_reservation:
        return pages_now(x);
    case XENMEM_maximum_reservation:
        return (long)(gmem_ram_size(x->p.env.dev.mem) / PAGE);
    case XENMEM_maximum_ram_page:
    case XENMEM_maximum_gpfn:
        return highest_page(x);
    case XENMEM_add_to_physmap:
        return add_to_physmap(x, v, longmode, arg);
    case XENMEM_remove_from_physmap:
        return remove_from_physmap(x, v, longmode, arg);
    case XENMEM_memory_map:
        return memory_map(x, v, longmode, arg);
    default:
        return -ENOSYS;
    }
}
