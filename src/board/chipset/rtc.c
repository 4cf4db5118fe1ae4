/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtc.c - Motorola MC146818A clock with 128 bytes of CMOS memory, as wired in the PC/AT.
 *
 * The date is the host's plus an offset that the guest sets. "Update in progress" is up for the
 * last 244 us of each second, as on the chip: some guests wait to see it. Flags are worked out when
 * somebody looks; an alarm runs only while an interrupt is enabled. Periodic interrupts that the
 * guest was too late for come after the others, one after each, up to those of a second: some count
 * time by them.
 * Not modelled: daylight saving, square wave output, the divider chain other than "running".
 *
 * Memory sizes for firmware and old guests are at 0x15-0x18, 0x30-0x35 and 0x5b-0x5d, the century
 * at 0x32, processors minus one at 0x5f.
 *
 * Threads: io() on vCPU threads, the alarm on the loop.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "board/chipset/chipset.h"
#include "board/layout.h"
#include "core/err.h"
#include "core/loop.h"

#define NSEC UINT64_C(1000000000)

enum rtc_reg {
    RTC_SECONDS,
    RTC_SECONDS_ALARM,
    RTC_MINUTES,
    RTC_MINUTES_ALARM,
    RTC_HOURS,
    RTC_HOURS_ALARM,
    RTC_DAY_OF_WEEK,
    RTC_DAY_OF_MONTH,
    RTC_MONTH,
    RTC_YEAR,
    RTC_REG_A,
    RTC_UIP = 0x80,
    RTC_REG_B = 11,
    RTC_SET = 0x80,
    RTC_PIE = 0x40,
    RTC_AIE = 0x20,
    RTC_UIE = 0x10,
    RTC_DM_BINARY = 0x04,
    RTC_24H = 0x02,
    RTC_REG_C = 12,
    RTC_IRQF = 0x80,
    RTC_FLAGS = 0x70, /* PF, AF, UF: the enable bits of B */
    RTC_REG_D = 13,
    RTC_VRT = 0x80,
    RTC_CENTURY = 0x32,
};

enum { RTC_CMOS = 128, RTC_PORT = 0x70, RTC_GSI = 8, RTC_UIP_NS = 244000 };

struct rtc_state {
    uint8_t cmos[RTC_CMOS]; /* the time's bytes are up to date only while SET */
    uint8_t index;
    int64_t offset; /* seconds from the host's clock to the guest's */
    uint64_t seen;  /* guest time in ns up to which flags are worked out */
    uint64_t owed;  /* periodic interrupts that the guest has not had yet */
    bool made_up;   /* the last one was of these */
};

struct rtc {
    struct device d; /* first */
    struct rtc_state s;
    struct rtc_cfg cfg;
    struct irq *irq;
    struct task rearm;
    bool irq_up;
    struct alarm next;
};

static uint64_t rtc_host_clock(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec;
}

/* The guest's time, ns since 1970. */
static uint64_t rtc_now(const struct rtc *r)
{
    return r->cfg.wall() + (uint64_t)r->s.offset * NSEC;
}

/* --- the date in registers --- */

static uint8_t rtc_encode(const struct rtc_state *s, unsigned v)
{
    return (uint8_t)(s->cmos[RTC_REG_B] & RTC_DM_BINARY ? v : v / 10 << 4 | v % 10);
}

static unsigned rtc_decode(const struct rtc_state *s, uint8_t v)
{
    return s->cmos[RTC_REG_B] & RTC_DM_BINARY ? v : (v >> 4) * 10u + (v & 15);
}

static uint8_t rtc_encode_hour(const struct rtc_state *s, unsigned hour)
{
    if (s->cmos[RTC_REG_B] & RTC_24H)
        return rtc_encode(s, hour);
    return rtc_encode(s, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0);
}

static unsigned rtc_decode_hour(const struct rtc_state *s, uint8_t v)
{
    if (s->cmos[RTC_REG_B] & RTC_24H)
        return rtc_decode(s, v);
    return rtc_decode(s, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

/* Writes the time into the registers. */
static void rtc_show(struct rtc *r, uint64_t ns)
{
    struct rtc_state *s = &r->s;
    time_t t = (time_t)(ns / NSEC);
    struct tm tm;

    gmtime_r(&t, &tm);
    s->cmos[RTC_SECONDS] = rtc_encode(s, (unsigned)tm.tm_sec);
    s->cmos[RTC_MINUTES] = rtc_encode(s, (unsigned)tm.tm_min);
    s->cmos[RTC_HOURS] = rtc_encode_hour(s, (unsigned)tm.tm_hour);
    s->cmos[RTC_DAY_OF_WEEK] = rtc_encode(s, (unsigned)tm.tm_wday + 1);
    s->cmos[RTC_DAY_OF_MONTH] = rtc_encode(s, (unsigned)tm.tm_mday);
    s->cmos[RTC_MONTH] = rtc_encode(s, (unsigned)tm.tm_mon + 1);
    s->cmos[RTC_YEAR] = rtc_encode(s, (unsigned)tm.tm_year % 100);
    s->cmos[RTC_CENTURY] = rtc_encode(s, (unsigned)(tm.tm_year + 1900) / 100);
}

/* Takes the time from the registers; nonsense is normalised as timegm() does. */
static void rtc_take(struct rtc *r)
{
    struct rtc_state *s = &r->s;
    unsigned century = rtc_decode(s, s->cmos[RTC_CENTURY]);
    struct tm tm = {
        .tm_sec = (int)rtc_decode(s, s->cmos[RTC_SECONDS]),
        .tm_min = (int)rtc_decode(s, s->cmos[RTC_MINUTES]),
        .tm_hour = (int)rtc_decode_hour(s, s->cmos[RTC_HOURS]),
        .tm_mday = (int)rtc_decode(s, s->cmos[RTC_DAY_OF_MONTH]),
        .tm_mon = (int)rtc_decode(s, s->cmos[RTC_MONTH]) - 1,
        .tm_year = (int)(century * 100 + rtc_decode(s, s->cmos[RTC_YEAR])) - 1900,
    };
    time_t t = timegm(&tm);

    /* Years 1970 to 2200 are dates; the rest is kept out of the arithmetic. */
    if (t < 0 || t > INT64_C(7258118400))
        t = 0;
    s->offset = (int64_t)t - (int64_t)(r->cfg.wall() / NSEC);
    s->seen = rtc_now(r);
}

/* --- flags and interrupts --- */

/* ns of the periodic interrupt, 0: off */
static uint64_t rtc_period(const struct rtc_state *s)
{
    unsigned rate = s->cmos[RTC_REG_A] & 15;

    if (rate == 0)
        return 0;
    if (rate <= 2)
        rate += 7;
    return (NSEC << (rate - 1)) / 32768;
}

static bool rtc_alarm_field(const struct rtc_state *s, uint8_t want, uint8_t is)
{
    return (want & 0xc0) == 0xc0 || want == is;
}

/* How far from second t on the alarm cannot match: 0 when it matches t. */
static uint64_t rtc_alarm_skip(const struct rtc_state *s, uint64_t t)
{
    if (!rtc_alarm_field(s, s->cmos[RTC_HOURS_ALARM], rtc_encode_hour(s, t / 3600 % 24)))
        return 3600 - t % 3600;
    if (!rtc_alarm_field(s, s->cmos[RTC_MINUTES_ALARM], rtc_encode(s, t / 60 % 60)))
        return 60 - t % 60;
    return !rtc_alarm_field(s, s->cmos[RTC_SECONDS_ALARM], rtc_encode(s, t % 60));
}

/* Is there a second that the alarm's seconds match, and a minute for its minutes? */
static bool rtc_alarm_possible(const struct rtc_state *s)
{
    bool sec = false, min = false;

    for (unsigned i = 0; i < 60; i++) {
        sec |= rtc_alarm_field(s, s->cmos[RTC_SECONDS_ALARM], rtc_encode(s, i));
        min |= rtc_alarm_field(s, s->cmos[RTC_MINUTES_ALARM], rtc_encode(s, i));
    }
    return sec && min;
}

/* First second in (from, to] that matches, 0: none. At most a day is searched: the alarm repeats.
 */
static uint64_t rtc_alarm_next(const struct rtc_state *s, uint64_t from, uint64_t to)
{
    uint64_t skip;

    if (!rtc_alarm_possible(s))
        return 0;
    to = min_u64(to, from + 86400);
    for (uint64_t t = from + 1; t <= to; t += skip) {
        skip = rtc_alarm_skip(s, t);
        if (skip == 0)
            return t;
    }
    return 0;
}

static void rtc_update(struct rtc *r)
{
    struct rtc_state *s = &r->s;
    bool up = s->cmos[RTC_REG_C] & s->cmos[RTC_REG_B] & RTC_FLAGS;

    s->cmos[RTC_REG_C] = (uint8_t)((s->cmos[RTC_REG_C] & RTC_FLAGS) | (up ? RTC_IRQF : 0));
    if (up == r->irq_up)
        return;
    r->irq_up = up;
    r->irq->set(r->irq, up);
}

/* n periods have ended; what finds the flag up waits for the guest to take it down. */
static void rtc_periods(struct rtc_state *s, uint64_t n, uint64_t period)
{
    if (s->cmos[RTC_REG_B] & RTC_PIE)
        s->owed = min_u64(s->owed + n - !(s->cmos[RTC_REG_C] & RTC_PIE), NSEC / period);
    s->cmos[RTC_REG_C] |= RTC_PIE;
}

/* Sets the flags of all that happened since the last look. */
static void rtc_catch_up(struct rtc *r)
{
    struct rtc_state *s = &r->s;
    uint64_t now = rtc_now(r), period = rtc_period(s);

    if (period && now / period > s->seen / period)
        rtc_periods(s, now / period - s->seen / period, period);
    if (!(s->cmos[RTC_REG_B] & RTC_SET) && now / NSEC > s->seen / NSEC) {
        s->cmos[RTC_REG_C] |= RTC_UIE;
        if (rtc_alarm_next(s, s->seen / NSEC, now / NSEC)) {
            s->cmos[RTC_REG_C] |= RTC_AIE;
            if (r->cfg.alarm && (s->cmos[RTC_REG_B] & RTC_AIE))
                r->cfg.alarm(r->cfg.alarm_arg);
        }
    }
    s->seen = now;
    rtc_update(r);
}

/* Guest time of the next interrupt that is enabled, UINT64_MAX: none. */
static uint64_t rtc_next_event(const struct rtc *r)
{
    const struct rtc_state *s = &r->s;
    uint8_t on = s->cmos[RTC_REG_B];
    uint64_t period = rtc_period(s), next = UINT64_MAX, alarm;

    if ((on & RTC_PIE) && period)
        next = (s->seen / period + 1) * period;
    if (on & RTC_SET)
        return next;
    if (on & RTC_UIE)
        next = min_u64(next, (s->seen / NSEC + 1) * NSEC);
    if (on & RTC_AIE) {
        alarm = rtc_alarm_next(s, s->seen / NSEC, UINT64_MAX);
        if (alarm)
            next = min_u64(next, alarm * NSEC);
    }
    return next;
}

static void rtc_rearm(struct rtc *r)
{
    struct loop *l = r->d.env.loop;
    uint64_t next;

    device_lock(&r->d);
    rtc_catch_up(r);
    next = rtc_next_event(r);
    if (next == UINT64_MAX)
        loop_disarm(l, &r->next);
    else
        loop_arm(l, &r->next, loop_now(l) + (next - r->s.seen));
    device_unlock(&r->d);
}

static void rtc_fire(struct alarm *a)
{
    rtc_rearm(container_of(a, struct rtc, next));
}

static void rtc_rearm_asked(struct task *t)
{
    rtc_rearm(container_of(t, struct rtc, rearm));
}

/* --- ports --- */

static void rtc_write_b(struct rtc *r, uint8_t v)
{
    struct rtc_state *s = &r->s;
    uint8_t was = s->cmos[RTC_REG_B];

    if (!(was & RTC_SET))
        rtc_show(r, rtc_now(r)); /* what SET freezes, in the old format */
    if (v & RTC_SET)
        v &= (uint8_t)~RTC_UIE;
    s->cmos[RTC_REG_B] = v;
    if ((was & RTC_SET) && !(v & RTC_SET))
        rtc_take(r);
}

static void rtc_write_time(struct rtc *r, unsigned reg, uint8_t v)
{
    struct rtc_state *s = &r->s;

    if (!(s->cmos[RTC_REG_B] & RTC_SET))
        rtc_show(r, rtc_now(r));
    s->cmos[reg] = v;
    if (!(s->cmos[RTC_REG_B] & RTC_SET))
        rtc_take(r);
}

static void rtc_write(struct rtc *r, uint8_t v)
{
    struct rtc_state *s = &r->s;
    unsigned reg = s->index;

    switch (reg) {
    case RTC_SECONDS:
    case RTC_MINUTES:
    case RTC_HOURS:
    case RTC_DAY_OF_WEEK:
    case RTC_DAY_OF_MONTH:
    case RTC_MONTH:
    case RTC_YEAR:
    case RTC_CENTURY:
        rtc_write_time(r, reg, v);
        return;
    case RTC_REG_C:
    case RTC_REG_D:
        return; /* read only */
    case RTC_REG_A:
        if ((v ^ s->cmos[reg]) & 15)
            s->owed = 0;
        s->cmos[reg] = v & 0x7f;
        break;
    case RTC_REG_B:
        rtc_write_b(r, v);
        if (!(v & RTC_PIE))
            s->owed = 0;
        break;
    default:
        s->cmos[reg] = v;
        if (reg > RTC_HOURS_ALARM)
            return;
    }
    rtc_update(r);
    if (s->cmos[RTC_REG_B] & RTC_FLAGS)
        loop_ask(r->d.env.loop, &r->rearm);
}

static uint8_t rtc_read(struct rtc *r)
{
    struct rtc_state *s = &r->s;
    unsigned reg = s->index;
    bool running = !(s->cmos[RTC_REG_B] & RTC_SET);
    uint8_t v;

    if (running && (reg <= RTC_YEAR || reg == RTC_CENTURY))
        rtc_show(r, rtc_now(r));
    if (reg == RTC_REG_A)
        return s->cmos[reg] | (running && rtc_now(r) % NSEC >= NSEC - RTC_UIP_NS ? RTC_UIP : 0);
    if (reg == RTC_REG_C) {
        rtc_catch_up(r);
        v = s->cmos[reg];
        s->cmos[reg] = 0;
        rtc_update(r);
        /* One at a time: a guest that is slower than the clock must get to something else. */
        s->made_up = s->owed && !s->made_up;
        if (s->made_up) {
            s->owed--;
            s->cmos[reg] |= RTC_PIE;
            rtc_update(r);
        }
        return v;
    }
    return s->cmos[reg];
}

static void rtc_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                   uint64_t *val)
{
    struct rtc *r = (struct rtc *)d;

    if (size != 1) {
        chipset_bytes(d, region, off, size, dir, val);
        return;
    }
    if (off == 0 && dir == ACC_WRITE) {
        r->s.index = *val & (RTC_CMOS - 1); /* bit 7 gates NMIs, which nobody raises */
        return;
    }
    if (dir == ACC_WRITE) {
        rtc_catch_up(r);
        rtc_write(r, (uint8_t)*val);
    } else {
        *val = off == 0 ? 0xff : rtc_read(r);
    }
}

/* --- life --- */

void rtc_cmos_set(struct device *d, unsigned at, uint8_t v)
{
    struct rtc *r = (struct rtc *)d;

    device_lock(d);
    r->s.cmos[at % RTC_CMOS] = v;
    device_unlock(d);
}

void rtc_cpus(struct device *d, unsigned cpus)
{
    struct rtc *r = (struct rtc *)d;

    device_lock(d);
    r->cfg.cpus = cpus;
    r->s.cmos[0x5f] = (uint8_t)(cpus - 1);
    device_unlock(d);
}

void rtc_cmos_floppy(struct device *d, uint8_t types)
{
    struct rtc *r = (struct rtc *)d;
    unsigned drives = (types >> 4 != 0) + ((types & 15) != 0);

    device_lock(d);
    r->s.cmos[0x10] = types;
    r->s.cmos[0x14] &= 0x3e;
    if (drives)
        r->s.cmos[0x14] |= (uint8_t)((drives - 1) << 6 | 1);
    device_unlock(d);
}

static void rtc_set16(struct rtc_state *s, unsigned at, uint64_t v)
{
    v = min_u64(v, 0xffff);
    s->cmos[at] = (uint8_t)v;
    s->cmos[at + 1] = (uint8_t)(v >> 8);
}

static void rtc_memory_sizes(struct rtc *r)
{
    struct rtc_state *s = &r->s;
    uint64_t low = layout_ram_low(r->cfg.memory, r->cfg.q35);
    uint64_t high = min_u64(layout_ram_high(r->cfg.memory, r->cfg.q35) >> 16, 0xffffff);
    uint64_t extended = low > MiB ? (low - MiB) / KiB : 0;

    rtc_set16(s, 0x15, 640);
    rtc_set16(s, 0x17, extended);
    rtc_set16(s, 0x30, extended);
    rtc_set16(s, 0x34, low > 16 * MiB ? (low - 16 * MiB) >> 16 : 0);
    rtc_set16(s, 0x5b, high & 0xffff);
    s->cmos[0x5d] = (uint8_t)(high >> 16);
    s->cmos[0x5f] = (uint8_t)(r->cfg.cpus - 1);
    s->cmos[0x14] = 0x06; /* equipment: coprocessor and mouse, no floppy */
}

static int64_t rtc_zone(const struct rtc *r)
{
    time_t t = (time_t)(r->cfg.wall() / NSEC);
    struct tm tm;

    return r->cfg.local && localtime_r(&t, &tm) ? tm.tm_gmtoff : 0;
}

/* The clock and CMOS memory are on a battery: only interrupts and the index go. */
static void rtc_reset(struct device *d)
{
    struct rtc *r = (struct rtc *)d;

    device_lock(d);
    loop_disarm(d->env.loop, &r->next);
    if (!(r->s.cmos[RTC_REG_B] & RTC_SET))
        rtc_catch_up(r);
    r->s.cmos[RTC_REG_B] &= (uint8_t)~RTC_FLAGS;
    r->s.cmos[RTC_REG_C] = 0;
    r->s.owed = 0;
    r->s.made_up = false;
    r->s.index = 0;
    rtc_update(r);
    device_unlock(d);
}

static void rtc_destroy(struct device *d)
{
    struct rtc *r = (struct rtc *)d;

    loop_disarm(d->env.loop, &r->next);
    loop_forget(d->env.loop, &r->rearm);
    chipset_free(d, 1, r->irq);
    free(r);
}

static void rtc_describe(struct device *d, struct dump *out)
{
    struct rtc *r = (struct rtc *)d;

    dump_add(out, "rtc.offset_seconds", "%lld", (long long)r->s.offset);
}

static const struct device_ops rtc_ops = {
    .name = "rtc",
    .destroy = rtc_destroy,
    .reset = rtc_reset,
    .io = rtc_io,
    .describe = rtc_describe,
};

int rtc_create(const struct env *env, const struct rtc_cfg *c, struct device **out, struct err *e)
{
    struct rtc *r = calloc(1, sizeof(*r));
    int rc;

    if (!r)
        return err_set(e, ENOMEM, "no memory for the clock");
    device_init(&r->d, &rtc_ops, env);
    r->cfg = *c;
    if (!r->cfg.wall)
        r->cfg.wall = rtc_host_clock;
    r->next.fire = rtc_fire;
    r->rearm.run = rtc_rearm_asked;
    tzset(); /* reads a file once: a processor in its sandbox may not open one */
    rc = chipset_line(env, RTC_GSI, &r->irq, e);
    if (rc == 0)
        rc = chipset_claim(env, RTC_PORT, 2, &r->d, 0, e);
    if (rc < 0) {
        rtc_destroy(&r->d);
        return rc;
    }
    r->s.cmos[RTC_REG_A] = 0x26; /* 32 kHz base, 1024 Hz */
    r->s.cmos[RTC_REG_B] = RTC_24H;
    r->s.cmos[RTC_REG_D] = RTC_VRT;
    r->s.offset = rtc_zone(r);
    r->s.seen = rtc_now(r);
    rtc_memory_sizes(r);
    *out = &r->d;
    return 0;
}
