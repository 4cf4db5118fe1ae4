/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.c - from facts to a verdict: under which personas the guest will find its root, and why.
 *
 * The rule: a guest starts under a persona when what it has at boot drives a disk that this persona
 * shows. Where that is known not to be so the answer is no, where something could not be read it is
 * unknown. Names of disks in root= make a yes unlikely. What is missing for the network, and for
 * the guest to be asked to shut down, is told and changes nothing.
 */
#include <stdio.h>
#include <string.h>

#include "inspect/inspect.h"
#include "inspect/look.h"

/* One way by which a persona shows a disk. */
struct way {
    enum persona_no persona;
    uint64_t need;
    bool sd;          /* and, in Linux, the driver for disks of SCSI */
    const char *bus;  /* NULL: the persona's own; else bus= must say so */
    const char *disk; /* what Linux calls the first one */
};

static const struct way ways[] = {
    {PERSONA_KVM, DRV(DRV_VIRTIO_PCI) | DRV(DRV_VIRTIO_BLK), false, NULL, "vd"},
    {PERSONA_HYPERV, DRV(DRV_VMBUS) | DRV(DRV_STORVSC), true, NULL, "sd"},
    {PERSONA_XEN, DRV(DRV_XENBUS) | DRV(DRV_XENVBD), false, NULL, "xvd"},
    {PERSONA_VMWARE, DRV(DRV_PVSCSI), true, NULL, "sd"},
    {PERSONA_BARE, DRV(DRV_IDE), true, NULL, "sd"},
    {PERSONA_KVM, DRV(DRV_IDE), true, "ide", "sd"},
    {PERSONA_VMWARE, DRV(DRV_IDE), true, "ide", "sd"},
    {PERSONA_HYPERV, DRV(DRV_IDE), true, "ide", NULL}, /* Linux leaves IDE to storvsc there */
};

static const uint64_t nics[PERSONAS] = {
    [PERSONA_KVM] = DRV(DRV_VIRTIO_NET),
    [PERSONA_HYPERV] = DRV(DRV_NETVSC),
    [PERSONA_XEN] = DRV(DRV_XENVIF),
    [PERSONA_VMWARE] = DRV(DRV_VMXNET3),
    [PERSONA_BARE] = DRV(DRV_E1000) | DRV(DRV_RTL8139) | DRV(DRV_TULIP),
};

/* What a guest drives at boot and later, and how well that is known. */
struct ability {
    uint64_t boot, installed;
    bool whole; /* nothing of it is unknown */
    const char *unknown;
    char from[128]; /* "initrd of 6.1.0-18-amd64" */
};

static void linux_ability(const struct inspect_system *s, struct ability *a)
{
    const struct inspect_kernel *k = inspect_first(s);

    if (!k) {
        a->unknown = "no kernel was found";
        return;
    }
    a->boot = k->builtin | k->initramfs;
    a->installed = a->boot | k->installed;
    a->whole = k->builtin_known && !k->why[0];
    a->unknown = k->why[0] ? "its initrd could not be read to its end"
                           : "which drivers are built into its kernel is not known";
    snprintf(a->from, sizeof(a->from), "kernel %.90s%s", k->version[0] ? k->version : k->path,
             k->initrd[0] ? " with its initrd" : " without an initrd");
    /* The module exists only where the kernel has the rest of Xen's guest code built in. */
    if (a->boot & DRV(DRV_XENVBD))
        a->boot |= DRV(DRV_XENBUS);
    /* Without the bus in a list of modules: old kernels have it in one with the disk. */
    if (a->installed & DRV(DRV_XENVIF))
        a->installed |= DRV(DRV_XENBUS);
}

static void ability_of(const struct inspect_system *s, struct ability *a)
{
    *a = (struct ability){.unknown = "the system is not known"};
    if (s->family == GUEST_LINUX) {
        linux_ability(s, a);
        return;
    }
    a->boot = s->boot;
    a->installed = s->installed;
    a->whole = s->boot_known;
    a->unknown = "its drivers could not be read";
    snprintf(a->from, sizeof(a->from), "%s",
             s->family == GUEST_WINDOWS ? "the registry's list of boot drivers" : "the kernel");
    /* The buses of these are one with their disks, or have no name of their own. */
    if (s->family == GUEST_FREEBSD || s->family == GUEST_NETBSD || s->family == GUEST_SOLARIS ||
        s->family == GUEST_OPENBSD) {
        if (s->boot & DRV(DRV_VIRTIO_BLK))
            a->boot |= DRV(DRV_VIRTIO_PCI);
        if (s->boot & DRV(DRV_STORVSC))
            a->boot |= DRV(DRV_VMBUS);
        if (s->boot & DRV(DRV_XENVBD))
            a->boot |= DRV(DRV_XENBUS);
    }
}

/* root=/dev/vda1 under a persona whose disks are /dev/sda: the part of the name that differs. */
static bool root_fits(const struct inspect_system *s, const struct way *w)
{
    static const char *const kinds[] = {"xvd", "vd", "sd", "hd"};
    const char *root = s->root_arg;

    if (s->family != GUEST_LINUX || strncmp(root, "/dev/", 5) != 0)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (strncmp(root + 5, kinds[i], strlen(kinds[i])) == 0)
            return strcmp(kinds[i], w->disk) == 0;
    }
    return true;
}

static uint64_t need_of(const struct inspect_system *s, const struct way *w)
{
    uint64_t need = w->need;

    if (s->family == GUEST_WINDOWS) /* its drivers of virtio bring what they need of PCI */
        need &= ~DRV(DRV_VIRTIO_PCI);
    return need | (w->sd && s->family == GUEST_LINUX ? DRV(DRV_SD) : 0);
}

/* --- one way --- */

static void judge_way(const struct inspect_system *s, const struct ability *a, const struct way *w,
                      struct inspect_verdict *v)
{
    uint64_t need = need_of(s, w), missing = need & ~a->boot;
    char have[128], lack[128];

    driver_list(s->family, need & a->boot, have, sizeof(have));
    driver_list(s->family, missing, lack, sizeof(lack));
    if (missing == 0 && root_fits(s, w)) {
        v->boots = w->bus ? SURE_LIKELY : SURE_YES;
        snprintf(v->bus, sizeof(v->bus), "%s", w->bus ? w->bus : "");
        snprintf(v->why, sizeof(v->why), "%s has %s%s%s", a->from, have,
                 w->bus ? "; its disk must be on bus=" : "", w->bus ? w->bus : "");
    } else if (missing == 0) {
        v->boots = SURE_UNLIKELY;
        snprintf(v->why, sizeof(v->why),
                 "%s has %s, but root=%s is no name of its disk here (/dev/%sa)", a->from, have,
                 s->root_arg, w->disk);
    } else if (!a->whole) {
        v->boots = SURE_UNKNOWN;
        snprintf(v->why, sizeof(v->why), "%s, and no %s was seen", a->unknown, lack);
    } else if ((missing & ~a->installed) == 0) {
        v->boots = SURE_NO;
        snprintf(v->why, sizeof(v->why), "%s lacks %s, which %s installed but not started at boot",
                 a->from, lack, missing & (missing - 1) ? "are" : "is");
    } else {
        v->boots = SURE_NO;
        snprintf(v->why, sizeof(v->why), "%s lacks %s", a->from, lack);
    }
}

/* --- what is missing besides --- */

static void lack(struct inspect_verdict *v, const char *fmt, const char *what)
{
    size_t at = strlen(v->lacks);

    if (at + 4 > sizeof(v->lacks))
        return;
    if (at > 0)
        at += (size_t)snprintf(v->lacks + at, sizeof(v->lacks) - at, "; ");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(v->lacks + at, sizeof(v->lacks) - at, fmt, what);
#pragma GCC diagnostic pop
}

static bool has_agent(const struct inspect_system *s, enum persona_no p)
{
    for (unsigned i = 0; i < AGENTS; i++) {
        if ((s->agents >> i & 1) && agents[i].persona == (int)p)
            return true;
    }
    return p == PERSONA_BARE || (p == PERSONA_HYPERV && s->family == GUEST_WINDOWS);
}

static void judge_rest(const struct inspect_system *s, const struct ability *a, enum persona_no p,
                       struct inspect_verdict *v)
{
    static const char *const wanted[PERSONAS] = {"qemu-guest-agent", "hyperv-daemons",
                                                 "xe-guest-utilities", "open-vm-tools", ""};
    char names[96];
    bool known = a->whole && (s->family != GUEST_LINUX || a->installed & ~a->boot);

    if (v->boots == SURE_NO && v->lacks[0] == '\0') {
        const struct way *w = ways;

        while (w->persona != p)
            w++;
        driver_list(s->family, need_of(s, w) & ~a->boot, names, sizeof(names));
        lack(v, "disk: %s", names);
    }
    if (known && !(a->installed & nics[p])) {
        driver_list(s->family, nics[p], names, sizeof(names));
        lack(v, "network: %s", names);
    }
    if (!has_agent(s, p))
        lack(v, "agent: %s", wanted[p]);
}

void inspect_judge(struct inspect *o)
{
    const struct inspect_system *s = inspect_main(o);
    struct ability a;

    for (unsigned p = 0; p < PERSONAS; p++)
        o->verdict[p] = (struct inspect_verdict){.boots = SURE_UNKNOWN,
                                                 .why = "no system that is known was found"};
    if (!s)
        return;
    ability_of(s, &a);
    for (unsigned p = 0; p < PERSONAS; p++) {
        bool first = true;

        for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
            struct inspect_verdict v = {.boots = SURE_NO};

            if (ways[i].persona != p || (s->family == GUEST_LINUX && !ways[i].disk))
                continue;
            judge_way(s, &a, &ways[i], &v);
            if (first || v.boots > o->verdict[p].boots)
                o->verdict[p] = v;
            first = false;
        }
        judge_rest(s, &a, (enum persona_no)p, &o->verdict[p]);
    }
}
