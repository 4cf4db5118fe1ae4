/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persona.c - `xen`: an HVM or PVH guest finds CPUID leaves, hypercalls, event channels, grants,
 * xenstore and the back ends behind it.
 *
 * Documents: Xen public headers, docs/guest-guide. Hypercalls come from KVM where it knows Xen
 * (CONFIG_KVM_XEN), and by stub.c where it does not.
 *
 * Options: portable (do as if KVM knew nothing of Xen), upcall-vector=off (guests shall take their
 * events by one vector for all or by a level, as before Xen 4.13), device-id (of the platform
 * device, 1 or 2), vfb=on|off (Xen's frame buffer; by default for guests that no firmware starts),
 * hvc=CONSOLE (the console ring on stdio, pty, file=, unix=; without it, its output joins the
 * serial console's).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "abi/xenstore.h"
#include "board/legacy/ide.h"
#include "board/smbios.h"
#include "core/bell.h"
#include "core/cfg.h"
#include "core/err.h"
#include "core/gmem.h"
#include "net/netif.h"
#include "personas/poll.h"
#include "personas/xen/platform.h"
#include "personas/xen/vbd.h"
#include "personas/xen/vfb.h"
#include "personas/xen/vif.h"
#include "personas/xen/xen.h"
#include "personas/xen/xenbus.h"
#include "personas/xen/xs_tree.h"

#include <xen/arch-x86/cpuid.h>
#include <xen/hvm/params.h>

extern const struct persona_ops persona_xen;

/* IDE_HEADS: disks that are shown by emulated IDE, too, while one unit stays free for a CD. */
enum { IDE_HEADS = 3, PAGE = 4096, XEN_VERSION = 4 << 16 | 17 };

/* --- the store and its ring --- */

static void store_sent(void *arg)
{
    struct xen *x = arg;

    bell_ring(x->store_kick.fd);
}

static void store_kicked(struct watch *w, uint32_t got)
{
    struct xen *x = container_of(w, struct xen, store_kick);

    (void)got;
    bell_take(w->fd);
    xs_ring_kick(x->ring);
}

static void store_notify(void *arg)
{
    struct xen *x = arg;

    evtchn_notify_service(x->ev, EVTCHN_STORE);
}

/* Ports and parameters that a domain builder would hand over. */
static void hand_over(struct xen *x)
{
    memset(x->param, 0, sizeof(x->param));
    grant_reserve(x->gr, GRANT_RESERVED_XENSTORE, XEN_STORE_PFN);
    grant_reserve(x->gr, GRANT_RESERVED_CONSOLE, XEN_CONSOLE_PFN);
    x->param[HVM_PARAM_STORE_PFN] = XEN_STORE_PFN;
    x->param[HVM_PARAM_STORE_EVTCHN] =
        evtchn_serve(x->ev, EVTCHN_STORE, store_sent, x, x->store_kick.fd);
    x->param[HVM_PARAM_CONSOLE_PFN] = XEN_CONSOLE_PFN;
    x->param[HVM_PARAM_CONSOLE_EVTCHN] = xen_console_serve(x);
}

/* --- life --- */

struct poller *xen_poller(struct xen *x)
{
    if (x->polls && !x->poller)
        x->poller = poller_create(x->p.env.dev.loop);
    return x->poller;
}

static int make_store(struct xen *x, struct err *e)
{
    struct loop *l = x->p.env.dev.loop;
    int rc = xenstore_create(&x->store, e);

    if (rc < 0)
        return rc;
    x->store_kick = (struct watch){.want = EPOLLIN, .ready = store_kicked};
    x->store_kick.fd = bell_make();
    if (x->store_kick.fd < 0)
        return err_set(e, errno, "cannot make an eventfd for xenstore: %s", strerror(errno));
    rc = loop_watch(l, &x->store_kick);
    if (rc < 0)
        return err_set(e, -rc, "cannot watch xenstore's doorbell: %s", strerror(-rc));
    return xs_ring_create(
        x->store, l,
        (struct xenstore_domain_interface *)((uint8_t *)x->special +
                                             (XEN_STORE_PFN - XEN_SPECIAL_PFN) * PAGE),
        store_notify, x, &x->ring, e);
}

static void xen_destroy(struct persona *p)
{
    struct xen *x = xen_of(p);

    for (unsigned i = 0; i < IDE_UNITS; i++) {
        if (x->ide_disks >> i & 1)
            ide_detach(x->ide, i); /* before the back end closes the disk that both show */
    }
    if (x->store)
        xenbus_destroy(x);
    poller_destroy(x->poller);
    xen_dogs_reset(x);
    xen_deliver_reset(x);
    xen_timers_destroy(x);
    xs_ring_destroy(x->ring);
    xenstore_destroy(x->store);
    if (x->store_kick.fd >= 0) {
        loop_unwatch(p->env.dev.loop, &x->store_kick);
        close(x->store_kick.fd);
    }
    xen_console_destroy(x);
    evtchn_destroy(x->ev);
    grant_destroy(x->gr);
    xen_pages_free(x);
    pthread_mutex_destroy(&x->lock);
    free(x->out_pages);
    free(x);
}

/* The emulated disks go; CD-ROM drives stay, as with Xen's device model. */
static void unplug(void *arg, unsigned bits)
{
    struct xen *x = arg;

    if (x->ide && (bits & (XEN_UNPLUG_IDE_DISKS | XEN_UNPLUG_AUX_IDE_DISKS)))
        ide_hide(x->ide, bits & XEN_UNPLUG_IDE_DISKS ? 0xf : 0xe);
}

static int read_options(struct xen *x, struct err *e)
{
    const struct persona_env *env = &x->p.env;
    const char *vectors = env->opts ? cfg_get(env->opts, "upcall-vector") : NULL;
    const char *vfb = env->opts ? cfg_get(env->opts, "vfb") : NULL;
    bool portable = env->opts && cfg_flag(env->opts, "portable");

    if ((vectors && strcmp(vectors, "on") != 0 && strcmp(vectors, "off") != 0) ||
        (vfb && strcmp(vfb, "on") != 0 && strcmp(vfb, "off") != 0))
        return err_exit(e, EX_USAGE_, EINVAL, "upcall-vector= and vfb= are on or off");
    x->kernel_hcalls = env->host->ops->caps(env->host) & HOST_CAP_XEN_HCALL && !portable;
    x->kernel_events = x->kernel_hcalls && env->host->ops->xen &&
                       env->host->ops->caps(env->host) & HOST_CAP_XEN_EVTCHN;
    /* Without them guests choose the older ways. */
    x->no_vectors = vectors && strcmp(vectors, "off") == 0;
    /* A guest that firmware starts has a VGA, and would take this for a second screen. */
    x->vfb = vfb ? strcmp(vfb, "on") == 0 : !env->firmware;
    return 0;
}

static int set_up(struct xen *x, struct err *e)
{
    const struct persona_env *env = &x->p.env;
    int rc = read_options(x, e);

    if (rc == 0)
        rc = evtchn_create(env->dev.mem, env->cpus, xen_deliver, x, &x->ev, e);
    if (rc == 0 && x->kernel_events)
        evtchn_use_kernel(x->ev, env->host);
    xen_kernel_reset(x);
    if (rc == 0)
        rc = grant_create(env->dev.mem, &x->gr, e);
    if (rc == 0)
        rc = xen_special_pages(x, e);
    if (rc == 0)
        rc = make_store(x, e);
    if (rc == 0)
        rc = xen_timers_create(x, e);
    if (rc == 0)
        rc = xen_stub_init(x, e);
    if (rc == 0)
        rc = xen_console_create(x, e);
    if (rc == 0 && env->dev.pci)
        rc = xen_platform_add(&env->dev, env->opts, unplug, x, &x->platform, e);
    if (rc == 0) {
        hand_over(x);
        xen_domain_fill(x);
    }
    return rc;
}

static int xen_create(const struct persona_env *env, struct persona **out, struct err *e)
{
    struct xen *x = calloc(1, sizeof(*x));
    int rc;

    if (!x)
        return err_set(e, ENOMEM, "no memory for the persona");
    x->p.ops = &persona_xen;
    x->p.env = *env;
    x->polls = true;
    x->store_kick.fd = -1;
    x->hvc_kick.fd = -1;
    xen_deliver_init(x);
    xen_dogs_init(x);
    pthread_mutex_init(&x->lock, NULL);
    rc = set_up(x, e);
    if (rc < 0) {
        xen_destroy(&x->p);
        return rc;
    }
    *out = &x->p;
    return 0;
}

/* Also for a kernel that is started by another one: it finds channels closed, an empty store ring
 * and back ends that wait. With all vCPUs at rest. */
static void xen_reset(struct persona *p)
{
    struct xen *x = xen_of(p);

    xen_dogs_reset(x);
    x->crashed = false;
    xen_timers_reset(x);
    xen_clocks_reset(x);
    xen_deliver_reset(x);
    evtchn_reset(x->ev);
    xen_kernel_reset(x);
    grant_reset(x->gr);
    xs_ring_reset(x->ring);
    x->shared_at = 0;
    x->patched = 0;
    free(x->out_pages);
    x->out_pages = NULL;
    x->out_count = 0;
    x->asked = false;
    hand_over(x);
    xen_domain_fill(x);
    xenbus_reset(x);
    xenstore_run(x->store);
}

static void xen_host_needs(struct cfg *opts, struct host_cfg *c)
{
    c->xen_hcall = !(opts && cfg_flag(opts, "portable"));
    c->pv_clock = true;
    c->sync_sregs = true;
}

/* --- CPUID --- */

static size_t xen_cpuid(struct persona *p, unsigned cpu, struct cpuid_leaf *leaf, size_t n,
                        size_t max)
{
    uint64_t khz = p->env.host->ops->tsc_khz(p->env.host);
    const struct cpuid_leaf add[] = {
        {.fn = 0x40000000,
         .eax = 0x40000004,
         .ebx = XEN_CPUID_SIGNATURE_EBX,
         .ecx = XEN_CPUID_SIGNATURE_ECX,
         .edx = XEN_CPUID_SIGNATURE_EDX},
        {.fn = 0x40000001, .eax = XEN_VERSION},
        {.fn = 0x40000002, .eax = 1, .ebx = XEN_HCALL_MSR},
        {.fn = 0x40000003, .indexed = true, .index = 0, .ecx = (uint32_t)khz},
        {.fn = 0x40000003, .indexed = true, .index = 1},
        {.fn = 0x40000003, .indexed = true, .index = 2, .eax = (uint32_t)khz},
        {.fn = 0x40000004,
         .indexed = true,
         .index = 0,
         .eax = XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT |
                (xen_of(p)->no_vectors ? 0 : XEN_HVM_CPUID_UPCALL_VECTOR),
         .ebx = cpu,
         .ecx = XS_GUEST},
    };

    for (size_t i = 0; i < ARRAY_SIZE(add) && n < max; i++)
        leaf[n++] = add[i];
    return n;
}

static int xen_vcpu_ready(struct persona *p, struct vcpu *v, struct err *e)
{
    (void)e;
    xen_of(p)->vcpu[v->index].v = v;
    return 0;
}

static void xen_attend(struct persona *p, struct vcpu *v)
{
    xen_kernel_attend(xen_of(p), v);
}

static enum verdict xen_hcall(struct persona *p, struct vcpu *v, struct hcall *h)
{
    if (h->kind != HCALL_XEN || h->nr > UINT32_MAX)
        return VERDICT_NOT_MINE;
    h->result = h->cpl
                    ? (uint64_t)-EPERM
                    : (uint64_t)xen_hypercall(xen_of(p), v, h->longmode, (unsigned)h->nr, h->args);
    return VERDICT_DONE;
}

/* --- devices --- */

/* The emulated face of a back end's disk, which firmware starts it by. */
static int add_ide(struct xen *x, const struct disk_spec *s, struct err *e)
{
    struct ide_unit_cfg c = {.disk = s->disk,
                             .borrowed = !s->cdrom,
                             .cdrom = s->cdrom,
                             .serial = s->serial,
                             .id = s->id};
    int unit = ide_add(&x->p.env.dev, &x->ide, &c, e);

    if (unit >= 0 && !s->cdrom)
        x->ide_disks |= 1u << unit;
    return unit < 0 ? unit : 0;
}

static int xen_add_disk(struct persona *p, const struct disk_spec *s, struct err *e)
{
    struct xen *x = xen_of(p);
    int rc;

    if (s->cdrom && !s->bus && x->p.env.dev.pci)
        return add_ide(x, s, e);
    if (s->bus && strcmp(s->bus, "xvd") != 0 && strcmp(s->bus, "vbd") != 0)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "the xen persona has no %s bus for %s; leave bus= out or use bus=xvd",
                        s->bus, s->id);
    rc = vbd_add(x, s, x->disks++, e);
    return rc == 0 && p->env.firmware && x->disks <= IDE_HEADS ? add_ide(x, s, e) : rc;
}

static bool xen_grew(struct persona *p, const struct disk *disk)
{
    struct xen *x = xen_of(p);

    return vbd_grew(x, disk) || ide_disc_changed(x->ide, disk);
}

static int xen_add_nic(struct persona *p, const struct nic_spec *s, struct err *e)
{
    struct xen *x = xen_of(p);

    if (s->model && strcmp(s->model, "vif") != 0 && strcmp(s->model, "netfront") != 0) {
        net_close(s->netif);
        return err_exit(e, EX_USAGE_, EINVAL,
                        "the xen persona has no %s card for %s; leave model= out or use model=vif",
                        s->model, s->id);
    }
    return vif_add(x, s, x->nics++, e);
}

static int xen_finish(struct persona *p, struct err *e)
{
    struct xen *x = xen_of(p);
    int rc = vkbd_add(x, e);

    if (rc == 0 && x->vfb)
        rc = vfb_add(x, e);
    if (rc < 0)
        return rc;
    return xen_domain_watch(x, e);
}

static void xen_smbios(struct persona *p, struct smbios_id *out)
{
    (void)p;
    out->bios_vendor = "Xen";
    out->bios_version = "4.17";
    out->vendor = "Xen";
    out->product = "HVM domU";
    out->version = "4.17";
    out->chassis_vendor = "Xen";
}

static void xen_describe(struct persona *p, struct dump *out)
{
    struct xen *x = xen_of(p);
    uint64_t sum = x->unknown_hcalls;

    for (unsigned i = 0; i < XEN_HCALLS; i++)
        sum += x->hcalls[i];
    dump_add(out, "hypercalls", "%llu", (unsigned long long)sum);
    for (unsigned i = 0; i < XEN_HCALLS; i++) {
        char key[24];

        snprintf(key, sizeof(key), "hypercall %u", i);
        if (x->hcall_errors[i])
            dump_add(out, key, "%llu, %llu refused, the last with %d",
                     (unsigned long long)x->hcalls[i], (unsigned long long)x->hcall_errors[i],
                     x->hcall_error[i]);
        else if (x->hcalls[i])
            dump_add(out, key, "%llu", (unsigned long long)x->hcalls[i]);
    }
    dump_add(out, "hypercalls by", "%s",
             x->kernel_hcalls ? "KVM"
             : x->patched     ? "patched call sites"
                              : "stub page");
    dump_add(out, "shared info", "%s", x->shared_at ? "mapped" : "not mapped");
    dump_add(out, "guest width", "%s", x->longmode ? "64 bits" : "32 bits");
    dump_add(out, "upcalls", "%s",
             xen_upcall_vectors(x) ? "a vector per vCPU"
             : x->callback_vector  ? "one vector"
             : x->callback_gsi     ? "GSI"
                                   : "none");
    dump_add(out, "events and timers by", "%s", x->kernel_events ? "KVM" : "hospes");
    if (x->platform)
        xen_platform_describe(x->platform, out);
    for (struct xenbus_dev *d = x->devices; d; d = d->next) {
        char name[64];

        snprintf(name, sizeof(name), "%s %u state", d->ops->class, d->id);
        dump_add(out, name, "%u", d->state);
        if (d->ops->describe)
            d->ops->describe(d, out);
    }
}

/* As hvmloader does it: there when the domain was given one. */
static const char *xen_genid(struct cfg *opts, bool said, bool uefi)
{
    (void)opts;
    (void)uefi;
    return said ? "XEN0000" : NULL;
}

const struct persona_ops persona_xen = {
    .name = "xen",
    .about = "Xen HVM and PVH: event channels, grants, xenstore, xvd disks, vif cards",
    .create = xen_create,
    .destroy = xen_destroy,
    .reset = xen_reset,
    .renew = xen_reset,
    .host_needs = xen_host_needs,
    .cpuid = xen_cpuid,
    .vcpu_ready = xen_vcpu_ready,
    .msr = xen_msr,
    .hypercall = xen_hcall,
    .port = xen_port,
    .attend = xen_attend,
    .add_disk = xen_add_disk,
    .grew = xen_grew,
    .add_nic = xen_add_nic,
    .finish = xen_finish,
    .smbios = xen_smbios,
    .ask = xen_ask,
    .data_set = xen_data_set,
    .data_list = xen_data_list,
    .genid = xen_genid,
    .describe = xen_describe,
};
