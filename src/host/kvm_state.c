/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_state.c - registers of a processor, and its way back to power-on.
 *
 * The state that KVM gives a new processor is taken once, when it has its CPUID, and written back
 * at a reset: so nothing here repeats what KVM knows of x86. The time stamp counter runs on, as
 * guests with a kvmclock or a reference TSC page expect of all processors alike.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/kvm.h"
#include "host/walk.h"

enum { IA32_TSC = 0x10, IA32_TSC_ADJUST = 0x3b };

/* The MSRs that make up a processor's state, without those which must not go back. */
int kvm_state_list(struct kvm_host *h, struct err *e)
{
    struct kvm_msr_list probe = {0}, *list;
    uint32_t used = 0;

    (void)ioctl(h->sys, KVM_GET_MSR_INDEX_LIST, &probe);
    list = calloc(1, sizeof(*list) + probe.nmsrs * sizeof(list->indices[0]));
    if (!list)
        return err_set(e, ENOMEM, "no memory for the list of MSRs");
    h->msrs = list;
    list->nmsrs = probe.nmsrs;
    if (ioctl(h->sys, KVM_GET_MSR_INDEX_LIST, list) < 0)
        return err_exit(e, EX_NO_HOST, errno, "KVM does not list its MSRs: %s", strerror(errno));
    for (uint32_t i = 0; i < list->nmsrs; i++) {
        if (list->indices[i] != IA32_TSC && list->indices[i] != IA32_TSC_ADJUST)
            list->indices[used++] = list->indices[i];
    }
    list->nmsrs = used;
    return 0;
}

/* KVM_GET_MSRS stops at the first MSR that this CPUID does not have: leave it out, go on. */
static int kvm_state_take_msrs(struct kvm_vcpu *v, struct kvm_msrs **out)
{
    const struct kvm_msr_list *list = v->h->msrs;
    struct kvm_msrs *m = calloc(1, sizeof(*m) + list->nmsrs * sizeof(m->entries[0]));
    struct kvm_msrs *part = calloc(1, sizeof(*m) + list->nmsrs * sizeof(m->entries[0]));
    uint32_t next = 0;

    while (m && part && next < list->nmsrs) {
        int n;

        part->nmsrs = list->nmsrs - next;
        for (uint32_t i = 0; i < part->nmsrs; i++)
            part->entries[i].index = list->indices[next + i];
        n = ioctl(v->fd, KVM_GET_MSRS, part);
        if (n < 0)
            n = 0;
        memcpy(&m->entries[m->nmsrs], part->entries, (size_t)n * sizeof(m->entries[0]));
        m->nmsrs += (uint32_t)n;
        next += (uint32_t)n + 1;
    }
    free(part);
    *out = m;
    return m ? 0 : -ENOMEM;
}

int kvm_state_take(struct kvm_vcpu *v, struct err *e)
{
    struct kvm_initial *s = calloc(1, sizeof(*s));

    if (!s)
        return err_set(e, ENOMEM, "no memory for the state of processor %u", v->base.index);
    kvm_state_free(v);
    v->initial = s;
    if (ioctl(v->fd, KVM_GET_REGS, &s->regs) < 0 || ioctl(v->fd, KVM_GET_SREGS, &s->sregs) < 0 ||
        ioctl(v->fd, KVM_GET_XSAVE, &s->xsave) < 0 || ioctl(v->fd, KVM_GET_XCRS, &s->xcrs) < 0 ||
        ioctl(v->fd, KVM_GET_LAPIC, &s->lapic) < 0 ||
        ioctl(v->fd, KVM_GET_VCPU_EVENTS, &s->events) < 0 ||
        ioctl(v->fd, KVM_GET_DEBUGREGS, &s->debug) < 0 ||
        ioctl(v->fd, KVM_GET_MP_STATE, &s->mp) < 0)
        return err_exit(e, EX_NO_HOST, errno, "KVM does not tell the state of processor %u: %s",
                        v->base.index, strerror(errno));
    if (kvm_state_take_msrs(v, &s->msrs) < 0)
        return err_set(e, ENOMEM, "no memory for the MSRs of processor %u", v->base.index);
    /* KVM looks for who has which APIC when one changes, and a processor that is just being made is
     * not yet among those it finds. Those of the start are found when the guest sets up the first.
     */
    if (v->base.index >= v->h->cfg.cpus)
        (void)ioctl(v->fd, KVM_SET_LAPIC, &s->lapic);
    return 0;
}

void kvm_state_free(struct kvm_vcpu *v)
{
    if (v->initial)
        free(v->initial->msrs);
    free(v->initial);
    free(v->before);
    v->initial = NULL;
    v->before = NULL;
}

/* Likewise, KVM_SET_MSRS stops at an MSR that may be read but not set. */
static void kvm_state_set_msrs(struct kvm_vcpu *v, const struct kvm_msrs *all)
{
    struct kvm_msrs *part = calloc(1, sizeof(*part) + all->nmsrs * sizeof(part->entries[0]));
    uint32_t next = 0;

    while (part && next < all->nmsrs) {
        int n;

        part->nmsrs = all->nmsrs - next;
        memcpy(part->entries, &all->entries[next], part->nmsrs * sizeof(part->entries[0]));
        n = ioctl(v->fd, KVM_SET_MSRS, part);
        next += (uint32_t)(n < 0 ? 0 : n) + 1;
    }
    free(part);
}

void kvm_state_reset(struct vcpu *base)
{
    struct kvm_vcpu *v = kvm_vcpu_of(base);
    struct kvm_initial *s = v->initial;

    /* An access that the last exit left half done must not be completed into the new life. */
    __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    (void)ioctl(v->fd, KVM_RUN, 0);
    __atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&v->stop, false, __ATOMIC_SEQ_CST);
    v->synced = v->synced_sregs = false;
    v->run->kvm_dirty_regs = 0;
    /* MSRs with their EFER and APIC base come after the control registers that allow them. */
    (void)ioctl(v->fd, KVM_SET_MP_STATE, &s->mp);
    (void)ioctl(v->fd, KVM_SET_SREGS, &s->sregs);
    (void)ioctl(v->fd, KVM_SET_REGS, &s->regs);
    (void)ioctl(v->fd, KVM_SET_XSAVE, &s->xsave);
    (void)ioctl(v->fd, KVM_SET_XCRS, &s->xcrs);
    (void)ioctl(v->fd, KVM_SET_DEBUGREGS, &s->debug);
    kvm_state_set_msrs(v, s->msrs);
    (void)ioctl(v->fd, KVM_SET_LAPIC, &s->lapic);
    (void)ioctl(v->fd, KVM_SET_VCPU_EVENTS, &s->events);
}

/* --- access --- */

static void kvm_state_from_kvm(struct regs *r, const struct kvm_regs *k)
{
    *r = (struct regs){
        .rax = k->rax,
        .rbx = k->rbx,
        .rcx = k->rcx,
        .rdx = k->rdx,
        .rsi = k->rsi,
        .rdi = k->rdi,
        .rsp = k->rsp,
        .rbp = k->rbp,
        .r8 = k->r8,
        .r9 = k->r9,
        .r10 = k->r10,
        .r11 = k->r11,
        .r12 = k->r12,
        .r13 = k->r13,
        .r14 = k->r14,
        .r15 = k->r15,
        .rip = k->rip,
        .rflags = k->rflags,
    };
}

static void kvm_state_to_kvm(struct kvm_regs *k, const struct regs *r)
{
    *k = (struct kvm_regs){
        .rax = r->rax,
        .rbx = r->rbx,
        .rcx = r->rcx,
        .rdx = r->rdx,
        .rsi = r->rsi,
        .rdi = r->rdi,
        .rsp = r->rsp,
        .rbp = r->rbp,
        .r8 = r->r8,
        .r9 = r->r9,
        .r10 = r->r10,
        .r11 = r->r11,
        .r12 = r->r12,
        .r13 = r->r13,
        .r14 = r->r14,
        .r15 = r->r15,
        .rip = r->rip,
        .rflags = r->rflags,
    };
}

void kvm_state_get_regs(struct vcpu *base, struct regs *r)
{
    struct kvm_vcpu *v = kvm_vcpu_of(base);
    struct kvm_regs k = {0};

    if (v->synced)
        k = v->run->s.regs.regs;
    else
        (void)ioctl(v->fd, KVM_GET_REGS, &k);
    kvm_state_from_kvm(r, &k);
}

void kvm_state_set_regs(struct vcpu *base, const struct regs *r)
{
    struct kvm_vcpu *v = kvm_vcpu_of(base);
    struct kvm_regs k;

    kvm_state_to_kvm(&k, r);
    if (v->synced) {
        v->run->s.regs.regs = k;
        v->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
    } else {
        (void)ioctl(v->fd, KVM_SET_REGS, &k);
    }
}

static void kvm_state_segment_get(struct segment *s, const struct kvm_segment *k)
{
    *s = (struct segment){
        .base = k->base,
        .limit = k->limit,
        .selector = k->selector,
        .type = k->type,
        .present = k->present,
        .dpl = k->dpl,
        .db = k->db,
        .s = k->s,
        .l = k->l,
        .g = k->g,
    };
}

static void kvm_state_segment_set(struct kvm_segment *k, const struct segment *s)
{
    *k = (struct kvm_segment){
        .base = s->base,
        .limit = s->limit,
        .selector = s->selector,
        .type = s->type,
        .present = s->present,
        .dpl = s->dpl,
        .db = s->db,
        .s = s->s,
        .l = s->l,
        .g = s->g,
        .unusable = !s->present,
    };
}

static void kvm_state_sregs_from_kvm(struct sregs *s, const struct kvm_sregs *k)
{
    kvm_state_segment_get(&s->cs, &k->cs);
    kvm_state_segment_get(&s->ds, &k->ds);
    kvm_state_segment_get(&s->es, &k->es);
    kvm_state_segment_get(&s->fs, &k->fs);
    kvm_state_segment_get(&s->gs, &k->gs);
    kvm_state_segment_get(&s->ss, &k->ss);
    kvm_state_segment_get(&s->tr, &k->tr);
    kvm_state_segment_get(&s->ldt, &k->ldt);
    s->gdt.base = k->gdt.base;
    s->gdt.limit = k->gdt.limit;
    s->idt.base = k->idt.base;
    s->idt.limit = k->idt.limit;
    s->cr0 = k->cr0;
    s->cr2 = k->cr2;
    s->cr3 = k->cr3;
    s->cr4 = k->cr4;
    s->cr8 = k->cr8;
    s->efer = k->efer;
    s->apic_base = k->apic_base;
}

void kvm_state_get_sregs(struct vcpu *base, struct sregs *s)
{
    struct kvm_vcpu *v = kvm_vcpu_of(base);
    struct kvm_sregs k = {0};

    if (v->synced_sregs)
        k = v->run->s.regs.sregs;
    else
        (void)ioctl(v->fd, KVM_GET_SREGS, &k);
    kvm_state_sregs_from_kvm(s, &k);
}

/* --- registers of the exit before --- */

void kvm_state_keep(struct kvm_vcpu *v)
{
    size_t at = v->exits % 2;

    v->before->at[at].regs = v->run->s.regs.regs;
    v->before->at[at].sregs = v->run->s.regs.sregs;
}

bool kvm_state_before(const struct vcpu *base, struct regs *r, struct sregs *s)
{
    const struct kvm_vcpu *v = container_of(base, const struct kvm_vcpu, base);

    if (!v->before || v->exits < 2)
        return false;
    kvm_state_from_kvm(r, &v->before->at[(v->exits - 1) % 2].regs);
    kvm_state_sregs_from_kvm(s, &v->before->at[(v->exits - 1) % 2].sregs);
    return true;
}

void kvm_state_set_sregs(struct vcpu *base, const struct sregs *s)
{
    struct kvm_vcpu *v = kvm_vcpu_of(base);
    struct kvm_sregs k = {0};

    (void)ioctl(v->fd, KVM_GET_SREGS, &k); /* the interrupt bitmap stays */
    kvm_state_segment_set(&k.cs, &s->cs);
    kvm_state_segment_set(&k.ds, &s->ds);
    kvm_state_segment_set(&k.es, &s->es);
    kvm_state_segment_set(&k.fs, &s->fs);
    kvm_state_segment_set(&k.gs, &s->gs);
    kvm_state_segment_set(&k.ss, &s->ss);
    kvm_state_segment_set(&k.tr, &s->tr);
    kvm_state_segment_set(&k.ldt, &s->ldt);
    k.gdt.base = s->gdt.base;
    k.gdt.limit = s->gdt.limit;
    k.idt.base = s->idt.base;
    k.idt.limit = s->idt.limit;
    k.cr0 = s->cr0;
    k.cr2 = s->cr2;
    k.cr3 = s->cr3;
    k.cr4 = s->cr4;
    k.cr8 = s->cr8;
    k.efer = s->efer;
    k.apic_base = s->apic_base;
    v->synced_sregs = false;
    (void)ioctl(v->fd, KVM_SET_SREGS, &k);
}

/* One MSR as KVM wants it: a header with its only entry behind it. */
union kvm_state_one {
    struct kvm_msrs head;
    uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
};

int kvm_state_get_msr(struct vcpu *base, uint32_t msr, uint64_t *val)
{
    union kvm_state_one m = {.head = {.nmsrs = 1}};

    m.head.entries[0].index = msr;
    if (ioctl(kvm_vcpu_of(base)->fd, KVM_GET_MSRS, &m.head) != 1)
        return -EINVAL;
    *val = m.head.entries[0].data;
    return 0;
}

int kvm_state_set_msr(struct vcpu *base, uint32_t msr, uint64_t val)
{
    union kvm_state_one m = {.head = {.nmsrs = 1}};

    m.head.entries[0].index = msr;
    m.head.entries[0].data = val;
    return ioctl(kvm_vcpu_of(base)->fd, KVM_SET_MSRS, &m.head) == 1 ? 0 : -EINVAL;
}

int kvm_state_translate(struct vcpu *base, uint64_t va, gpa_t *out)
{
    enum { CR4_LA57 = 1 << 12, EFER_LMA = 1 << 10 };
    struct kvm_vcpu *v = kvm_vcpu_of(base);
    const struct kvm_sregs *s = &v->run->s.regs.sregs;
    struct kvm_translation t = {.linear_address = va};

    if (v->synced_sregs && s->efer & EFER_LMA &&
        walk_long(v->h->mem, s->cr3, s->cr4 & CR4_LA57, va, out) == 0)
        return 0;
    if (ioctl(v->fd, KVM_TRANSLATE, &t) < 0 || !t.valid)
        return -EFAULT;
    *out = t.physical_address;
    return 0;
}

void kvm_state_nmi(struct vcpu *base)
{
    (void)ioctl(kvm_vcpu_of(base)->fd, KVM_NMI, 0);
}

void kvm_state_fault(struct kvm_vcpu *v, unsigned vector, int error)
{
    struct kvm_vcpu_events ev;

    if (ioctl(v->fd, KVM_GET_VCPU_EVENTS, &ev) < 0)
        return;
    ev.exception.injected = 1;
    ev.exception.nr = (uint8_t)vector;
    ev.exception.has_error_code = error >= 0;
    ev.exception.error_code = error >= 0 ? (uint32_t)error : 0;
    ev.flags = 0;
    (void)ioctl(v->fd, KVM_SET_VCPU_EVENTS, &ev);
}
