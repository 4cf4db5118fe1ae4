/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake.c - see fake.h: a host without a processor. Interrupts go nowhere, doorbells are refused,
 * so that every access is an io() call.
 */
#include "host/fake.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/err.h"

struct fake_host {
    struct host base;
    struct irqs irqs;
};

struct fake_vcpu {
    struct vcpu base;
    pthread_cond_t woken;
    bool kicked, played;
    unsigned life;
    uint64_t exits;
    struct regs regs;
    struct sregs sregs;
};

static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_script fake_script;
static struct fake_told fake_told;

void fake_host_script(const struct fake_script *s)
{
    pthread_mutex_lock(&fake_lock);
    memset(&fake_script, 0, sizeof(fake_script));
    if (s)
        fake_script = *s;
    memset(&fake_told, 0, sizeof(fake_told));
    pthread_mutex_unlock(&fake_lock);
}

struct fake_told fake_host_told(void)
{
    struct fake_told copy;

    pthread_mutex_lock(&fake_lock);
    copy = fake_told;
    pthread_mutex_unlock(&fake_lock);
    return copy;
}

static void fake_count(unsigned *n)
{
    pthread_mutex_lock(&fake_lock);
    (*n)++;
    pthread_mutex_unlock(&fake_lock);
}

/* --- interrupts --- */

static void fake_irq_set(struct irq *i, bool up)
{
    /* nobody listens */
}

static int fake_irq_new(struct irq **out, struct err *e)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return err_set(e, ENOMEM, "no memory for an interrupt");
    (*out)->set = fake_irq_set;
    return 0;
}

static int fake_irq_line(struct irqs *s, unsigned gsi, void (*acked)(void *arg), void *arg,
                         struct irq **out, struct err *e)
{
    return fake_irq_new(out, e);
}

static int fake_irq_msi(struct irqs *s, struct irq **out, struct err *e)
{
    return fake_irq_new(out, e);
}

static void fake_irq_route(struct irqs *s, struct irq *i, bool on, uint64_t addr, uint32_t data)
{
    /* nobody listens */
}

static void fake_irq_release(struct irqs *s, struct irq *i)
{
    free(i);
}

static const struct irqs_ops fake_irq_ops = {
    .line = fake_irq_line,
    .msi = fake_irq_msi,
    .msi_route = fake_irq_route,
    .release = fake_irq_release,
};

/* --- the machine --- */

static int fake_open(const struct host_cfg *c, struct gmem *m, struct loop *l, struct host **out,
                     struct err *e)
{
    struct fake_host *h;

    if (fake_script.fail_open)
        return err_exit(e, EX_NO_HOST, fake_script.fail_open, "the fake host does not open");
    h = calloc(1, sizeof(*h));
    if (!h)
        return err_set(e, ENOMEM, "no memory for the fake host");
    h->base.ops = &host_fake;
    h->irqs.ops = &fake_irq_ops;
    pthread_mutex_lock(&fake_lock);
    fake_told.cfg = *c;
    pthread_mutex_unlock(&fake_lock);
    fake_count(&fake_told.opened);
    *out = &h->base;
    return 0;
}

static void fake_close(struct host *h)
{
    fake_count(&fake_told.closed);
    free(container_of(h, struct fake_host, base));
}

static uint32_t fake_caps(const struct host *h)
{
    return ~UINT32_C(0);
}

static struct irqs *fake_irqs(struct host *h)
{
    return &container_of(h, struct fake_host, base)->irqs;
}

static uint64_t fake_tsc_khz(const struct host *h)
{
    return 1000000;
}

static uint64_t fake_clock_ns(const struct host *h)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static uint32_t fake_pv_features(const struct host *h)
{
    return ~UINT32_C(0);
}

static void fake_reset(struct host *h)
{
    fake_count(&fake_told.host_resets);
}

static size_t fake_cpuid(struct host *h, struct cpuid_leaf *out, size_t max)
{
    const struct cpuid_leaf leaves[] = {{.fn = 0, .eax = 1}, {.fn = 1, .ecx = UINT32_C(1) << 31}};
    size_t n = max < ARRAY_SIZE(leaves) ? max : ARRAY_SIZE(leaves);

    memcpy(out, leaves, n * sizeof(*out));
    return n;
}

static int fake_bell(void *arg, enum bus_kind kind, uint64_t addr, unsigned size, bool match,
                     uint64_t value, int fd)
{
    return -ENOTSUP;
}

static void fake_bell_off(void *arg, enum bus_kind kind, uint64_t addr, unsigned size, bool match,
                          uint64_t value, int fd)
{
    /* none was on */
}

static const struct doorbells *fake_doorbells(struct host *h)
{
    static const struct doorbells none = {fake_bell, fake_bell_off, NULL};

    return &none;
}

static int fake_watch_msrs(struct host *h, const struct msr_range *r, size_t n, struct err *e)
{
    return 0;
}

static void fake_watch_port(struct host *h, uint16_t port)
{
    /* the script asks sink->port itself */
}

static int fake_signal(struct host *h, uint32_t conn_id, int fd)
{
    return 0;
}

static int fake_sint(struct host *h, unsigned vp, unsigned sint, void (*eom)(void *arg), void *arg,
                     struct irq **out, struct err *e)
{
    return fake_irq_new(out, e);
}

static int fake_msi_send(struct host *h, uint64_t addr, uint32_t data)
{
    return 1;
}

/* --- processors --- */

static struct fake_vcpu *fake_vcpu_of(const struct vcpu *v)
{
    return container_of(v, struct fake_vcpu, base);
}

static int fake_vcpu_create(struct host *h, unsigned index, struct vcpu **out, struct err *e)
{
    struct fake_vcpu *v;

    if (fake_script.fail_vcpu)
        return err_exit(e, EX_NO_HOST, fake_script.fail_vcpu, "the fake host has no processor %u",
                        index);
    v = calloc(1, sizeof(*v));
    if (!v)
        return err_set(e, ENOMEM, "no memory for processor %u", index);
    v->base = (struct vcpu){h, index};
    pthread_cond_init(&v->woken, NULL);
    fake_count(&fake_told.vcpus);
    *out = &v->base;
    return 0;
}

static void fake_vcpu_destroy(struct vcpu *base)
{
    struct fake_vcpu *v = fake_vcpu_of(base);

    pthread_cond_destroy(&v->woken);
    free(v);
}

static int fake_vcpu_set_cpuid(struct vcpu *v, const struct cpuid_leaf *leaf, size_t n,
                               struct err *e)
{
    pthread_mutex_lock(&fake_lock);
    fake_told.cpuid_leaves = (unsigned)n;
    pthread_mutex_unlock(&fake_lock);
    return 0;
}

static int fake_vcpu_run(struct vcpu *base, const struct host_sink *s, struct err *e)
{
    struct fake_vcpu *v = fake_vcpu_of(base);

    if (fake_script.fail_run)
        return err_exit(e, EX_NO_HOST, fake_script.fail_run, "the fake host cannot run");
    if (!v->played && fake_script.guest) {
        v->played = true;
        fake_script.guest(fake_script.arg, base, s, v->life);
    }
    pthread_mutex_lock(&fake_lock);
    WRITE_ONCE(v->exits, v->exits + 1);
    while (!v->kicked)
        pthread_cond_wait(&v->woken, &fake_lock);
    v->kicked = false;
    pthread_mutex_unlock(&fake_lock);
    return 0;
}

static void fake_vcpu_kick(struct vcpu *base)
{
    struct fake_vcpu *v = fake_vcpu_of(base);

    pthread_mutex_lock(&fake_lock);
    fake_told.kicks++;
    v->kicked = true;
    pthread_cond_signal(&v->woken);
    pthread_mutex_unlock(&fake_lock);
}

static void fake_vcpu_attend(struct vcpu *v)
{
    /* the script calls sink->attend itself */
}

static int fake_auto_eoi(struct vcpu *v, uint8_t vector)
{
    return 0;
}

static void fake_vcpu_reset(struct vcpu *base)
{
    struct fake_vcpu *v = fake_vcpu_of(base);

    fake_count(&fake_told.vcpu_resets);
    v->played = false;
    v->life++;
    memset(&v->regs, 0, sizeof(v->regs));
    memset(&v->sregs, 0, sizeof(v->sregs));
}

static void fake_get_regs(struct vcpu *v, struct regs *r)
{
    *r = fake_vcpu_of(v)->regs;
}

static void fake_set_regs(struct vcpu *v, const struct regs *r)
{
    fake_vcpu_of(v)->regs = *r;
    if (v->index == 0)
        fake_told.regs = *r;
}

static void fake_get_sregs(struct vcpu *v, struct sregs *s)
{
    *s = fake_vcpu_of(v)->sregs;
}

static void fake_set_sregs(struct vcpu *v, const struct sregs *s)
{
    fake_vcpu_of(v)->sregs = *s;
    if (v->index == 0)
        fake_told.sregs = *s;
}

static int fake_get_msr(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    return -EINVAL;
}

static int fake_set_msr(struct vcpu *v, uint32_t msr, uint64_t val)
{
    return -EINVAL;
}

/* As with paging off. */
static int fake_translate(struct vcpu *v, uint64_t va, gpa_t *out)
{
    *out = va;
    return 0;
}

static void fake_nmi(struct vcpu *v)
{
    /* nobody listens */
}

static uint64_t fake_exits(const struct vcpu *v)
{
    return READ_ONCE(fake_vcpu_of(v)->exits);
}

static size_t fake_last(const struct vcpu *base, struct vcpu_exit *out, size_t max)
{
    (void)base;
    if (max > 0)
        out[0] = (struct vcpu_exit){"port", 0x80};
    return max > 0;
}

/* As now: what ran before is the test's business. */
static bool fake_before(const struct vcpu *base, struct regs *r, struct sregs *s)
{
    const struct fake_vcpu *v = container_of(base, const struct fake_vcpu, base);

    *r = v->regs;
    *s = v->sregs;
    return true;
}

const struct host_ops host_fake = {
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .caps = fake_caps,
    .irqs = fake_irqs,
    .tsc_khz = fake_tsc_khz,
    .clock_ns = fake_clock_ns,
    .pv_features = fake_pv_features,
    .reset = fake_reset,
    .cpuid = fake_cpuid,
    .doorbells = fake_doorbells,
    .watch_msrs = fake_watch_msrs,
    .watch_port = fake_watch_port,
    .hyperv_signal = fake_signal,
    .hyperv_sint = fake_sint,
    .msi_send = fake_msi_send,
    .vcpu_create = fake_vcpu_create,
    .vcpu_destroy = fake_vcpu_destroy,
    .vcpu_set_cpuid = fake_vcpu_set_cpuid,
    .vcpu_run = fake_vcpu_run,
    .vcpu_kick = fake_vcpu_kick,
    .vcpu_attend = fake_vcpu_attend,
    .vcpu_auto_eoi = fake_auto_eoi,
    .vcpu_reset = fake_vcpu_reset,
    .vcpu_get_regs = fake_get_regs,
    .vcpu_set_regs = fake_set_regs,
    .vcpu_get_sregs = fake_get_sregs,
    .vcpu_set_sregs = fake_set_sregs,
    .vcpu_get_msr = fake_get_msr,
    .vcpu_set_msr = fake_set_msr,
    .vcpu_translate = fake_translate,
    .nmi = fake_nmi,
    .vcpu_exits = fake_exits,
    .vcpu_last = fake_last,
    .vcpu_before = fake_before,
};
