/* SPDX-License-Identifier: Apache-2.0 */
/* xenbus.c - see xenbus.h; the states are those of Xen public/io/xenbus.h. */
#include "personas/xen/xenbus.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "personas/xen/xs_tree.h"

enum { KEY_MAX = 160 };

static void key_of(char out[KEY_MAX], const char *dir, const char *key)
{
    snprintf(out, KEY_MAX, "%s/%s", dir, key);
}

uint64_t xenbus_read(struct xenbus_dev *d, const char *key, uint64_t otherwise)
{
    char path[KEY_MAX];

    key_of(path, d->front, key);
    return xs_get_u64(d->x->store, path, otherwise);
}

bool xenbus_read_text(struct xenbus_dev *d, const char *key, char *buf, size_t size)
{
    char path[KEY_MAX];

    key_of(path, d->front, key);
    return xs_get(d->x->store, path, buf, size) == 0;
}

void xenbus_write(struct xenbus_dev *d, const char *key, const char *fmt, ...)
{
    char path[KEY_MAX], value[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    key_of(path, d->back, key);
    (void)xs_put(d->x->store, path, "%s", value);
}

void xenbus_again(struct xenbus_dev *d)
{
    if (d->state == XenbusStateConnected)
        xenbus_write(d, "state", "%u", d->state);
}

void xenbus_set_state(struct xenbus_dev *d, enum xenbus_state state)
{
    if (d->state == state)
        return;
    d->state = state;
    xenbus_write(d, "state", "%u", state);
}

static void forget(struct xenbus_dev *d)
{
    struct xenbus_dev **at = &d->x->devices;

    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    xs_unwatch(d->x->store, d->watch);
    (void)xs_rm(d->x->store, d->front);
    (void)xs_rm(d->x->store, d->back);
    d->ops->destroy(d);
}

static void try_connect(struct xenbus_dev *d)
{
    if (d->ops->connect(d) == 0) {
        xenbus_set_state(d, XenbusStateConnected);
        return;
    }
    d->ops->disconnect(d);
    xenbus_set_state(d, XenbusStateClosing);
}

/* The front end's state changed, or something else of its: every combination has an answer. */
static void front_changed(void *arg, const char *path)
{
    struct xenbus_dev *d = arg;
    uint64_t state = xenbus_read(d, "state", XenbusStateUnknown);

    (void)path;
    switch (state) {
    case XenbusStateInitialising:
        if (d->state != XenbusStateInitWait && !d->gone) { /* a new driver on an old device */
            d->ops->disconnect(d);
            d->ops->offer(d);
            xenbus_set_state(d, XenbusStateInitWait);
        }
        break;
    case XenbusStateInitialised:
    case XenbusStateConnected:
        if (d->state == XenbusStateInitWait)
            try_connect(d);
        break;
    case XenbusStateClosing:
        d->ops->disconnect(d);
        xenbus_set_state(d, XenbusStateClosing);
        break;
    case XenbusStateClosed:
    case XenbusStateUnknown:
        d->ops->disconnect(d);
        xenbus_set_state(d, XenbusStateClosed);
        if (d->gone)
            forget(d);
        break;
    default:
        break;
    }
}

/* Directories as the toolstack makes them: the guest owns its half and may read ours. */
static int make_directories(struct xenbus_dev *d)
{
    struct xenstore *s = d->x->store;
    char path[KEY_MAX];
    int rc = xs_put(s, d->front, "%s", "");

    if (rc == 0)
        rc = xs_guest_may(s, d->front, true, 0);
    if (rc == 0)
        rc = xs_put(s, d->back, "%s", "");
    if (rc == 0)
        rc = xs_guest_may(s, d->back, false, XS_PERM_READ);
    if (rc < 0)
        return rc;
    xenbus_write(d, "frontend", "%s", d->front);
    xenbus_write(d, "frontend-id", "%u", XS_GUEST);
    xenbus_write(d, "online", "1");
    key_of(path, d->front, "backend");
    (void)xs_put(s, path, "%s", d->back);
    key_of(path, d->front, "backend-id");
    (void)xs_put(s, path, "0");
    key_of(path, d->front, "state");
    return xs_put(s, path, "%u", XenbusStateInitialising);
}

int xenbus_add(struct xen *x, struct xenbus_dev *d, unsigned id, struct err *e)
{
    d->x = x;
    d->id = id;
    snprintf(d->front, sizeof(d->front), "/local/domain/%u/device/%s/%u", (unsigned)XS_GUEST,
             d->ops->class, id);
    snprintf(d->back, sizeof(d->back), "/local/domain/0/backend/%s/%u/%u", d->ops->class,
             (unsigned)XS_GUEST, id);
    if (make_directories(d) < 0)
        return err_set(e, ENOMEM, "no memory for the xenstore keys of %s %u", d->ops->class, id);
    d->ops->offer(d);
    xenbus_set_state(d, XenbusStateInitWait);
    d->watch = xs_watch(x->store, d->front, front_changed, d);
    if (!d->watch)
        return err_set(e, ENOMEM, "no memory to watch %s %u", d->ops->class, id);
    d->next = x->devices;
    x->devices = d;
    return 0;
}

void xenbus_remove(struct xenbus_dev *d)
{
    d->gone = true;
    xenbus_write(d, "online", "0");
    if (d->state == XenbusStateConnected)
        xenbus_set_state(d, XenbusStateClosing);
    else
        forget(d);
}

void xenbus_reset(struct xen *x)
{
    for (struct xenbus_dev *d = x->devices; d; d = d->next)
        d->ops->disconnect(d);
    for (struct xenbus_dev *d = x->devices; d; d = d->next) {
        if (d->ops->drain)
            d->ops->drain(d);
        (void)xs_rm(x->store, d->front);
        (void)make_directories(d);
        d->state = XenbusStateUnknown;
        d->ops->offer(d);
        xenbus_set_state(d, XenbusStateInitWait);
    }
}

void xenbus_destroy(struct xen *x)
{
    while (x->devices) {
        x->devices->ops->disconnect(x->devices);
        forget(x->devices);
    }
}

struct xenbus_dev *xenbus_first(struct xen *x)
{
    return x->devices;
}
