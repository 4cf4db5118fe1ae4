/* SPDX-License-Identifier: Apache-2.0 */
/* chipset.c - what the fixed devices share. */
#include "board/chipset/chipset.h"

#include "core/err.h"

int chipset_claim(const struct env *env, uint16_t port, unsigned len, struct device *d,
                  unsigned region, struct err *e)
{
    int rc = bus_claim(env->pio, port, len, d, region);

    return rc < 0
               ? err_set(e, -rc, "port 0x%x of %s is taken by another device", port, d->ops->name)
               : 0;
}

int chipset_line(const struct env *env, unsigned gsi, struct irq **out, struct err *e)
{
    return env->irqs->ops->line(env->irqs, gsi, NULL, NULL, out, e);
}

void chipset_free(struct device *d, unsigned regions, struct irq *line)
{
    for (unsigned i = 0; i < regions; i++)
        bus_release(d->env.pio, d, i);
    if (line)
        d->env.irqs->ops->release(d->env.irqs, line);
    pthread_mutex_destroy(&d->lock);
}

void chipset_bytes(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                   uint64_t *val)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < size; i++) {
        uint64_t byte = dir == ACC_WRITE ? *val >> (8 * i) & 0xff : 0;

        d->ops->io(d, region, off + i, 1, dir, &byte);
        all |= (byte & 0xff) << (8 * i);
    }
    if (dir == ACC_READ)
        *val = all;
}
