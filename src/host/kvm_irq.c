/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_irq.c - lines, messages and SINTs into KVM's interrupt controllers.
 *
 *   GSI 0..15   PIC and I/O APIC; ISA interrupt 0 arrives at I/O APIC pin 2, as the MADT says
 *   GSI 16..23  I/O APIC
 *   GSI 24..    one per SINT
 *
 * A line is shared by holders; the pin follows the first that raises and the last that lowers it.
 * A message goes to KVM as it stands, by KVM_SIGNAL_MSI: no route, no eventfd, and some 250
 * instructions less than a write to an irqfd, which nothing but hospes would write to. Threads:
 * any, except that line() with acked, SINTs and release() are for the loop's thread (or before it
 * runs).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/bell.h"
#include "host/kvm.h"

enum kvm_irq_kind { KVM_IRQ_LINE_HOLDER, KVM_IRQ_MESSAGE, KVM_IRQ_SINT };

struct kvm_irq {
    struct irq irq;
    struct kvm_host *h;
    enum kvm_irq_kind kind;
    unsigned gsi;
    bool up; /* lines */
    void (*acked)(void *arg);
    void *arg;
    struct kvm_irq *next; /* holders of a line */

    unsigned seq; /* messages: odd while what follows changes, under the host's lock */
    bool on;
    uint64_t addr;
    uint32_t data;

    int fd; /* SINTs: the irqfd, */
    bool attached;
    struct watch resample; /* and the end of message */
};

static struct kvm_host *kvm_irq_host(struct irqs *s)
{
    return container_of(s, struct kvm_host, irqs);
}

/* --- routing table; under h->lock --- */

static struct kvm_irq_routing_entry *kvm_irq_route(struct kvm_host *h, unsigned gsi)
{
    for (unsigned i = 0; i < h->routes->nr; i++) {
        if (h->routes->entries[i].gsi == gsi)
            return &h->routes->entries[i];
    }
    return NULL;
}

static struct kvm_irq_routing_entry *kvm_irq_route_new(struct kvm_host *h, unsigned gsi,
                                                       unsigned type)
{
    struct kvm_irq_routing_entry *r;

    if (h->routes->nr == h->routes_room) {
        size_t room = h->routes_room * 2;
        void *more = realloc(h->routes, sizeof(*h->routes) + room * sizeof(*r));

        if (!more)
            return NULL;
        h->routes = more;
        h->routes_room = room;
    }
    r = &h->routes->entries[h->routes->nr++];
    *r = (struct kvm_irq_routing_entry){.gsi = gsi, .type = type};
    return r;
}

static void kvm_irq_route_drop(struct kvm_host *h, struct kvm_irq_routing_entry *r)
{
    *r = h->routes->entries[--h->routes->nr];
}

static int kvm_irq_routes_commit(struct kvm_host *h)
{
    return ioctl(h->vm, KVM_SET_GSI_ROUTING, h->routes) < 0 ? -errno : 0;
}

static int kvm_irq_gsi_new(struct kvm_host *h, unsigned *out)
{
    for (unsigned gsi = KVM_LINES; gsi < KVM_GSI_MAX; gsi++) {
        if (h->gsi_used[gsi / 64] >> (gsi % 64) & 1)
            continue;
        h->gsi_used[gsi / 64] |= UINT64_C(1) << (gsi % 64);
        *out = gsi;
        return 0;
    }
    return -ENOSPC;
}

/* --- lines --- */

static void kvm_irq_line_set(struct irq *base, bool up)
{
    struct kvm_irq *i = container_of(base, struct kvm_irq, irq);
    struct kvm_host *h = i->h;
    struct kvm_line *line = &h->line[i->gsi];
    struct kvm_irq_level level = {.irq = i->gsi, .level = up};

    pthread_mutex_lock(&h->lock);
    if (i->up != up) {
        i->up = up;
        line->up += up ? 1 : -1;
        if (line->up == (up ? 1 : 0))
            (void)ioctl(h->vm, KVM_IRQ_LINE, &level);
    }
    pthread_mutex_unlock(&h->lock);
}

static void kvm_irq_line_acked(struct watch *w, uint32_t got)
{
    struct kvm_line *line = container_of(w, struct kvm_line, resample);

    bell_take(w->fd);
    for (struct kvm_irq *i = line->holder, *next; i; i = next) {
        next = i->next;
        if (i->acked)
            i->acked(i->arg);
    }
}

static int kvm_irq_attach(struct kvm_host *h, unsigned gsi, int fd, int resample)
{
    struct kvm_irqfd f = {.fd = (uint32_t)fd, .gsi = gsi};

    if (resample >= 0) {
        f.flags = KVM_IRQFD_FLAG_RESAMPLE;
        f.resamplefd = (uint32_t)resample;
    }
    return ioctl(h->vm, KVM_IRQFD, &f) < 0 ? -errno : 0;
}

static void kvm_irq_detach(struct kvm_host *h, unsigned gsi, int fd)
{
    struct kvm_irqfd f = {.fd = (uint32_t)fd, .gsi = gsi, .flags = KVM_IRQFD_FLAG_DEASSIGN};

    (void)ioctl(h->vm, KVM_IRQFD, &f);
}

/* KVM tells of EOIs through a resampling irqfd; its trigger side stays unused. */
static int kvm_irq_line_resample(struct kvm_host *h, unsigned gsi, struct err *e)
{
    struct kvm_line *line = &h->line[gsi];
    int rc = 0;

    if (line->resample.fd >= 0)
        return 0;
    line->trigger = bell_make();
    line->resample.fd = bell_make();
    line->resample.want = EPOLLIN;
    line->resample.ready = kvm_irq_line_acked;
    if (line->trigger < 0 || line->resample.fd < 0)
        rc = -errno;
    if (rc == 0)
        rc = kvm_irq_attach(h, gsi, line->trigger, line->resample.fd);
    if (rc == 0)
        rc = loop_watch(h->loop, &line->resample);
    if (rc < 0)
        return err_exit(e, EX_NO_HOST, -rc, "KVM does not report the end of interrupt %u: %s", gsi,
                        strerror(-rc));
    return 0;
}

static int kvm_irq_line(struct irqs *s, unsigned gsi, void (*acked)(void *arg), void *arg,
                        struct irq **out, struct err *e)
{
    struct kvm_host *h = kvm_irq_host(s);
    struct kvm_irq *i;
    int rc;

    if (gsi >= KVM_LINES)
        return err_set(e, EINVAL, "there is no interrupt line %u", gsi);
    if (acked) {
        rc = kvm_irq_line_resample(h, gsi, e);
        if (rc < 0)
            return rc;
    }
    i = calloc(1, sizeof(*i));
    if (!i)
        return err_set(e, ENOMEM, "no memory for an interrupt line");
    *i = (struct kvm_irq){
        .irq = {kvm_irq_line_set},
        .h = h,
        .kind = KVM_IRQ_LINE_HOLDER,
        .gsi = gsi,
        .acked = acked,
        .arg = arg,
        .fd = -1,
        .resample = {.fd = -1},
    };
    pthread_mutex_lock(&h->lock);
    i->next = h->line[gsi].holder;
    h->line[gsi].holder = i;
    pthread_mutex_unlock(&h->lock);
    *out = &i->irq;
    return 0;
}

/* --- messages --- */

/* What the message is now; the guest may move it at any time. */
static bool kvm_irq_msi_now(const struct kvm_irq *i, struct kvm_msi *msi)
{
    unsigned seq;
    bool on;

    do {
        uint64_t addr;

        seq = __atomic_load_n(&i->seq, __ATOMIC_ACQUIRE);
        on = READ_ONCE(i->on);
        addr = READ_ONCE(i->addr);
        msi->address_lo = (uint32_t)addr;
        msi->address_hi = (uint32_t)(addr >> 32);
        msi->data = READ_ONCE(i->data);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (seq & 1 || seq != READ_ONCE(i->seq));
    return on;
}

static void kvm_irq_msi_set(struct irq *base, bool up)
{
    struct kvm_irq *i = container_of(base, struct kvm_irq, irq);
    struct kvm_msi msi = {.flags = 0};

    /* KVM refuses what means nothing as a message: the guest's loss. */
    if (up && kvm_irq_msi_now(i, &msi))
        (void)ioctl(i->h->vm, KVM_SIGNAL_MSI, &msi);
}

static int kvm_irq_msi(struct irqs *s, struct irq **out, struct err *e)
{
    struct kvm_irq *i = calloc(1, sizeof(*i));

    if (!i)
        return err_set(e, ENOMEM, "no memory for an interrupt");
    i->irq.set = kvm_irq_msi_set;
    i->h = kvm_irq_host(s);
    i->kind = KVM_IRQ_MESSAGE;
    i->fd = i->resample.fd = -1;
    *out = &i->irq;
    return 0;
}

static void kvm_irq_msi_route(struct irqs *s, struct irq *base, bool on, uint64_t addr,
                              uint32_t data)
{
    struct kvm_irq *i = container_of(base, struct kvm_irq, irq);
    struct kvm_host *h = kvm_irq_host(s);

    pthread_mutex_lock(&h->lock);
    WRITE_ONCE(i->seq, i->seq + 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    WRITE_ONCE(i->on, on);
    WRITE_ONCE(i->addr, addr);
    WRITE_ONCE(i->data, data);
    __atomic_store_n(&i->seq, i->seq + 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&h->lock);
}

/* --- Hyper-V --- */

static void kvm_irq_sint_set(struct irq *base, bool up)
{
    struct kvm_irq *i = container_of(base, struct kvm_irq, irq);

    if (up)
        bell_ring(i->fd);
}

static int kvm_irq_sint_new(struct kvm_host *h, struct kvm_irq **out, struct err *e)
{
    struct kvm_irq *i = calloc(1, sizeof(*i));
    int rc;

    if (!i)
        return err_set(e, ENOMEM, "no memory for an interrupt");
    i->irq.set = kvm_irq_sint_set;
    i->h = h;
    i->kind = KVM_IRQ_SINT;
    i->resample.fd = -1;
    i->fd = bell_make();
    if (i->fd < 0) {
        rc = err_exit(e, EX_NO_HOST, errno, "cannot make an eventfd for an interrupt: %s",
                      strerror(errno));
        free(i);
        return rc;
    }
    pthread_mutex_lock(&h->lock);
    rc = kvm_irq_gsi_new(h, &i->gsi);
    pthread_mutex_unlock(&h->lock);
    if (rc < 0) {
        close(i->fd);
        free(i);
        return err_exit(e, EX_NO_HOST, -rc, "KVM has no interrupt routes left");
    }
    *out = i;
    return 0;
}

static void kvm_irq_sint_eom(struct watch *w, uint32_t got)
{
    struct kvm_irq *i = container_of(w, struct kvm_irq, resample);

    bell_take(w->fd);
    i->acked(i->arg);
}

static void kvm_irq_release(struct irqs *s, struct irq *base);

static int kvm_irq_sint_route(struct kvm_host *h, struct kvm_irq *i, unsigned vp, unsigned sint)
{
    struct kvm_irq_routing_entry *r;
    int rc = -ENOMEM;

    pthread_mutex_lock(&h->lock);
    r = kvm_irq_route_new(h, i->gsi, KVM_IRQ_ROUTING_HV_SINT);
    if (r) {
        r->u.hv_sint.vcpu = vp;
        r->u.hv_sint.sint = sint;
        rc = kvm_irq_routes_commit(h);
    }
    pthread_mutex_unlock(&h->lock);
    return rc;
}

int kvm_irq_sint(struct host *base, unsigned vp, unsigned sint, void (*eom)(void *arg), void *arg,
                 struct irq **out, struct err *e)
{
    struct kvm_host *h = kvm_host_of(base);
    struct kvm_irq *i = NULL;
    int rc = kvm_irq_sint_new(h, &i, e);

    if (rc < 0)
        return rc;
    i->acked = eom;
    i->arg = arg;
    rc = kvm_irq_sint_route(h, i, vp, sint);
    if (rc == 0 && eom) {
        i->resample.fd = bell_make();
        i->resample.want = EPOLLIN;
        i->resample.ready = kvm_irq_sint_eom;
        rc = i->resample.fd < 0 ? -errno : loop_watch(h->loop, &i->resample);
    }
    if (rc == 0)
        rc = kvm_irq_attach(h, i->gsi, i->fd, i->resample.fd);
    if (rc < 0) {
        kvm_irq_release(&h->irqs, &i->irq);
        return err_exit(e, EX_NO_HOST, -rc, "KVM refuses SINT %u of processor %u: %s", sint, vp,
                        strerror(-rc));
    }
    i->attached = true;
    *out = &i->irq;
    return 0;
}

int kvm_irq_signal(struct host *base, uint32_t conn_id, int fd)
{
    struct kvm_host *h = kvm_host_of(base);
    struct kvm_hyperv_eventfd ev = {.conn_id = conn_id, .fd = fd};

    if (fd < 0)
        ev.flags = KVM_HYPERV_EVENTFD_DEASSIGN;
    return ioctl(h->vm, KVM_HYPERV_EVENTFD, &ev) < 0 ? -errno : 0;
}

int kvm_irq_msi_send(struct host *base, uint64_t addr, uint32_t data)
{
    struct kvm_msi msi = {
        .address_lo = (uint32_t)addr,
        .address_hi = (uint32_t)(addr >> 32),
        .data = data,
    };
    int rc = ioctl(kvm_host_of(base)->vm, KVM_SIGNAL_MSI, &msi);

    return rc < 0 ? -errno : rc > 0;
}

/* --- life --- */

static void kvm_irq_unlink(struct kvm_host *h, struct kvm_irq *i)
{
    struct kvm_irq **at = &h->line[i->gsi].holder;

    while (*at != i)
        at = &(*at)->next;
    *at = i->next;
}

static void kvm_irq_sint_drop(struct kvm_host *h, struct kvm_irq *i)
{
    struct kvm_irq_routing_entry *r = kvm_irq_route(h, i->gsi);

    if (i->attached)
        kvm_irq_detach(h, i->gsi, i->fd);
    if (r) {
        kvm_irq_route_drop(h, r);
        (void)kvm_irq_routes_commit(h);
    }
    h->gsi_used[i->gsi / 64] &= ~(UINT64_C(1) << (i->gsi % 64));
    close(i->fd);
}

static void kvm_irq_release(struct irqs *s, struct irq *base)
{
    struct kvm_irq *i = container_of(base, struct kvm_irq, irq);
    struct kvm_host *h = kvm_irq_host(s);

    if (i->kind == KVM_IRQ_LINE_HOLDER)
        kvm_irq_line_set(base, false);
    if (i->resample.fd >= 0) {
        loop_unwatch(h->loop, &i->resample);
        close(i->resample.fd);
    }
    pthread_mutex_lock(&h->lock);
    if (i->kind == KVM_IRQ_LINE_HOLDER)
        kvm_irq_unlink(h, i);
    else if (i->kind == KVM_IRQ_SINT)
        kvm_irq_sint_drop(h, i);
    pthread_mutex_unlock(&h->lock);
    free(i);
}

static const struct irqs_ops kvm_irq_ops = {
    .line = kvm_irq_line,
    .msi = kvm_irq_msi,
    .msi_route = kvm_irq_msi_route,
    .release = kvm_irq_release,
};

static void kvm_irq_pin(struct kvm_host *h, unsigned gsi, unsigned chip, unsigned pin)
{
    struct kvm_irq_routing_entry *r = kvm_irq_route_new(h, gsi, KVM_IRQ_ROUTING_IRQCHIP);

    if (!r)
        return;
    r->u.irqchip.irqchip = chip;
    r->u.irqchip.pin = pin;
}

int kvm_irq_open(struct kvm_host *h, struct err *e)
{
    int rc;

    h->irqs.ops = &kvm_irq_ops;
    pthread_mutex_init(&h->lock, NULL);
    for (unsigned gsi = 0; gsi < KVM_LINES; gsi++)
        h->line[gsi] = (struct kvm_line){.resample = {.fd = -1}, .trigger = -1, .h = h};
    h->routes_room = 64; /* the lines below need 39 */
    h->routes = calloc(1, sizeof(*h->routes) + h->routes_room * sizeof(h->routes->entries[0]));
    if (!h->routes)
        return err_set(e, ENOMEM, "no memory for interrupt routes");
    for (unsigned gsi = 0; gsi < KVM_LINES; gsi++) {
        if (gsi < 8 && gsi != 2)
            kvm_irq_pin(h, gsi, KVM_IRQCHIP_PIC_MASTER, gsi);
        else if (gsi >= 8 && gsi < 16)
            kvm_irq_pin(h, gsi, KVM_IRQCHIP_PIC_SLAVE, gsi - 8);
        if (gsi != 2)
            kvm_irq_pin(h, gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi);
    }
    rc = kvm_irq_routes_commit(h);
    if (rc < 0)
        return err_exit(e, EX_NO_HOST, -rc, "KVM refuses the interrupt routes: %s", strerror(-rc));
    return 0;
}

void kvm_irq_close(struct kvm_host *h)
{
    if (!h->routes)
        return;
    for (unsigned gsi = 0; gsi < KVM_LINES; gsi++) {
        struct kvm_line *line = &h->line[gsi];

        if (line->resample.fd < 0)
            continue;
        loop_unwatch(h->loop, &line->resample);
        close(line->resample.fd);
        close(line->trigger);
    }
    free(h->routes);
    h->routes = NULL;
    pthread_mutex_destroy(&h->lock);
}
