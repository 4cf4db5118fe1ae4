/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_crash.c - what the log keeps of a processor that hit a triple fault.
 *
 * A processor of Intel's still has its registers then. On AMD's the fault leaves them undefined and
 * KVM puts the processor into its power-on state, so that what stands here is of little use: then
 * the registers at the last exit before are what there is (with HOSPES_TRACE), and the exits
 * themselves. Addresses are translated here, by the tables that belong to the registers, and not by
 * the host, whose processor may have lost them.
 */
#include <stdio.h>
#include <string.h>

#include "core/gmem.h"
#include "core/log.h"
#include "machine/machine_priv.h"

enum { CRASH_EXITS = 64, CRASH_LINE = 8, CRASH_BYTES = 32 };

#define CR0_PG (UINT64_C(1) << 31)
#define CR4_PAE (UINT64_C(1) << 5)
#define CR4_LA57 (UINT64_C(1) << 12)
#define EFER_LMA (UINT64_C(1) << 10)
#define PTE_PRESENT UINT64_C(1)
#define PTE_LARGE (UINT64_C(1) << 7)
#define PTE_ADDRESS UINT64_C(0x000ffffffffff000)

/* Intel SDM volume 3, 4.2 to 4.5. false: not mapped. */
static bool crash_walk(struct machine *m, const struct sregs *s, uint64_t va, gpa_t *out)
{
    bool pae = s->cr4 & CR4_PAE, wide = s->efer & EFER_LMA;
    unsigned bits = pae ? 9 : 10, level = wide ? (s->cr4 & CR4_LA57 ? 5 : 4) : pae ? 3 : 2;
    uint64_t table = s->cr3 & (pae && !wide ? UINT64_C(0xffffffe0) : PTE_ADDRESS), large;

    if (!wide)
        va = (uint32_t)va;
    *out = va;
    if (!(s->cr0 & CR0_PG))
        return true;
    for (; level; level--) {
        unsigned shift = 12 + bits * (level - 1);
        uint64_t index = va >> shift & ((UINT64_C(1) << bits) - 1);
        uint8_t e[8] = {0};

        if (gmem_read(m->mem, table + index * (pae ? 8 : 4), e, pae ? 8 : 4) < 0)
            return false;
        memcpy(&table, e, sizeof(table)); /* x86 is little-endian, and KVM is x86 here */
        if (!(table & PTE_PRESENT))
            return false;
        large = level > 1 && level <= (wide ? 3u : 2u) ? table & PTE_LARGE : 0;
        table &= PTE_ADDRESS;
        if (large || level == 1) {
            *out = (table & ~((UINT64_C(1) << shift) - 1)) | (va & ((UINT64_C(1) << shift) - 1));
            return true;
        }
    }
    return false;
}

static void crash_bytes(struct machine *m, const struct sregs *s, const char *what, uint64_t va)
{
    char text[3 * CRASH_BYTES + 1] = "";
    size_t n = 0;
    gpa_t at;

    for (unsigned i = 0; i < CRASH_BYTES; i++) {
        uint8_t byte;

        if (crash_walk(m, s, va + i, &at) && gmem_read(m->mem, at, &byte, 1) == 0)
            n += (size_t)snprintf(text + n, sizeof(text) - n, " %02x", byte);
        else
            n += (size_t)snprintf(text + n, sizeof(text) - n, " --");
    }
    log_line(LOG_ERROR, "crash", "%s at %#llx:%s", what, (unsigned long long)va, text);
}

static void crash_words(const struct regs *r)
{
    static const char *const names[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi",
                                        "rsp", "rbp", "r8",  "r9",  "r10", "r11",
                                        "r12", "r13", "r14", "r15", "rip", "rflags"};
    uint64_t words[ARRAY_SIZE(names)] = {r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi,
                                         r->rsp, r->rbp, r->r8,  r->r9,  r->r10, r->r11,
                                         r->r12, r->r13, r->r14, r->r15, r->rip, r->rflags};
    char text[512];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, " %s=%llx", names[i],
                              (unsigned long long)words[i]);
    log_line(LOG_ERROR, "crash", "registers:%s", text);
}

static void crash_segment(const char *name, const struct segment *g)
{
    log_line(LOG_ERROR, "crash",
             "%s=%04x base=%llx limit=%x type=%x present=%u dpl=%u db=%u s=%u l=%u g=%u", name,
             g->selector, (unsigned long long)g->base, g->limit, g->type, g->present, g->dpl, g->db,
             g->s, g->l, g->g);
}

static void crash_state(struct machine *m, const struct regs *r, const struct sregs *s)
{
    crash_words(r);
    crash_segment("cs", &s->cs);
    crash_segment("ds", &s->ds);
    crash_segment("es", &s->es);
    crash_segment("ss", &s->ss);
    crash_segment("tr", &s->tr);
    log_line(LOG_ERROR, "crash",
             "gdt=%llx/%x idt=%llx/%x cr0=%llx cr2=%llx cr3=%llx cr4=%llx cr8=%llx efer=%llx "
             "apic=%llx",
             (unsigned long long)s->gdt.base, s->gdt.limit, (unsigned long long)s->idt.base,
             s->idt.limit, (unsigned long long)s->cr0, (unsigned long long)s->cr2,
             (unsigned long long)s->cr3, (unsigned long long)s->cr4, (unsigned long long)s->cr8,
             (unsigned long long)s->efer, (unsigned long long)s->apic_base);
    crash_bytes(m, s, "code", s->cs.base + r->rip);
    crash_bytes(m, s, "stack", s->ss.base + r->rsp);
    crash_bytes(m, s, "idt", s->idt.base);
    crash_bytes(m, s, "gdt", s->gdt.base);
}

static void crash_exits(struct machine *m, const struct vcpu *v)
{
    struct vcpu_exit last[CRASH_EXITS];
    size_t n = m->ops->vcpu_last(v, last, CRASH_EXITS);

    for (size_t i = 0; i < n; i += CRASH_LINE) {
        char text[256];
        size_t len = 0;

        for (size_t k = i; k < n && k < i + CRASH_LINE; k++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s %s %llx", k > i ? "," : "",
                                    last[k].what, (unsigned long long)last[k].addr);
        log_line(LOG_ERROR, "crash", "exits -%zu:%s", i, text);
    }
}

void machine_crash_log(struct machine *m, struct vcpu *v)
{
    struct sregs s;
    struct regs r;

    if (!log_on(LOG_ERROR))
        return;
    log_line(LOG_ERROR, "crash", "processor %u hit a triple fault; as it is now:", v->index);
    m->ops->vcpu_get_regs(v, &r);
    m->ops->vcpu_get_sregs(v, &s);
    crash_state(m, &r, &s);
    if (m->ops->vcpu_before(v, &r, &s)) {
        log_line(LOG_ERROR, "crash", "as it was at the exit before:");
        crash_state(m, &r, &s);
    }
    crash_exits(m, v);
}
