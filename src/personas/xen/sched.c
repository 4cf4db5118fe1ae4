/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched.c - SCHEDOP operations: how a guest ends, and the watchdogs it sets on itself.
 *
 * Document: Xen public/sched.h. A guest that has said by SCHEDOP_shutdown_code that it crashed (as
 * Windows does before it writes its dump) has crashed, whatever SCHEDOP_shutdown says later.
 */
#include <errno.h>

#include "abi/bytes.h"
#include "core/err.h"
#include "core/log.h"
#include "personas/xen/xen.h"

#include <xen/sched.h>

/* --- watchdogs --- */

static void dogs_bite(struct alarm *a)
{
    struct xen *x = container_of(a, struct xen, dogs.bite);
    uint64_t now = loop_now(x->p.env.dev.loop);
    bool due = false;

    pthread_mutex_lock(&x->lock);
    for (size_t i = 0; i < ARRAY_SIZE(x->dogs.dog); i++) {
        struct xen_dog *d = &x->dogs.dog[i];

        due = due || (d->used && !d->poked && d->due <= now);
    }
    pthread_mutex_unlock(&x->lock);
    if (!due)
        return;
    log_line(LOG_WARN, "xen", "the guest has not fed its watchdog");
    xen_event(x, MACHINE_RESET, NULL);
}

static void dogs_look(struct task *t)
{
    struct xen *x = container_of(t, struct xen, dogs.look);
    struct loop *l = x->p.env.dev.loop;
    uint64_t now = loop_now(l), first = UINT64_MAX;

    pthread_mutex_lock(&x->lock);
    for (size_t i = 0; i < ARRAY_SIZE(x->dogs.dog); i++) {
        struct xen_dog *d = &x->dogs.dog[i];

        if (d->poked)
            d->due = now + d->seconds * UINT64_C(1000000000);
        d->poked = false;
        if (d->used)
            first = min_u64(first, d->due);
    }
    pthread_mutex_unlock(&x->lock);
    if (first == UINT64_MAX)
        loop_disarm(l, &x->dogs.bite);
    else
        loop_arm(l, &x->dogs.bite, first);
}

/* id 0 asks for a watchdog and gets its id; a time of 0 sends one away. */
static long feed(struct xen *x, uint32_t id, uint32_t seconds)
{
    struct xen_dog *dogs = x->dogs.dog;
    bool fresh = id == 0;
    size_t i;

    if (fresh) {
        while (id < ARRAY_SIZE(x->dogs.dog) && dogs[id].used)
            id++;
        if (id == ARRAY_SIZE(x->dogs.dog))
            return -ENOSPC;
        id++;
    }
    if (!idx_in(id - 1, ARRAY_SIZE(x->dogs.dog), &i) || (!fresh && !dogs[i].used))
        return -EINVAL;
    dogs[i].used = dogs[i].poked = fresh || seconds;
    dogs[i].seconds = seconds;
    return fresh ? (long)id : 0;
}

static long watchdog(struct xen *x, struct vcpu *v, uint64_t arg)
{
    uint8_t raw[8]; /* id, seconds */
    long rc;

    if (xen_copy_in(x, v, arg, raw, sizeof(raw)) < 0)
        return -EFAULT;
    pthread_mutex_lock(&x->lock);
    rc = feed(x, le32_at(raw), le32_at(raw + 4));
    pthread_mutex_unlock(&x->lock);
    if (rc >= 0)
        loop_ask(x->p.env.dev.loop, &x->dogs.look);
    return rc;
}

void xen_dogs_init(struct xen *x)
{
    x->dogs.bite.fire = dogs_bite;
    x->dogs.look.run = dogs_look;
}

void xen_dogs_reset(struct xen *x)
{
    loop_forget(x->p.env.dev.loop, &x->dogs.look);
    loop_disarm(x->p.env.dev.loop, &x->dogs.bite);
    for (size_t i = 0; i < ARRAY_SIZE(x->dogs.dog); i++)
        x->dogs.dog[i] = (struct xen_dog){0};
}

/* --- the end --- */

static long shut_down(struct xen *x, struct vcpu *v, uint64_t arg)
{
    uint32_t reason;

    if (xen_copy_in(x, v, arg, &reason, sizeof(reason)) < 0)
        return -EFAULT;
    if (x->crashed)
        reason = SHUTDOWN_crash;
    switch (reason) {
    case SHUTDOWN_poweroff:
        xen_event(x, MACHINE_POWEROFF, NULL);
        return 0;
    case SHUTDOWN_reboot:
    case SHUTDOWN_watchdog:
        xen_event(x, MACHINE_RESET, NULL);
        return 0;
    case SHUTDOWN_suspend:
        return 1; /* cancelled: there is nowhere to go, and the guest goes on */
    case SHUTDOWN_crash:
        xen_event(x, MACHINE_CRASH, "SCHEDOP_shutdown with reason crash");
        return 0;
    case SHUTDOWN_soft_reset:
        xen_event(x, MACHINE_RENEW, NULL);
        return 0;
    default:
        return -EINVAL;
    }
}

/* The first reason counts, as in Xen. Of them crash alone says what would not be known. */
static long shutdown_code(struct xen *x, struct vcpu *v, uint64_t arg)
{
    uint32_t reason;

    if (xen_copy_in(x, v, arg, &reason, sizeof(reason)) < 0)
        return -EFAULT;
    if (reason == SHUTDOWN_crash && !x->crashed)
        log_line(LOG_WARN, "xen", "the guest says that it has crashed");
    x->crashed = x->crashed || reason == SHUTDOWN_crash;
    return 0;
}

long xen_sched_op(struct xen *x, struct vcpu *v, unsigned cmd, uint64_t arg)
{
    switch (cmd) {
    case SCHEDOP_yield:
    case SCHEDOP_block: /* guests use HLT; returning at once is a spurious wake-up */
    case SCHEDOP_poll:  /* likewise */
        return 0;
    case SCHEDOP_shutdown:
        return shut_down(x, v, arg);
    case SCHEDOP_shutdown_code:
        return shutdown_code(x, v, arg);
    case SCHEDOP_watchdog:
        return watchdog(x, v, arg);
    default:
        return -ENOSYS;
    }
}
