/* SPDX-License-Identifier: Apache-2.0 */
/* fake_irqs.c - see fake_irqs.h. */
#include "fakes/fake_irqs.h"

#include <errno.h>
#include <stdlib.h>

#include "core/err.h"

static void fake_set(struct irq *i, bool up)
{
    struct fake_irq *q = (struct fake_irq *)i;

    if (q->is_line) {
        q->rises += up && !q->up;
        q->up = up;
    } else if (q->on) {
        q->rises++;
    } else {
        q->lost++;
    }
}

static int fake_new(struct irqs *s, struct fake_irq **out, struct err *e)
{
    struct fake_irqs *f = (struct fake_irqs *)s;
    struct fake_irq *q = NULL;

    if (f->fail_after && --f->fail_after == 0)
        return err_set(e, ENOSPC, "no interrupt left");
    q = calloc(1, sizeof(*q));
    if (!q)
        return err_set(e, ENOMEM, "no memory");
    q->owner = f;
    q->irq.set = fake_set;
    q->next = f->all;
    f->all = q;
    *out = q;
    return 0;
}

static int fake_line(struct irqs *s, unsigned gsi, void (*acked)(void *arg), void *arg,
                     struct irq **out, struct err *e)
{
    struct fake_irq *q = NULL;
    int rc = fake_new(s, &q, e);

    if (rc < 0)
        return rc;
    q->is_line = true;
    q->gsi = gsi;
    q->acked = acked;
    q->arg = arg;
    *out = &q->irq;
    return 0;
}

static int fake_msi(struct irqs *s, struct irq **out, struct err *e)
{
    struct fake_irq *q = NULL;
    int rc = fake_new(s, &q, e);

    if (rc == 0)
        *out = &q->irq;
    return rc;
}

static void fake_route(struct irqs *s, struct irq *i, bool on, uint64_t addr, uint32_t data)
{
    struct fake_irq *q = (struct fake_irq *)i;

    (void)s;
    q->on = on;
    q->addr = addr;
    q->data = data;
}

static void fake_release(struct irqs *s, struct irq *i)
{
    struct fake_irqs *f = (struct fake_irqs *)s;

    for (struct fake_irq **at = &f->all; *at; at = &(*at)->next) {
        if (&(*at)->irq == i) {
            struct fake_irq *q = *at;

            *at = q->next;
            free(q);
            return;
        }
    }
    abort(); /* released twice */
}

static const struct irqs_ops fake_ops = {
    .line = fake_line,
    .msi = fake_msi,
    .msi_route = fake_route,
    .release = fake_release,
};

void fake_irqs_init(struct fake_irqs *f)
{
    *f = (struct fake_irqs){.irqs = {.ops = &fake_ops}};
}

unsigned fake_irqs_fini(struct fake_irqs *f)
{
    unsigned n = 0;

    while (f->all) {
        struct fake_irq *q = f->all;

        f->all = q->next;
        free(q);
        n++;
    }
    return n;
}

bool fake_irqs_line(const struct fake_irqs *f, unsigned gsi)
{
    for (const struct fake_irq *q = f->all; q; q = q->next) {
        if (q->is_line && q->gsi == gsi && q->up)
            return true;
    }
    return false;
}

unsigned fake_irqs_rises(const struct fake_irqs *f, unsigned gsi)
{
    unsigned n = 0;

    for (const struct fake_irq *q = f->all; q; q = q->next)
        n += q->is_line && q->gsi == gsi ? q->rises : 0;
    return n;
}

void fake_irqs_ack(struct fake_irqs *f, unsigned gsi)
{
    for (struct fake_irq *q = f->all; q; q = q->next) {
        if (q->is_line && q->gsi == gsi && q->acked)
            q->acked(q->arg);
    }
}

unsigned fake_irqs_take(struct fake_irqs *f, uint32_t data)
{
    unsigned n = 0;

    for (struct fake_irq *q = f->all; q; q = q->next) {
        if (q->is_line || q->data != data)
            continue;
        n += q->rises;
        q->rises = 0;
    }
    return n;
}
