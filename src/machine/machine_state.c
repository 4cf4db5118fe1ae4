/* SPDX-License-Identifier: Apache-2.0 */
/* machine_state.c - where each processor is: registers and last exits, for `hospes validate`'s
 * logs. */
#include <stdio.h>

#include "board/device.h"
#include "machine/control.h"
#include "machine/machine_priv.h"

enum { STATE_EXITS = 64 };

static void state_word(struct dump *d, const char *key, uint64_t value)
{
    dump_add(d, key, "%#llx", (unsigned long long)value);
}

static void state_regs(struct dump *d, const struct regs *r, const struct sregs *s)
{
    const struct {
        const char *key;
        uint64_t value;
    } words[] = {{"rip", r->rip}, {"rflags", r->rflags}, {"rsp", r->rsp},        {"rbp", r->rbp},
                 {"rax", r->rax}, {"rbx", r->rbx},       {"rcx", r->rcx},        {"rdx", r->rdx},
                 {"rsi", r->rsi}, {"rdi", r->rdi},       {"cs", s->cs.selector}, {"cr0", s->cr0},
                 {"cr2", s->cr2}, {"cr3", s->cr3},       {"cr4", s->cr4},        {"efer", s->efer}};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        state_word(d, words[i].key, words[i].value);
}

static void state_cpu(struct machine *m, unsigned i, struct info *out)
{
    struct vcpu_exit last[STATE_EXITS];
    struct dump *d;
    struct sregs s;
    struct regs r;
    char id[32];
    size_t n;

    snprintf(id, sizeof(id), "cpu%u", i);
    d = info_part(out, "processors", id, NULL);
    m->ops->vcpu_get_regs(m->cpu[i].v, &r);
    m->ops->vcpu_get_sregs(m->cpu[i].v, &s);
    state_regs(d, &r, &s);
    n = m->ops->vcpu_last(m->cpu[i].v, last, STATE_EXITS);
    for (size_t k = 0; k < n; k++) {
        snprintf(id, sizeof(id), "exit -%zu", k);
        dump_add(d, id, "%s %#llx", last[k].what, (unsigned long long)last[k].addr);
    }
}

void machine_state(struct machine *m, struct info *out)
{
    if (!m->started_ns || m->ended || m->asleep)
        return;
    machine_cpus_order(m, CPU_HOLD);
    for (unsigned i = 0; i < m->cpus; i++) {
        if (m->cpu[i].v)
            state_cpu(m, i, out);
    }
    /* An event that stopped the guest meanwhile has been posted to this loop, and is decided there.
     */
    if (!__atomic_load_n(&m->halt, __ATOMIC_ACQUIRE))
        machine_cpus_order(m, CPU_RUN);
}
