/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hpet.c - a high precision event timer: one counter at 100 MHz, three comparators.
 *
 * Document: IA-PC HPET Specification 1.0a. Comparators interrupt through the I/O APIC, level or
 * edge, or by messages; all are 64 bits wide and can be periodic. Not modelled: the legacy
 * replacement routes (the PIT and the clock keep their lines), which the capabilities say.
 *
 * Threads: io() on vCPU threads, comparators on the loop, one lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "board/bus.h"
#include "board/chipset/chipset.h"
#include "board/layout.h"
#include "core/bell.h"
#include "core/err.h"
#include "core/loop.h"

enum { HPET_TIMERS = 3, HPET_SIZE = 0x400, HPET_NS = 10, HPET_LINES = 24 };
enum { HPET_ID = 0x000, HPET_CONFIG = 0x010, HPET_STATUS = 0x020, HPET_COUNTER = 0x0f0 };
enum {
    HPET_TIMER = 0x100,
    HPET_TIMER_SIZE = 0x20,
    T_CONFIG = 0x00,
    T_VALUE = 0x08,
    T_ROUTE = 0x10
};
#define HPET_PERIOD UINT64_C(10000000) /* femtoseconds */
#define HPET_ENABLE UINT64_C(1)
#define HPET_WIDE UINT64_C(0x2000)
#define T_LEVEL UINT64_C(0x0002)
#define T_ENABLE UINT64_C(0x0004)
#define T_PERIODIC UINT64_C(0x0008)
#define T_CAN_PERIODIC UINT64_C(0x0010)
#define T_IS_WIDE UINT64_C(0x0020)
#define T_SET UINT64_C(0x0040)
#define T_32BIT UINT64_C(0x0100)
#define T_MESSAGE UINT64_C(0x4000)
#define T_CAN_MESSAGE UINT64_C(0x8000)
#define T_WRITABLE UINT64_C(0x7f4e)
/* Lines that nothing else uses: 20 to 23. */
#define T_ROUTES UINT64_C(0x00f0000000000000)
/* The shortest period: what is shorter would only keep the loop busy. */
enum { PERIOD_MIN_NS = 20000 };

struct timer {
    uint64_t config, value, period, route;
    uint64_t from;    /* the counter when the guest, or the last period, set the value */
    bool accumulates; /* the next write is to the value, not to the period alone */
    bool done;        /* one-shot, and it has matched */
};

struct hpet_state {
    uint64_t config, status;
    uint64_t base; /* the counter at `since`, or for good while it stands */
    uint64_t since;
    struct timer t[HPET_TIMERS];
};

struct hpet {
    struct device dev; /* first */
    struct alarm tick;
    struct watch kick; /* the loop sets the alarm */
    struct irq *line[HPET_LINES];
    struct irq *message[HPET_TIMERS];
    struct hpet_state s;
};

static struct hpet *of(struct device *d)
{
    return (struct hpet *)d;
}

/* --- the counter --- */

static uint64_t counter(const struct hpet *h)
{
    if (!(h->s.config & HPET_ENABLE))
        return h->s.base;
    return h->s.base + (loop_now(h->dev.env.loop) - h->s.since) / HPET_NS;
}

static uint64_t width(const struct timer *t)
{
    return t->config & T_32BIT ? UINT32_MAX : UINT64_MAX;
}

/* Counts until the comparator matches, from now on; 0: it does, or has since it was set. The loop
 * may hear of it later than that. */
static uint64_t distance(const struct timer *t, uint64_t now)
{
    if (((now - t->from) & width(t)) >= ((t->value - t->from) & width(t)))
        return 0;
    return (t->value - now) & width(t);
}

/* A comparator has matched when the counter lies behind it by less than half its width. */
static bool passed(const struct timer *t, uint64_t now)
{
    return ((now - t->value) & width(t)) <= width(t) / 2;
}

static void kick(struct hpet *h)
{
    bell_ring(h->kick.fd);
}

/* --- interrupts --- */

static unsigned line_of(const struct timer *t)
{
    return t->config >> 9 & 31;
}

static struct irq *line(struct hpet *h, unsigned gsi)
{
    struct err e;

    if (!(T_ROUTES >> 32 >> gsi & 1))
        return NULL;
    if (!h->line[gsi] && chipset_line(&h->dev.env, gsi, &h->line[gsi], &e) < 0)
        h->line[gsi] = NULL;
    return h->line[gsi];
}

/* A line is up while a level of any comparator that it belongs to is. */
static void line_update(struct hpet *h, unsigned gsi)
{
    const uint64_t mine = T_LEVEL | T_ENABLE | T_MESSAGE;
    struct irq *i = line(h, gsi);
    bool up = false;

    for (unsigned n = 0; n < HPET_TIMERS; n++)
        up |= h->s.status >> n & 1 && (h->s.t[n].config & mine) == (T_LEVEL | T_ENABLE) &&
              line_of(&h->s.t[n]) == gsi;
    if (i && up)
        irq_raise(i);
    else if (i)
        irq_lower(i);
}

static void match(struct hpet *h, unsigned n)
{
    struct timer *t = &h->s.t[n];

    if (t->config & T_MESSAGE) {
        if (t->config & T_ENABLE)
            irq_raise(h->message[n]);
        return;
    }
    if (t->config & T_LEVEL)
        h->s.status |= UINT64_C(1) << n;
    if (!(t->config & T_ENABLE))
        return;
    if (!(t->config & T_LEVEL) && line(h, line_of(t)))
        irq_raise(line(h, line_of(t)));
    line_update(h, line_of(t));
}

/* --- comparators, on the loop --- */

static bool runs(const struct hpet *h, const struct timer *t)
{
    return h->s.config & HPET_ENABLE && t->config & T_ENABLE &&
           (t->config & T_PERIODIC ? t->period != 0 : !t->done);
}

static void arm(struct hpet *h)
{
    uint64_t now = counter(h), least = UINT64_MAX, ns;

    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        if (runs(h, &h->s.t[n]))
            least = min_u64(least, distance(&h->s.t[n], now));
    }
    loop_disarm(h->dev.env.loop, &h->tick);
    if (least == UINT64_MAX || mul_overflows(least, HPET_NS, &ns) ||
        add_overflows(loop_now(h->dev.env.loop), ns, &ns))
        return; /* in centuries */
    loop_arm(h->dev.env.loop, &h->tick, ns);
}

static void tick(struct alarm *a)
{
    struct hpet *h = container_of(a, struct hpet, tick);
    uint64_t now;

    device_lock(&h->dev);
    now = counter(h);
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        struct timer *t = &h->s.t[n];

        if (!runs(h, t) || (!passed(t, now) && distance(t, now)))
            continue;
        match(h, n);
        t->done = true;
        if (t->config & T_PERIODIC) {
            uint64_t late = (now - t->value) & width(t);
            uint64_t step = max_u64(t->period, PERIOD_MIN_NS / HPET_NS);

            t->value = (t->value + (late / step + 1) * step) & width(t); /* lost ticks are lost */
            t->from = now;
        }
    }
    arm(h);
    device_unlock(&h->dev);
}

static void kicked(struct watch *w, uint32_t got)
{
    struct hpet *h = container_of(w, struct hpet, kick);

    (void)got;
    bell_take(w->fd);
    device_lock(&h->dev);
    arm(h);
    device_unlock(&h->dev);
}

/* --- registers --- */

static uint64_t timer_read(const struct hpet *h, unsigned n, unsigned off)
{
    const struct timer *t = &h->s.t[n];

    switch (off) {
    case T_CONFIG:
        return t->config | T_CAN_PERIODIC | T_IS_WIDE | T_CAN_MESSAGE | T_ROUTES;
    case T_VALUE:
        return t->value;
    case T_ROUTE:
        return t->route;
    default:
        return 0;
    }
}

static uint64_t reg_read(const struct hpet *h, unsigned off)
{
    unsigned n = (off - HPET_TIMER) / HPET_TIMER_SIZE;

    switch (off) {
    case HPET_ID:
        return HPET_PERIOD << 32 | UINT64_C(0x8086) << 16 | HPET_WIDE | (HPET_TIMERS - 1) << 8 | 1;
    case HPET_CONFIG:
        return h->s.config;
    case HPET_STATUS:
        return h->s.status;
    case HPET_COUNTER:
        return counter(h);
    default:
        return off >= HPET_TIMER && n < HPET_TIMERS ? timer_read(h, n, off % HPET_TIMER_SIZE) : 0;
    }
}

static void config_write(struct hpet *h, uint64_t v)
{
    uint64_t now = counter(h);

    h->s.config = v & HPET_ENABLE;
    h->s.base = now;
    h->s.since = loop_now(h->dev.env.loop);
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        h->s.t[n].done = h->s.t[n].done && passed(&h->s.t[n], now);
        h->s.t[n].from = now;
    }
}

static void timer_write(struct hpet *h, unsigned n, unsigned off, uint64_t v)
{
    struct timer *t = &h->s.t[n];
    unsigned was = line_of(t);

    switch (off) {
    case T_CONFIG:
        t->accumulates = v & T_SET;
        t->config = v & T_WRITABLE & ~T_SET;
        line_update(h, was);
        line_update(h, line_of(t));
        break;
    case T_VALUE:
        if (!(t->config & T_PERIODIC) || t->accumulates)
            t->value = v & width(t);
        if (t->config & T_PERIODIC)
            t->period = v & width(t) & (UINT64_MAX >> 1);
        t->accumulates = false;
        break;
    case T_ROUTE:
        t->route = v;
        break;
    default:
        return;
    }
    t->done = false;
    t->from = counter(h);
    if (t->config & T_MESSAGE)
        h->dev.env.irqs->ops->msi_route(h->dev.env.irqs, h->message[n], true, t->route >> 32,
                                        (uint32_t)t->route);
}

static void status_write(struct hpet *h, uint64_t v)
{
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        if (!(v & h->s.status & UINT64_C(1) << n))
            continue;
        h->s.status &= ~(UINT64_C(1) << n);
        line_update(h, line_of(&h->s.t[n]));
    }
}

static void reg_write(struct hpet *h, unsigned off, uint64_t v)
{
    unsigned n = (off - HPET_TIMER) / HPET_TIMER_SIZE;

    if (off == HPET_STATUS) {
        status_write(h, v);
        return;
    }
    if (off == HPET_CONFIG)
        config_write(h, v);
    else if (off == HPET_COUNTER && !(h->s.config & HPET_ENABLE))
        h->s.base = v; /* all else counts from when it runs */
    else if (off >= HPET_TIMER && n < HPET_TIMERS)
        timer_write(h, n, off % HPET_TIMER_SIZE, v);
    kick(h);
}

static void hpet_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                    uint64_t *val)
{
    struct hpet *h = of(d);
    unsigned at = (unsigned)off & ~7u, shift = 8 * ((unsigned)off & 7);
    uint64_t was = reg_read(h, at), mask;

    (void)region;
    if (dir == ACC_READ) {
        *val = was >> shift;
        return;
    }
    if (size < 4 || off % size)
        return;
    if (at == HPET_STATUS)
        was = 0;
    mask = size == 8 ? UINT64_MAX : UINT64_C(0xffffffff) << shift;
    reg_write(h, at, (was & ~mask) | (*val << shift & mask));
}

/* --- life --- */

static void hpet_reset(struct device *d)
{
    struct hpet *h = of(d);

    for (unsigned i = 0; i < HPET_LINES; i++) {
        if (h->line[i])
            irq_lower(h->line[i]);
    }
    memset(&h->s, 0, sizeof(h->s));
    loop_disarm(d->env.loop, &h->tick);
}

static void hpet_destroy(struct device *d)
{
    struct hpet *h = of(d);
    struct irqs *irqs = d->env.irqs;

    loop_disarm(d->env.loop, &h->tick);
    for (unsigned i = 0; i < HPET_LINES; i++) {
        if (h->line[i])
            irqs->ops->release(irqs, h->line[i]);
    }
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        if (h->message[i])
            irqs->ops->release(irqs, h->message[i]);
    }
    if (h->kick.fd >= 0) {
        loop_unwatch(d->env.loop, &h->kick);
        close(h->kick.fd);
    }
    bus_release(d->env.mmio, d, 0);
    pthread_mutex_destroy(&d->lock);
    free(h);
}

static const struct device_ops hpet_ops = {
    .name = "hpet",
    .destroy = hpet_destroy,
    .reset = hpet_reset,
    .io = hpet_io,
};

int hpet_create(const struct env *env, struct device **out, struct err *e)
{
    struct hpet *h = calloc(1, sizeof(*h));
    int rc = 0;

    if (!h)
        return err_set(e, ENOMEM, "no memory for the event timer");
    device_init(&h->dev, &hpet_ops, env);
    h->dev.env.id = "hpet";
    h->tick.fire = tick;
    h->kick = (struct watch){.want = EPOLLIN, .ready = kicked};
    h->kick.fd = bell_make();
    if (h->kick.fd < 0 || loop_watch(env->loop, &h->kick) < 0)
        rc = err_set(e, ENOMEM, "no doorbell for the event timer");
    for (unsigned i = 0; i < HPET_TIMERS && rc == 0; i++)
        rc = env->irqs->ops->msi(env->irqs, &h->message[i], e);
    if (rc == 0 && bus_claim(env->mmio, LAYOUT_HPET, HPET_SIZE, &h->dev, 0) < 0)
        rc = err_set(e, EEXIST, "the event timer's place is taken");
    if (rc < 0) {
        hpet_destroy(&h->dev);
        return rc;
    }
    *out = &h->dev;
    return 0;
}
