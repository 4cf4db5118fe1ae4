/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pm.c - ACPI fixed hardware (ACPI 6.3 section 4.8) and the PC's ways to reset.
 *
 *   +0x00 PM1a status and enable   +0x04 PM1a control   +0x08 PM timer   +0x20 GPE0
 *   0xb2 SMI command (ACPI on and off)   0x92 system control A   0xcf9 reset control
 *
 * The timer is 32 bits wide. Its overflow status is worked out when somebody looks, or by an alarm
 * while its interrupt is on. Where it is allowed, sleep type 1 is S3: the machine is told, and told
 * again when the power button or the clock's alarm wakes it. Not modelled: S1, S2, S4, SMIs, A20
 * (always open), throttling.
 *
 * Threads: io() on vCPU threads, the alarm on the loop, pm_button(), pm_gpe() and pm_clock_alarm()
 * anywhere.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/chipset/chipset.h"
#include "board/layout.h"
#include "board/pci.h"
#include "core/err.h"
#include "core/loop.h"

enum region { REGION_PM, REGION_SMI, REGION_PORT92, REGIONS };

enum {
    PM_LEN = 0x24,
    PM_CNT = 0x04,
    PM_TMR = 0x08,
    PM_GPE = 0x20,
    PM_SCI_GSI = 9,
    PM_TIMER_HZ = 3579545,
    ACPI_ENABLE = 0xf1,
    ACPI_DISABLE = 0xf0,
};

enum pm1_bits {
    TMR_STS = 0x0001,
    PWRBTN_STS = 0x0100,
    RTC_STS = 0x0400,
    WAK_STS = 0x8000,
    PM1_STATUS = 0xcf31, /* bits that exist */
    PM1_ENABLE = 0x0721,
    SCI_EN = 0x0001,
    SLP_TYP_SHIFT = 10,
    SLP_TYP_S5 = 0,
    SLP_TYP_S3 = 1,
    SLP_EN = 0x2000,
};

struct pm_state {
    uint16_t sts, en, cnt, gpe_sts, gpe_en;
    bool en_said; /* the guest has chosen what may wake it; until then everything may */
    bool asleep;
    uint8_t smi[2], port92, cf9;
    uint32_t tmr_half; /* timer's halves seen: overflow status is up to date until there */
};

struct pm {
    struct device d; /* first */
    struct pm_state s;
    struct board_signal sig;
    struct irq *sci;
    struct task rearm;
    bool sci_up;
    bool s3;        /* offered */
    uint16_t cause; /* of the wake-up that is under way */
    uint64_t start; /* ns: the timer's zero */
    struct alarm overflow;
};

static uint64_t pm_ticks(const struct pm *m)
{
    uint64_t ns = loop_now(m->d.env.loop) - m->start;

    return (uint64_t)((unsigned __int128)ns * PM_TIMER_HZ / 1000000000);
}

static void pm_update(struct pm *m)
{
    struct pm_state *s = &m->s;
    uint32_t half = (uint32_t)(pm_ticks(m) >> 31);
    bool up;

    if (half != s->tmr_half) {
        s->tmr_half = half;
        s->sts |= TMR_STS;
    }
    up = (s->cnt & SCI_EN) && ((s->sts & s->en) || (s->gpe_sts & s->gpe_en));
    if (up != m->sci_up) {
        m->sci_up = up;
        m->sci->set(m->sci, up);
    }
}

static void pm_rearm(struct pm *m)
{
    struct loop *l = m->d.env.loop;

    device_lock(&m->d);
    pm_update(m);
    if (m->s.en & TMR_STS) {
        unsigned __int128 ticks = (unsigned __int128)(m->s.tmr_half + UINT64_C(1)) << 31;

        loop_arm(l, &m->overflow, m->start + (uint64_t)(ticks * 1000000000 / PM_TIMER_HZ) + 1);
    } else {
        loop_disarm(l, &m->overflow);
    }
    device_unlock(&m->d);
}

static void pm_overflow(struct alarm *a)
{
    pm_rearm(container_of(a, struct pm, overflow));
}

static void pm_rearm_asked(struct task *t)
{
    pm_rearm(container_of(t, struct pm, rearm));
}

static void pm_enable(struct pm *m, uint16_t en)
{
    bool timer = (en ^ m->s.en) & TMR_STS;

    m->s.en = en;
    m->s.en_said = true;
    if (timer)
        loop_ask(m->d.env.loop, &m->rearm);
}

static void pm_tell(struct pm *m, enum board_event what, const char *text)
{
    m->sig.event(m->sig.arg, what, 0, text);
}

static void pm_control(struct pm *m, unsigned byte, uint8_t v)
{
    struct pm_state *s = &m->s;
    unsigned shift = 8 * byte;

    s->cnt = (uint16_t)((s->cnt & ~(0xff << shift)) | v << shift);
    if (!(s->cnt & SLP_EN))
        return;
    s->cnt &= (uint16_t)~SLP_EN; /* reads as zero */
    if ((s->cnt >> SLP_TYP_SHIFT & 7) == SLP_TYP_S5) {
        pm_tell(m, BOARD_POWEROFF, NULL);
    } else if ((s->cnt >> SLP_TYP_SHIFT & 7) == SLP_TYP_S3 && m->s3) {
        s->asleep = true;
        pm_tell(m, BOARD_SLEEP, NULL);
    } else {
        guest_fault(&m->d, "sleep type %u is not offered", s->cnt >> SLP_TYP_SHIFT & 7);
    }
}

/* Status bits of the cause come with the wake-up. */
static void pm_wake(struct pm *m, uint16_t cause)
{
    m->s.asleep = false;
    m->cause = cause;
    pm_tell(m, BOARD_WAKE, NULL);
}

static void pm_write(struct pm *m, unsigned off, uint8_t v)
{
    struct pm_state *s = &m->s;
    unsigned shift = 8 * (off & 1);
    uint16_t field = (uint16_t)(v << shift), keep = (uint16_t) ~(0xff << shift);

    switch (off) {
    case 0:
    case 1:
        s->sts &= (uint16_t)~field;
        break;
    case 2:
    case 3:
        pm_enable(m, (uint16_t)(((s->en & keep) | field) & PM1_ENABLE));
        break;
    case PM_CNT:
    case PM_CNT + 1:
        pm_control(m, off & 1, v);
        break;
    case PM_GPE:
    case PM_GPE + 1:
        s->gpe_sts &= (uint16_t)~field;
        break;
    case PM_GPE + 2:
    case PM_GPE + 3:
        s->gpe_en = (uint16_t)((s->gpe_en & keep) | field);
        break;
    default:
        break;
    }
}

static void pm_read(struct pm *m, uint64_t off, unsigned size, uint64_t *val)
{
    const struct pm_state *s = &m->s;
    uint16_t regs[(PM_LEN + 8) / 2] = {s->sts, s->en, s->cnt};
    uint32_t tmr = (uint32_t)pm_ticks(m);

    memcpy(&regs[PM_TMR / 2], &tmr, sizeof(tmr));
    regs[PM_GPE / 2] = s->gpe_sts;
    regs[PM_GPE / 2 + 1] = s->gpe_en;
    memcpy(val, (const uint8_t *)regs + off, size);
}

static void pm_io_block(struct pm *m, uint64_t off, unsigned size, enum access dir, uint64_t *val)
{
    if (dir == ACC_READ) {
        if (off < PM_CNT)
            pm_update(m);
        pm_read(m, off, size, val);
        return;
    }
    pm_update(m);
    for (unsigned i = 0; i < size; i++)
        pm_write(m, (unsigned)off + i, (uint8_t)(*val >> (8 * i)));
    pm_update(m);
}

static void pm_smi(struct pm *m, unsigned off, enum access dir, uint64_t *val)
{
    if (dir == ACC_READ) {
        *val = m->s.smi[off];
        return;
    }
    m->s.smi[off] = (uint8_t)*val;
    if (off == 0 && m->s.smi[0] == ACPI_ENABLE)
        m->s.cnt |= SCI_EN;
    else if (off == 0 && m->s.smi[0] == ACPI_DISABLE)
        m->s.cnt &= (uint16_t)~SCI_EN;
    pm_update(m);
}

static void pm_port92(struct pm *m, enum access dir, uint64_t *val)
{
    uint8_t was = m->s.port92;

    if (dir == ACC_READ) {
        *val = was;
        return;
    }
    m->s.port92 = *val & 0x03;
    if (*val & ~was & 1)
        pm_tell(m, BOARD_RESET, "fast reset by port 0x92");
}

static void pm_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                  uint64_t *val)
{
    struct pm *m = (struct pm *)d;

    if (region == REGION_PM)
        pm_io_block(m, off, size, dir, val);
    else if (size != 1)
        chipset_bytes(d, region, off, size, dir, val);
    else if (region == REGION_SMI)
        pm_smi(m, (unsigned)off, dir, val);
    else
        pm_port92(m, dir, val);
}

/* Under the PCI bus's lock. */
static void pm_cf9(void *arg, enum access dir, uint64_t *val)
{
    struct pm *m = arg;

    device_lock(&m->d);
    if (dir == ACC_READ) {
        *val = m->s.cf9;
    } else {
        m->s.cf9 = *val & 0x0a;
        if (*val & 0x04)
            pm_tell(m, BOARD_RESET, "reset control register");
    }
    device_unlock(&m->d);
}

int pm_button(struct device *d)
{
    struct pm *m = (struct pm *)d;
    int rc = -ENOTSUP;

    device_lock(d);
    if (m->s.asleep) {
        pm_wake(m, PWRBTN_STS);
        rc = 0;
    } else if ((m->s.cnt & SCI_EN) && (m->s.en & PWRBTN_STS)) {
        m->s.sts |= PWRBTN_STS;
        pm_update(m);
        rc = 0;
    }
    device_unlock(d);
    return rc;
}

void pm_clock_alarm(void *arg)
{
    struct pm *m = arg;

    device_lock(&m->d);
    m->s.sts |= RTC_STS;
    if (m->s.asleep && (!m->s.en_said || (m->s.en & RTC_STS)))
        pm_wake(m, RTC_STS);
    else
        pm_update(m);
    device_unlock(&m->d);
}

void pm_offer_s3(struct device *d)
{
    ((struct pm *)d)->s3 = true;
}

void pm_woken(struct device *d)
{
    struct pm *m = (struct pm *)d;

    device_lock(d);
    m->s.sts |= WAK_STS | m->cause;
    device_unlock(d);
}

void pm_gpe(struct device *d, unsigned bit)
{
    struct pm *m = (struct pm *)d;

    device_lock(d);
    m->s.gpe_sts |= (uint16_t)(1u << bit);
    pm_update(m);
    device_unlock(d);
}

static void pm_reset(struct device *d)
{
    struct pm *m = (struct pm *)d;

    device_lock(d);
    loop_disarm(d->env.loop, &m->overflow);
    m->start = loop_now(d->env.loop);
    m->s = (struct pm_state){.port92 = 2};
    pm_update(m);
    device_unlock(d);
}

static void pm_destroy(struct device *d)
{
    struct pm *m = (struct pm *)d;

    loop_disarm(d->env.loop, &m->overflow);
    loop_forget(d->env.loop, &m->rearm);
    chipset_free(d, REGIONS, m->sci);
    free(m);
}

static void pm_describe(struct device *d, struct dump *out)
{
    const struct pm_state *s = &((struct pm *)d)->s;

    dump_add(out, "acpi.mode", "%s", s->cnt & SCI_EN ? "acpi" : "legacy");
    dump_add(out, "acpi.power_button", "%s", s->en & PWRBTN_STS ? "enabled" : "not enabled");
}

static const struct device_ops pm_ops = {
    .name = "acpi-pm",
    .destroy = pm_destroy,
    .reset = pm_reset,
    .io = pm_io,
    .describe = pm_describe,
};

int pm_create(const struct env *env, const struct board_signal *sig, struct device **out,
              struct err *e)
{
    struct pm *m = calloc(1, sizeof(*m));
    int rc;

    if (!m)
        return err_set(e, ENOMEM, "no memory for power management");
    device_init(&m->d, &pm_ops, env);
    m->sig = *sig;
    m->overflow.fire = pm_overflow;
    m->rearm.run = pm_rearm_asked;
    rc = chipset_line(env, PM_SCI_GSI, &m->sci, e);
    if (rc == 0)
        rc = chipset_claim(env, LAYOUT_PM_BASE, PM_LEN, &m->d, REGION_PM, e);
    if (rc == 0)
        rc = chipset_claim(env, 0xb2, 2, &m->d, REGION_SMI, e);
    if (rc == 0)
        rc = chipset_claim(env, 0x92, 1, &m->d, REGION_PORT92, e);
    if (rc < 0) {
        pm_destroy(&m->d);
        return rc;
    }
    pm_reset(&m->d);
    pci_bus_on_cf9(env->pci, pm_cf9, m);
    *out = &m->d;
    return 0;
}
