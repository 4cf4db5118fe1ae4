/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmmouse.c - VMware's absolute pointer: words that a guest fetches through the backdoor.
 *
 * Document: Linux drivers/input/mouse/vmmouse.c, backdoor_def.h. The guest looks when its PS/2
 * mouse says something, so each event also has that one say nothing of importance. Modelled:
 * absolute and relative reports, the wheel, restriction to ring 0. Not modelled: several pointers.
 *
 * Threads: commands on vCPU threads, events on the loop; the queue is under the persona's lock.
 */
#include <string.h>

#include "personas/vmware/vmware.h"

enum {
    PACKET = 4, /* words: buttons, x, y, wheel */
    RELATIVE = 0x10000,
};

static unsigned count(const struct vmware_mouse *m)
{
    return m->put - m->got;
}

static void put(struct vmware_mouse *m, uint32_t word)
{
    m->word[m->put++ % VMMOUSE_WORDS] = word;
}

static uint32_t get(struct vmware_mouse *m)
{
    return m->word[m->got++ % VMMOUSE_WORDS];
}

/* --- events, on the loop --- */

static bool mouse_move(struct pointer *base, const struct pointer_event *ev)
{
    struct vmware *w = container_of(base, struct vmware, mouse.pointer);
    struct vmware_mouse *m = &w->mouse;
    uint32_t buttons = (ev->buttons & POINTER_LEFT ? VMMOUSE_LEFT : 0) |
                       (ev->buttons & POINTER_RIGHT ? VMMOUSE_RIGHT : 0) |
                       (ev->buttons & POINTER_MIDDLE ? VMMOUSE_MIDDLE : 0);
    bool room;

    pthread_mutex_lock(&w->lock);
    room = m->enabled && !m->lost && count(m) + PACKET <= VMMOUSE_WORDS;
    if (room) {
        put(m, buttons | (m->absolute ? 0 : RELATIVE));
        /* The hub's range has 15 bits, the guest's 16. */
        put(m, m->absolute ? (uint32_t)ev->x * 2 | ((uint32_t)ev->x >> 14 & 1) : (uint32_t)ev->x);
        put(m, m->absolute ? (uint32_t)ev->y * 2 | ((uint32_t)ev->y >> 14 & 1) : (uint32_t)-ev->y);
        put(m, (uint8_t)ev->wheel);
    }
    pthread_mutex_unlock(&w->lock);
    hub_pointer_wake(w->p.env.hub, base);
    return room;
}

/* Puts the pointer in front or takes it away, as the guest last said. */
void vmware_mouse_bind(struct task *t)
{
    struct vmware *w = container_of(t, struct vmware, bind_mouse);
    bool enabled, absolute;

    pthread_mutex_lock(&w->lock);
    enabled = w->mouse.enabled;
    absolute = w->mouse.absolute;
    pthread_mutex_unlock(&w->lock);
    if (w->mouse.bound)
        hub_pointer_gone(w->p.env.hub, &w->mouse.pointer);
    w->mouse.bound = enabled;
    w->mouse.pointer =
        (struct pointer){.name = "vmmouse", .absolute = absolute, .move = mouse_move};
    if (enabled)
        hub_pointer(w->p.env.hub, &w->mouse.pointer);
}

/* --- the guest's commands, under the persona's lock --- */

static void command(struct vmware *w, uint32_t what)
{
    struct vmware_mouse *m = &w->mouse;

    switch (what) {
    case VMMOUSE_CMD_ENABLE:
        m->enabled = true;
        m->lost = m->absolute = false;
        m->put = m->got = 0;
        put(m, VMMOUSE_VERSION_ID);
        break;
    case VMMOUSE_CMD_DISABLE:
        m->enabled = false;
        m->put = m->got = 0;
        break;
    case VMMOUSE_CMD_REQUEST_RELATIVE:
    case VMMOUSE_CMD_REQUEST_ABSOLUTE:
        m->absolute = what == VMMOUSE_CMD_REQUEST_ABSOLUTE;
        break;
    default:
        return;
    }
    loop_ask(w->p.env.dev.loop, &w->bind_mouse);
}

static void data(struct vmware_mouse *m, struct backdoor *b)
{
    uint32_t n = b->bx, word[PACKET] = {0};

    if (n == 0 || n > PACKET || n > count(m)) {
        m->lost = true;
        b->ax = VMMOUSE_ERROR;
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        word[i] = get(m);
    b->ax = word[0];
    b->bx = word[1];
    b->cx = word[2];
    b->dx = word[3];
}

void vmware_mouse_call(struct vmware *w, unsigned cpl, struct backdoor *b)
{
    struct vmware_mouse *m = &w->mouse;

    if (cpl != 0 && m->restricted == VMMOUSE_RESTRICT_CPL0) {
        b->ax = UINT32_MAX;
        return;
    }
    switch (b->cx & 0xffff) {
    case BDOOR_CMD_ISMOUSEABSOLUTE:
        b->ax = m->enabled && m->absolute;
        break;
    case BDOOR_CMD_ABSPOINTER_DATA:
        data(m, b);
        break;
    case BDOOR_CMD_ABSPOINTER_STATUS:
        b->ax = m->enabled ? m->lost ? VMMOUSE_ERROR : count(m) : 0;
        break;
    case BDOOR_CMD_ABSPOINTER_COMMAND:
        command(w, b->bx);
        b->ax = 0;
        break;
    default: /* BDOOR_CMD_ABSPOINTER_RESTRICT */
        m->restricted = b->bx;
        b->ax = 0;
    }
}

void vmware_mouse_reset(struct vmware *w)
{
    w->mouse.enabled = w->mouse.absolute = w->mouse.lost = false;
    w->mouse.restricted = 0;
    w->mouse.put = w->mouse.got = 0;
}

/* On the loop; the guest does not run. */
void vmware_mouse_gone(struct vmware *w)
{
    if (w->mouse.bound)
        hub_pointer_gone(w->p.env.hub, &w->mouse.pointer);
    w->mouse.bound = false;
}
