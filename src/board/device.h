/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h - a device model, what it is given, how it interrupts, and the bus it answers on.
 *
 * A device reaches nothing but its env, so a test runs it with fakes and no KVM.
 *
 * Threads: a device has one lock. The bus takes it around io(); a device takes it itself
 * (device_lock) in callbacks that come from the loop. reset() and destroy() run with every vCPU
 * stopped, on the loop's thread, without the lock held.
 */
#ifndef HOSPES_BOARD_DEVICE_H
#define HOSPES_BOARD_DEVICE_H

#include <pthread.h>

#include "core/core.h"
#include "core/irq.h"
#include "core/log.h"

/* All a device is given. Everything outlives the device. */
struct env {
    struct gmem *mem;
    struct loop *loop;
    struct bus *pio, *mmio;
    struct pci_bus *pci;
    struct irqs *irqs;
    const char *id; /* "disk0": for messages, logs and info */
};

struct device;
struct dump;

struct device_ops {
    const char *name; /* "virtio-blk": log area and page in docs/reference */
    void (*destroy)(struct device *d);
    /* As after power-on. Cannot fail. */
    void (*reset)(struct device *d);
    /* A guest access inside a claimed region; runs under d's lock on a vCPU thread and must not
     * block. size is 1, 2, 4 or 8 and never crosses the region's end. For reads *val is 0 before
     * the call; bits above size are ignored. */
    void (*io)(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
               uint64_t *val);
    /* Facts for `info` and the support bundle, as "key value" lines; under d's lock, on the loop.
     * May be NULL. See device_describe(). */
    void (*describe)(struct device *d, struct dump *out);
};

/* First member of every model. */
struct device {
    const struct device_ops *ops;
    struct env env;
    pthread_mutex_t lock;
    struct log_limit faults;
    uint64_t fault_count;
    struct device *next; /* the machine's list */
};

void device_init(struct device *d, const struct device_ops *ops, const struct env *env);
static inline void device_lock(struct device *d)
{
    pthread_mutex_lock(&d->lock);
}

static inline void device_unlock(struct device *d)
{
    pthread_mutex_unlock(&d->lock);
}

static inline void device_describe(struct device *d, struct dump *out)
{
    if (!d->ops->describe)
        return;
    device_lock(d);
    d->ops->describe(d, out);
    device_unlock(d);
}

/* The guest did something that its own ABI forbids: counted, rate-limited, logged; never fatal.
 * The caller then enters the state which that ABI defines. */
void guest_fault(struct device *d, const char *fmt, ...) PRINTF_LIKE(2, 3) __attribute__((cold));

/* Collects facts; implemented by the machine's info and by tests. */
struct dump {
    void (*add)(struct dump *out, const char *key, const char *value);
};
void dump_add(struct dump *out, const char *key, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
