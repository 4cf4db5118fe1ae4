/* SPDX-License-Identifier: Apache-2.0 */
/*
 * domain.c - what a toolstack writes into the store for a domain, and asks of it there.
 *
 * Document: Xen docs/misc/xenstore-paths.pandoc; tools/libs/light (libxl_create.c, libxl_dom.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"
#include "core/ids.h"
#include "personas/xen/xen.h"
#include "personas/xen/xs_tree.h"

#include <xen/hvm/params.h>

#define GUEST_DIR "/local/domain/1"

/* --- the domain --- */

static void key(struct xen *x, const char *path, const char *value, bool guest_owns)
{
    (void)xs_put(x->store, path, "%s", value);
    (void)xs_guest_may(x->store, path, guest_owns, XS_PERM_READ);
}

static void number(struct xen *x, const char *path, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    key(x, path, text, false);
}

/* The store's and the console's rings. */
static void fill_rings(struct xen *x)
{
    key(x, GUEST_DIR "/store", "", false);
    number(x, GUEST_DIR "/store/port", x->param[HVM_PARAM_STORE_EVTCHN]);
    number(x, GUEST_DIR "/store/ring-ref", XEN_STORE_PFN);
    key(x, GUEST_DIR "/console", "", false);
    number(x, GUEST_DIR "/console/port", x->param[HVM_PARAM_CONSOLE_EVTCHN]);
    number(x, GUEST_DIR "/console/ring-ref", XEN_CONSOLE_PFN);
    number(x, GUEST_DIR "/console/limit", MiB);
    key(x, GUEST_DIR "/console/type", "xenconsoled", false);
}

/* The machine, which may be started several times as another domain; agents read its name here. */
static void fill_vm(struct xen *x)
{
    const uint8_t *u = x->p.env.uuid;
    char uuid[37], path[64];

    snprintf(uuid, sizeof(uuid), UUID_FMT, UUID_ARGS(u));
    snprintf(path, sizeof(path), "/vm/%s", uuid);
    key(x, GUEST_DIR "/vm", path, false);
    key(x, path, "", false);
    snprintf(path, sizeof(path), "/vm/%s/uuid", uuid);
    key(x, path, uuid, false);
    snprintf(path, sizeof(path), "/vm/%s/name", uuid);
    key(x, path, x->p.env.name ? x->p.env.name : "guest", false);
}

void xen_domain_fill(struct xen *x)
{
    static const char *const owned[] = {"data",
                                        "drivers",
                                        "feature",
                                        "attr",
                                        "error",
                                        "control",
                                        "control/shutdown",
                                        "control/feature-poweroff",
                                        "control/feature-reboot",
                                        "control/feature-suspend",
                                        "control/feature-s3",
                                        "control/feature-s4",
                                        "control/sysrq",
                                        "device",
                                        "messages"};
    char path[96];

    (void)xs_rm(x->store, GUEST_DIR);
    /* There is one guest, so nothing is hidden from it; what is made below inherits this. */
    (void)xs_guest_may(x->store, "/", false, XS_PERM_READ);
    key(x, GUEST_DIR, "", false);
    key(x, GUEST_DIR "/name", x->p.env.name ? x->p.env.name : "guest", false);
    key(x, GUEST_DIR "/domid", "1", false);
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++) {
        snprintf(path, sizeof(path), GUEST_DIR "/%s", owned[i]);
        key(x, path, "", true);
    }
    key(x, GUEST_DIR "/control/platform-feature-xs_reset_watches", "1", false);
    key(x, GUEST_DIR "/control/platform-feature-multiprocessor-suspend", "1", false);
    key(x, GUEST_DIR "/memory", "", false);
    number(x, GUEST_DIR "/memory/target", x->p.env.memory / KiB);
    number(x, GUEST_DIR "/memory/static-max", x->p.env.memory / KiB);
    key(x, GUEST_DIR "/vm-data", "", false);
    key(x, GUEST_DIR "/cpu", "", false);
    for (unsigned i = 0; i < x->p.env.cpus; i++) {
        snprintf(path, sizeof(path), GUEST_DIR "/cpu/%u", i);
        key(x, path, "", false);
        snprintf(path, sizeof(path), GUEST_DIR "/cpu/%u/availability", i);
        key(x, path, "online", false);
    }
    fill_rings(x);
    fill_vm(x);
}

/* --- requests --- */

/* The guest took the request: it clears or removes the key before it acts. */
static void shutdown_changed(void *arg, const char *path)
{
    struct xen *x = arg;
    char value[16];

    if (!x->asked || (xs_get(x->store, path, value, sizeof(value)) == 0 && value[0]))
        return;
    x->asked = false;
    xen_event(x, MACHINE_ASK_DONE, "the guest took the request from control/shutdown");
}

int xen_domain_watch(struct xen *x, struct err *e)
{
    x->shutdown_watch = xs_watch(x->store, GUEST_DIR "/control/shutdown", shutdown_changed, x);
    if (!x->shutdown_watch)
        return err_set(e, ENOMEM, "no memory to watch the guest's answers");
    xenstore_run(x->store);
    return 0;
}

/* Newer drivers say so: Linux and Windows, whose agent of 2015 has its own word for it. Others only
 * watch. But the Windows bus driver does so without any agent, to suspend alone. */
static bool guest_listens(struct xen *x)
{
    return xs_get_u64(x->store, GUEST_DIR "/control/feature-poweroff", 0) ||
           xs_get_u64(x->store, GUEST_DIR "/control/feature-shutdown", 0) ||
           (xs_guest_watches(x->store, GUEST_DIR "/control/shutdown") &&
            !xs_get_u64(x->store, GUEST_DIR "/control/feature-suspend", 0));
}

int xen_ask(struct persona *p, enum persona_ask what, uint64_t value, struct err *e)
{
    struct xen *x = xen_of(p);

    switch (what) {
    case ASK_SHUTDOWN:
    case ASK_REBOOT:
        if (!guest_listens(x))
            return err_set(e, ENOTSUP, "the guest does not watch control/shutdown");
        x->asked = true;
        key(x, GUEST_DIR "/control/shutdown", what == ASK_SHUTDOWN ? "poweroff" : "reboot", true);
        break;
    case ASK_MEMORY:
        (void)xs_put(x->store, GUEST_DIR "/memory/target", "%llu",
                     (unsigned long long)(value / KiB));
        break;
    default:
        return err_set(e, ENOTSUP, "Xen guests have no channel for that");
    }
    xenstore_run(x->store);
    return 0;
}
