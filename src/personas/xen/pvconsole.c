/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvconsole.c - the console ring that the domain builder hands over: hvc0 in a Linux guest.
 *
 * Document: Xen public/io/console.h. With a console of its own (persona option hvc) it is read and
 * written; else its output joins the serial console's, and what is typed stays the serial port's.
 * Threads: the loop's; an event of the guest's signals an eventfd.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "console/console.h"
#include "core/bell.h"
#include "core/cfg.h"
#include "core/err.h"
#include "core/gmem.h"
#include "personas/xen/xen.h"

enum { PAGE = 4096, IN = 0, IN_SIZE = 1024, OUT = 1024, OUT_SIZE = 2048 };
enum { IN_CONS = 3072, IN_PROD = 3076, OUT_CONS = 3080, OUT_PROD = 3084 };

static uint8_t *ring(const struct xen *x)
{
    return (uint8_t *)x->special + (size_t)(XEN_CONSOLE_PFN - XEN_SPECIAL_PFN) * PAGE;
}

/* A producer outside the ring loses what it wrote and no more. */
static void drain(struct xen *x)
{
    uint8_t *r = ring(x), buf[OUT_SIZE];
    uint32_t cons = shared_load32(r + OUT_CONS), prod = shared_load32(r + OUT_PROD);
    uint32_t n = prod - cons;

    if (n > OUT_SIZE)
        n = 0;
    for (uint32_t i = 0; i < n; i++)
        buf[i] = shared_load8(r + OUT + (cons + i) % OUT_SIZE);
    if (cons == prod)
        return;
    shared_store32(r + OUT_CONS, prod);
    evtchn_notify_service(x->ev, EVTCHN_CONSOLE);
    if (x->hvc && n)
        console_write(x->hvc, buf, n);
}

/* console_take_fn */
static size_t typed(void *arg, const uint8_t *p, size_t len)
{
    struct xen *x = arg;
    uint8_t *r = ring(x);
    uint32_t cons = shared_load32(r + IN_CONS), prod = shared_load32(r + IN_PROD);
    uint32_t room = prod - cons > IN_SIZE ? 0 : IN_SIZE - (prod - cons);
    size_t n = (size_t)min_u64(len, room);

    for (size_t i = 0; i < n; i++)
        shared_store8(r + IN + (prod + i) % IN_SIZE, p[i]);
    if (n) {
        shared_store32(r + IN_PROD, prod + (uint32_t)n);
        evtchn_notify_service(x->ev, EVTCHN_CONSOLE);
    }
    return n;
}

static void kicked(struct watch *w, uint32_t got)
{
    struct xen *x = container_of(w, struct xen, hvc_kick);

    (void)got;
    bell_take(w->fd);
    drain(x);
    if (x->hvc_own)
        console_more(x->hvc);
}

static void sent(void *arg)
{
    struct xen *x = arg;

    bell_ring(x->hvc_kick.fd);
}

unsigned xen_console_serve(struct xen *x)
{
    memset(ring(x), 0, PAGE);
    return evtchn_serve(x->ev, EVTCHN_CONSOLE, sent, x, x->hvc_kick.fd);
}

int xen_console_create(struct xen *x, struct err *e)
{
    const char *where = x->p.env.opts ? cfg_get(x->p.env.opts, "hvc") : NULL;
    struct loop *l = x->p.env.dev.loop;
    int rc;

    x->hvc = x->p.env.console;
    x->hvc_kick = (struct watch){.want = EPOLLIN, .ready = kicked};
    x->hvc_kick.fd = bell_make();
    if (x->hvc_kick.fd < 0)
        return err_set(e, errno, "cannot make an eventfd for the console: %s", strerror(errno));
    rc = loop_watch(l, &x->hvc_kick);
    if (rc < 0)
        return err_set(e, -rc, "cannot watch the console's doorbell: %s", strerror(-rc));
    if (!where)
        return 0;
    rc = console_open(where, l, &x->hvc, e);
    if (rc < 0)
        return rc;
    x->hvc_own = true;
    console_listen(x->hvc, typed, x);
    return 0;
}

void xen_console_destroy(struct xen *x)
{
    if (x->hvc_own) {
        console_listen(x->hvc, NULL, NULL);
        console_close(x->hvc);
    }
    if (x->hvc_kick.fd < 0)
        return;
    if (x->hvc_kick.loop)
        loop_unwatch(x->p.env.dev.loop, &x->hvc_kick);
    close(x->hvc_kick.fd);
}
