/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stub.c - hypercalls on a host whose KVM knows nothing of Xen.
 *
 * A guest that writes the hypercall-page MSR gets a page of our own stubs: `mov $nr,%eax; out
 * %eax,$port; ret`. A port write exits with the registers, the result goes back in RAX. That page
 * is ours where KVM would write one, too: its SCHEDOP_poll is not woken by an event that is not
 * masked while another of the same word is pending, and who asks for the page may poll so.
 *
 * Current Linux never asks for that page: it executes VMMCALL or VMCALL itself, which such a KVM
 * answers without telling anybody. So the two call sites are found in guest memory and their three
 * bytes replaced by `out %eax,$port; nop`. The moment is the kernel's first read of EFER at its
 * final address, which the MSR filter shows us, and which comes before its first hypercall. What
 * counts as a call site: 16-byte aligned, an optional ENDBR64, the instruction, then a jump or a
 * return, and the AMD and the Intel form at most 32 bytes apart. Only RAM is changed, never a disk,
 * and the log says so.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/bytes.h"
#include "core/gmem.h"
#include "core/log.h"
#include "personas/xen/xen.h"

enum {
    MSR_EFER = 0xc0000080,
    EFER_LMA = 1 << 10,
    STUB_STRIDE = 32,
    PAGE = 4096,
    SCAN_SPAN = 64 << 20, /* on each side of the kernel's entry */
    SCAN_CHUNK = 64 << 10,
    KERNEL_LOWEST = 16 << 20, /* what runs below is a decompressor */
    PAIR_DISTANCE = 32,
};

int xen_stub_init(struct xen *x, struct err *e)
{
    static const struct msr_range r[] = {
        {.base = XEN_HCALL_MSR, .count = 1, .read = true, .write = true},
        {.base = MSR_EFER, .count = 1, .read = true},
    };
    struct host *h = x->p.env.host;

    h->ops->watch_port(h, XEN_STUB_PORT);
    return h->ops->watch_msrs(h, r, x->kernel_hcalls ? 1 : 2, e);
}

/* --- the page --- */

static enum verdict write_page(struct xen *x, uint64_t where)
{
    uint8_t page[PAGE];

    memset(page, 0xc3, sizeof(page));
    for (unsigned nr = 0; nr < PAGE / STUB_STRIDE; nr++) {
        uint8_t *p = page + nr * STUB_STRIDE;

        p[0] = 0xb8; /* mov $nr,%eax */
        le32_put(p + 1, nr);
        p[5] = 0xe7; /* out %eax,$port */
        p[6] = XEN_STUB_PORT;
        p[7] = 0xc3;
    }
    if (where & (PAGE - 1)) /* the low bits number the page; there is one */
        return VERDICT_FAULT;
    return gmem_write(x->p.env.dev.mem, where, page, sizeof(page)) < 0 ? VERDICT_FAULT
                                                                       : VERDICT_DONE;
}

/* --- patching --- */

/* Offset of the instruction in a call site at p, -1: this is none. 16 bytes may be read. */
static int site(const uint8_t *p, uint8_t last)
{
    static const uint8_t endbr[4] = {0xf3, 0x0f, 0x1e, 0xfa};
    int at = memcmp(p, endbr, sizeof(endbr)) == 0 ? 4 : 0;

    if (p[at] != 0x0f || p[at + 1] != 0x01 || p[at + 2] != last)
        return -1;
    return p[at + 3] == 0xe9 || p[at + 3] == 0xc3 ? at : -1;
}

static void patch(struct xen *x, uint8_t *p)
{
    p[0] = 0xe7;
    p[1] = XEN_STUB_PORT;
    p[2] = 0x90;
    x->patched++;
}

/* One stretch of host memory; chunk + PAIR_DISTANCE bytes may be read. */
static void scan_chunk(struct xen *x, uint8_t *p, size_t n)
{
    for (size_t i = 0; i + 16 <= n; i += 16) {
        int amd = site(p + i, 0xd9);

        if (amd < 0)
            continue;
        for (size_t k = 16; k <= PAIR_DISTANCE && i + k + 16 <= n; k += 16) {
            int intel = site(p + i + k, 0xc1);

            if (intel < 0)
                continue;
            patch(x, p + i + amd);
            patch(x, p + i + k + intel);
        }
    }
}

/* Pages that were never touched hold no code; reading them would only make them. */
static bool resident(uint8_t *p, size_t n)
{
    unsigned char in[SCAN_CHUNK / PAGE];

    if (mincore(p, n, in) < 0)
        return true;
    for (size_t i = 0; i < n / PAGE; i++) {
        if (in[i] & 1)
            return true;
    }
    return false;
}

static void scan(struct xen *x, gpa_t around)
{
    gpa_t from = around > SCAN_SPAN ? around - SCAN_SPAN : 0;

    for (gpa_t at = align_down(from, SCAN_CHUNK); at < around + SCAN_SPAN; at += SCAN_CHUNK) {
        uint8_t *p = gmem_shared(x->p.env.dev.mem, at, SCAN_CHUNK);

        if (p && resident(p, SCAN_CHUNK))
            scan_chunk(x, p, SCAN_CHUNK);
    }
}

static enum verdict read_efer(struct xen *x, struct vcpu *v, uint64_t *val)
{
    struct sregs s;
    struct regs r;
    gpa_t at;

    v->host->ops->vcpu_get_sregs(v, &s);
    *val = s.efer;
    if (x->patched || x->kernel_hcalls)
        return VERDICT_DONE;
    v->host->ops->vcpu_get_regs(v, &r);
    if (v->host->ops->vcpu_translate(v, r.rip + s.cs.base, &at) < 0 || at < KERNEL_LOWEST)
        return VERDICT_DONE;
    pthread_mutex_lock(&x->lock);
    if (!x->patched)
        scan(x, at);
    pthread_mutex_unlock(&x->lock);
    if (x->patched)
        log_line(LOG_WARN, "xen",
                 "this KVM does not hand over Xen hypercalls: %u call sites were changed in the "
                 "guest's memory",
                 x->patched);
    return VERDICT_DONE;
}

enum verdict xen_msr(struct persona *p, struct vcpu *v, uint32_t msr, enum access dir,
                     uint64_t *val)
{
    struct xen *x = xen_of(p);

    if (msr == XEN_HCALL_MSR && dir == ACC_WRITE)
        return write_page(x, *val);
    if (msr == MSR_EFER && dir == ACC_READ)
        return read_efer(x, v, val);
    return VERDICT_NOT_MINE;
}

/* --- the call --- */

enum verdict xen_port(struct persona *p, struct vcpu *v, uint16_t port, unsigned size,
                      enum access dir, uint32_t *val)
{
    const struct host_ops *ops = v->host->ops;
    uint64_t args[6];
    struct sregs s;
    struct regs r;
    bool longmode;

    if (port != XEN_STUB_PORT || dir != ACC_WRITE || size != 4)
        return VERDICT_NOT_MINE;
    ops->vcpu_get_regs(v, &r);
    ops->vcpu_get_sregs(v, &s);
    longmode = s.efer & EFER_LMA && s.cs.l;
    if (longmode)
        memcpy(args, (uint64_t[]){r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9}, sizeof(args));
    else
        memcpy(args,
               (uint64_t[]){(uint32_t)r.rbx, (uint32_t)r.rcx, (uint32_t)r.rdx, (uint32_t)r.rsi,
                            (uint32_t)r.rdi, (uint32_t)r.rbp},
               sizeof(args));
    if (s.ss.dpl != 0)
        r.rax = (uint64_t)-EPERM;
    else
        r.rax = (uint64_t)xen_hypercall(xen_of(p), v, longmode, *val, args);
    ops->vcpu_set_regs(v, &r);
    return VERDICT_DONE;
}
