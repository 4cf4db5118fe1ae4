/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backdoor.c - VMware's port 0x5658: a guest calls its hypervisor by an IN with a magic number.
 *
 * Document: open-vm-tools backdoor_def.h, Linux arch/x86/kernel/cpu/vmware.c. Modelled: version,
 * clocks, identity, memory size, processor facts, stolen time, messages (also by port 0x5659), the
 * pointer. Not modelled: firmware's own commands, hypercalls by VMCALL (KVM answers those itself).
 *
 * Results go to the registers and, for EAX, also to the port's data: KVM takes EAX from the one in
 * ring 0 and from the other in ring 3. Ring 3 comes here only with kvm.enable_vmware_backdoor=1.
 * Threads: the vCPU's; shared state under the persona's lock.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/gmem.h"
#include "core/log.h"
#include "personas/vmware/rpc.h"
#include "personas/vmware/vmware.h"

#define NS_PER_SEC UINT64_C(1000000000)
enum {
    HW_VERSION = 13,
    BUILD = 20000000,
    BUS_HZ = 1000000000, /* KVM's local APIC timer */
    TIME_LAG = 1000000,  /* us: the largest that is normal */
    STEAL_MS = 50,
};

static uint64_t clock_now(clockid_t c)
{
    struct timespec t;

    clock_gettime(c, &t);
    return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

/* --- stolen time: what the scheduler kept a vCPU's thread waiting --- */

void vmware_times(const struct vmware *w, unsigned cpu, uint64_t *ran, uint64_t *waited)
{
    unsigned long long r = 0, q = 0;
    char path[64];
    FILE *f;

    snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", w->steal[cpu].tid);
    f = fopen(path, "re");
    if (f && fscanf(f, "%llu %llu", &r, &q) != 2)
        r = q = 0;
    if (f)
        fclose(f);
    *ran = r;
    *waited = q;
}

void steal_tick(struct alarm *a)
{
    struct vmware *w = container_of(a, struct vmware, steal_tick);
    struct host *h = w->p.env.host;
    struct loop *l = w->p.env.dev.loop;
    bool any = false;

    pthread_mutex_lock(&w->lock);
    for (unsigned i = 0; i < w->p.env.cpus; i++) {
        struct vmware_steal *s = NULL;
        uint64_t ticks, ran, waited;

        if (!w->steal[i].at)
            continue;
        any = true;
        vmware_times(w, i, &ran, &waited);
        ticks = waited / 1000 * h->ops->tsc_khz(h) / 1000;
        s = gmem_shared(w->p.env.dev.mem, w->steal[i].at, sizeof(*s));
        if (s)
            shared_store64(&s->clock, ticks);
    }
    pthread_mutex_unlock(&w->lock);
    if (any)
        loop_arm(l, a, loop_now(l) + STEAL_MS * UINT64_C(1000000));
}

void steal_begin(struct task *t)
{
    steal_tick(&container_of(t, struct vmware, steal_begin)->steal_tick);
}

void steal_set(struct vmware *w, unsigned cpu, unsigned cpl, struct backdoor *b)
{
    gpa_t at = (gpa_t)b->si << 32 | b->di;

    if (cpl != 0) {
        b->ax = UINT32_MAX;
    } else if (at == 1) {
        w->steal[cpu].at = 0;
        b->ax = 0;
    } else if (at % sizeof(struct vmware_steal) ||
               !gmem_shared(w->p.env.dev.mem, at, sizeof(struct vmware_steal))) {
        b->ax = UINT32_MAX;
    } else {
        w->steal[cpu].at = at;
        b->ax = 1;
        loop_ask(w->p.env.dev.loop, &w->steal_begin);
    }
}

/* --- commands --- */

static void get_time(struct backdoor *b, bool full, bool lag)
{
    uint64_t now = clock_now(CLOCK_REALTIME);

    b->bx = (uint32_t)(now % NS_PER_SEC / 1000);
    b->cx = TIME_LAG;
    if (full) {
        b->ax = BDOOR_MAGIC;
        b->si = (uint32_t)(now / NS_PER_SEC >> 32);
        b->dx = (uint32_t)(now / NS_PER_SEC);
    } else {
        b->ax = (uint32_t)(now / NS_PER_SEC);
    }
    if (lag)
        b->di = 0;
}

static void precision_clock(struct backdoor *b)
{
    uint64_t now = clock_now(CLOCK_REALTIME);

    if (b->cx >> 16 != 0) { /* only GETTIME */
        b->ax = UINT32_MAX;
        return;
    }
    b->ax = 0;
    b->bx = (uint32_t)(now >> 32);
    b->cx = (uint32_t)now;
}

static void get_version(struct backdoor *b)
{
    b->ax = VMX_VERSION;
    b->bx = BDOOR_MAGIC;
    b->cx = VMX_TYPE_SCALABLE_SERVER;
}

static void get_uuid(const struct vmware *w, struct backdoor *b)
{
    b->ax = le32_at(w->uuid);
    b->bx = le32_at(w->uuid + 4);
    b->cx = le32_at(w->uuid + 8);
    b->dx = le32_at(w->uuid + 12);
}

static void get_hz(uint64_t khz, struct backdoor *b)
{
    b->ax = (uint32_t)(khz * 1000);
    b->bx = (uint32_t)(khz * 1000 >> 32);
    b->cx = BUS_HZ;
}

static bool is_mouse(uint32_t cmd)
{
    return cmd == BDOOR_CMD_ISMOUSEABSOLUTE || cmd == BDOOR_CMD_ABSPOINTER_RESTRICT ||
           (cmd >= BDOOR_CMD_ABSPOINTER_DATA && cmd <= BDOOR_CMD_ABSPOINTER_COMMAND);
}

/* Commands whose answer never changes. */
static bool constant(uint32_t cmd, uint32_t *ax)
{
    switch (cmd) {
    case BDOOR_CMD_GETPTRLOCATION:
        *ax = PTRLOCATION_UNGRABBED;
        return true;
    case BDOOR_CMD_GETDEVICELISTELEMENT:
        *ax = 0;
        return true;
    case BDOOR_CMD_GET_VCPU_INFO:
        *ax = VCPU_INFO_SYNC_VTSCS | VCPU_INFO_LEGACY_X2APIC_OK;
        return true;
    case BDOOR_CMD_GETBUILDNUM:
        *ax = BUILD;
        return true;
    default:
        return false;
    }
}

static void command(struct vmware *w, struct vcpu *v, unsigned cpl, struct backdoor *b)
{
    uint64_t khz = v->host->ops->tsc_khz(v->host);

    switch (b->cx & 0xffff) {
    case BDOOR_CMD_GETMHZ:
        b->ax = (uint32_t)(khz / 1000);
        break;
    case BDOOR_CMD_GETVERSION:
        get_version(b);
        break;
    case BDOOR_CMD_GETGUIOPTIONS:
        b->ax = w->rpc->synctime ? GUI_SYNC_TIME : 0;
        break;
    case BDOOR_CMD_GETHWVERSION:
        b->ax = HW_VERSION;
        b->bx = BDOOR_MAGIC;
        break;
    case BDOOR_CMD_GETUUID:
        get_uuid(w, b);
        break;
    case BDOOR_CMD_GETMEMSIZE:
        b->ax = (uint32_t)(w->p.env.memory / MiB);
        break;
    case BDOOR_CMD_GETTIME:
    case BDOOR_CMD_GETTIMEFULL:
    case BDOOR_CMD_GETTIMEFULL_WITH_LAG:
        get_time(b, (b->cx & 0xffff) != BDOOR_CMD_GETTIME,
                 (b->cx & 0xffff) == BDOOR_CMD_GETTIMEFULL_WITH_LAG);
        break;
    case BDOOR_CMD_MESSAGE:
        rpc_call(w->rpc, b, clock_now(CLOCK_MONOTONIC));
        break;
    case BDOOR_CMD_GETHZ:
        get_hz(khz, b);
        break;
    case BDOOR_CMD_STEALCLOCK:
        steal_set(w, v->index, cpl, b);
        break;
    case BDOOR_CMD_PRECISIONCLOCK:
        precision_clock(b);
        break;
    case BDOOR_CMD_REPORTGUESTCRASH:
        log_line(LOG_WARN, "vmware", "the guest reports a crash of its own");
        b->ax = 0;
        break;
    default:
        if (!constant(b->cx & 0xffff, &b->ax)) {
            w->unknown_calls++;
            b->ax = UINT32_MAX;
        }
    }
}

/* Registers that a call did not touch keep their upper halves. */
static void put_reg(uint64_t *reg, uint32_t v)
{
    if ((uint32_t)*reg != v)
        *reg = v;
}

static void put_regs(struct vcpu *v, struct regs *r, const struct backdoor *b)
{
    r->rax = b->ax;
    put_reg(&r->rbx, b->bx);
    put_reg(&r->rcx, b->cx);
    put_reg(&r->rdx, b->dx);
    put_reg(&r->rsi, b->si);
    put_reg(&r->rdi, b->di);
    v->host->ops->vcpu_set_regs(v, r);
}

/* Commands that ask from which ring they come; for the others that would only cost. */
static bool wants_cpl(uint32_t cmd)
{
    return cmd == BDOOR_CMD_STEALCLOCK || is_mouse(cmd);
}

/* With the lock held: something came in that the machine should know. */
static bool has_event(struct vmware *w, enum machine_event *what, char *text, size_t n)
{
    return vmware_balloon_event(w, what, text, n) || rpc_event(w->rpc, what, text, n);
}

/* One byte of a string instruction, which KVM takes apart. A call that fails shows in EBX. */
static enum verdict high_bandwidth(struct vmware *w, struct vcpu *v, enum access dir, uint32_t *val)
{
    uint8_t byte = (uint8_t)*val;
    char text[RPC_TEXT];
    enum machine_event what;
    struct backdoor b;
    bool done, told;
    struct regs r;

    v->host->ops->vcpu_get_regs(v, &r);
    if ((uint32_t)r.rax != BDOOR_MAGIC)
        return VERDICT_NOT_MINE;
    b = (struct backdoor){.bx = (uint32_t)r.rbx, .dx = (uint32_t)r.rdx};
    b.si = (uint32_t)(dir == ACC_WRITE ? r.rbp : r.rsi);
    b.di = (uint32_t)(dir == ACC_WRITE ? r.rdi : r.rbp);
    pthread_mutex_lock(&w->lock);
    done = rpc_byte(w->rpc, &b, dir, &byte);
    told = has_event(w, &what, text, sizeof(text));
    pthread_mutex_unlock(&w->lock);
    if (told)
        w->p.env.event(w->p.env.event_arg, what, text);
    if (!done) {
        byte = UINT8_MAX;
        r.rbx = 0;
        v->host->ops->vcpu_set_regs(v, &r);
    }
    *val = byte;
    return VERDICT_DONE;
}

enum verdict backdoor_port(struct persona *p, struct vcpu *v, uint16_t port, unsigned size,
                           enum access dir, uint32_t *val)
{
    struct vmware *w = vmware_of(p);
    uint32_t magic = port == BALLOON_PORT ? BALLOON_MAGIC : BDOOR_MAGIC;
    char text[RPC_TEXT];
    enum machine_event what;
    struct backdoor b;
    struct sregs s;
    struct regs r;
    bool told;

    if (port == BDOOR_HB_PORT && size == 1)
        return high_bandwidth(w, v, dir, val);
    if (port == BDOOR_HB_PORT || dir != ACC_READ || size != 4)
        return VERDICT_NOT_MINE;
    v->host->ops->vcpu_get_regs(v, &r);
    if ((uint32_t)r.rax != magic)
        return VERDICT_NOT_MINE;
    b = (struct backdoor){(uint32_t)r.rax, (uint32_t)r.rbx, (uint32_t)r.rcx,
                          (uint32_t)r.rdx, (uint32_t)r.rsi, (uint32_t)r.rdi};
    vmware_meet(w); /* firmware does not call */
    s.ss.dpl = 0;
    if (port == BDOOR_PORT && wants_cpl(b.cx & 0xffff))
        v->host->ops->vcpu_get_sregs(v, &s);
    pthread_mutex_lock(&w->lock);
    w->calls++;
    if (port == BDOOR_PORT && (b.cx & 0xffff) < VMWARE_COMMANDS)
        w->command_calls[b.cx & 0xffff]++;
    if (port == BALLOON_PORT)
        vmware_balloon_call(w, &b);
    else if (is_mouse(b.cx & 0xffff))
        vmware_mouse_call(w, s.ss.dpl, &b);
    else
        command(w, v, s.ss.dpl, &b);
    told = has_event(w, &what, text, sizeof(text));
    pthread_mutex_unlock(&w->lock);
    if (told)
        p->env.event(p->env.event_arg, what, text);
    put_regs(v, &r, &b);
    *val = b.ax;
    return VERDICT_DONE;
}
