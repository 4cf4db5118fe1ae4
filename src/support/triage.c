/* SPDX-License-Identifier: Apache-2.0 */
/* triage.c - see triage.h. The rules are a table: a pattern, what it means, and how sure that is.
 */
#define _GNU_SOURCE
#include "support/triage.h"

#include <regex.h>
#include <string.h>

#include "core/err.h"

const char *const triage_layers[LAYERS] = {"guest",    "guest driver", "persona", "board",
                                           "host KVM", "disk image",   "host"};

static const struct {
    enum triage_layer layer;
    unsigned sure;
    const char *expr, *means;
} rules[] = {
    {LAYER_IMAGE, 85,
     "(image|qcow2|vhdx?|vmdk|vdi).*(corrupt|was changed|damaged|beyond the end|bad checksum)",
     "the disk image is damaged"},
    {LAYER_IMAGE, 70, "cannot open.*(backing|parent)", "a parent of the disk image is missing"},
    {LAYER_HOST, 85, "No space left on device|ENOSPC", "the host's file system is full"},
    {LAYER_HOST, 85, "Input/output error.*(disk|image)|(disk|image).*Input/output error",
     "the host could not read or write its storage"},
    {LAYER_HOST, 80, "Cannot allocate memory|Out of memory: Killed process|oom-kill",
     "the host ran out of memory"},
    {LAYER_KVM, 85,
     "KVM_(EXIT_INTERNAL_ERROR|EXIT_FAIL_ENTRY)|cannot go on with this vCPU|emulation failure",
     "KVM could not go on with the guest"},
    {LAYER_KVM, 60, "clocksource: .*unstable|TSC (doesn't|unsynchronized)",
     "the clock that the host gives is not steady"},
    {LAYER_BOARD, 60, "(ACPI|DMAR|MCFG|MADT)[^:]*: .*(error|invalid|BUG|bad)",
     "the guest objects to a table of the board"},
    {LAYER_BOARD, 50, "irq [0-9]+: nobody cared", "an interrupt had no owner"},
    {LAYER_DRIVER, 75, "guest faults[\" :]+[1-9]|(vmbus faults)[\" :]+[1-9]|broke its ABI",
     "the guest's driver broke the interface of its hypervisor"},
    {LAYER_DRIVER, 70,
     "dracut.*(timeout|Could not boot)|ALERT!.*does not exist|Unable to mount root fs|"
     "VFS: Cannot open root device",
     "the guest found no disk: the drivers for this persona are missing from its initial RAM disk"},
    {LAYER_DRIVER, 65, "INACCESSIBLE_BOOT_DEVICE|0x0000007[bB]",
     "Windows found no disk: its boot drivers do not fit the persona"},
    {LAYER_DRIVER, 55,
     "(hv_|xen[_-]?|virtio|vmw_|vmxnet3|pvscsi|storvsc|netvsc|blkfront|netfront).*(timed? ?out|"
     "failed|reset|error -?[0-9]+)",
     "a driver for the hypervisor reports a failure"},
    {LAYER_PERSONA, 55,
     "(unknown|unhandled|unsupported|not offered).*(hypercall|MSR|message|RPC|command( 0x|:|\"|$))",
     "the guest asked for something that the persona does not have"},
    {LAYER_PERSONA, 50, "assertion|a bug of hospes|exit code 70", "hospes stopped by itself"},
    {LAYER_GUEST, 75, "Kernel panic - not syncing: (Attempted to kill init|VFS)",
     "the guest's first program ended"},
    {LAYER_GUEST, 90, "sysrq triggered crash|sysrq: Trigger a crash",
     "somebody in the guest asked for the crash"},
    {LAYER_GUEST, 60, "Oops:|BUG: unable to handle|general protection fault|BUGCHECK|STOP: 0x",
     "the guest's kernel crashed"},
    {LAYER_GUEST, 40, "Kernel panic - not syncing", "the guest's kernel stopped itself"},
    {LAYER_GUEST, 45, "triple fault", "the guest's processor gave up"},
    {LAYER_GUEST, 60, "Out of memory and no killable processes|invoked oom-killer",
     "the guest ran out of its own memory"},
};

/* How many bytes the character of UTF-8 at `p` has; 0: it is none. */
static size_t character(const unsigned char *p, size_t n)
{
    size_t len = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : (*p & 0xf0) == 0xe0 ? 3 : 0;

    if ((*p & 0xf8) == 0xf0 && *p < 0xf5)
        len = 4;
    if (len > n)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    /* No second spelling, no half of a pair of UTF-16, nothing past the last one. */
    if ((len == 3 && ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f))) ||
        (len == 4 && ((*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))))
        return 0;
    return len;
}

/* A line of a log as text: a log may hold anything, JSON may not. */
static void evidence_copy(char *out, size_t room, const char *text, size_t n)
{
    size_t at = 0;

    for (size_t i = 0; i < n;) {
        const unsigned char *p = (const unsigned char *)text + i;
        size_t len = character(p, n - i);

        if (at + (len ? len : 1) >= room)
            break;
        if (len < 2)
            out[at++] = len == 0 ? '?' : *p < 0x20 || *p == 0x7f ? ' ' : (char)*p;
        else
            memcpy(out + at, p, len);
        at += len < 2 ? 0 : len;
        i += len ? len : 1;
    }
    out[at] = '\0';
}

static void add(struct triage *t, enum triage_layer layer, unsigned sure, const char *means,
                const char *where, const char *evidence, size_t n)
{
    struct triage_finding *f = &t->found[t->n];

    for (size_t i = 0; i < t->n; i++) {
        if (t->found[i].means == means)
            return; /* the first line tells it */
    }
    if (t->n == TRIAGE_MAX)
        return;
    *f = (struct triage_finding){.layer = layer, .sure = sure, .means = means, .where = where};
    evidence_copy(f->evidence, sizeof(f->evidence), evidence, n);
    t->n++;
}

void triage_text(struct triage *t, const char *where, const char *text, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        regmatch_t m = {.rm_so = 0, .rm_eo = (regoff_t)len};
        const char *from, *to;
        regex_t re;

        if (regcomp(&re, rules[i].expr, REG_EXTENDED | REG_ICASE | REG_NEWLINE) != 0)
            continue;
        if (regexec(&re, text, 1, &m, REG_STARTEND) == 0) {
            from = memrchr(text, '\n', (size_t)m.rm_so);
            from = from ? from + 1 : text;
            to = memchr(text + m.rm_eo, '\n', len - (size_t)m.rm_eo);
            add(t, rules[i].layer, rules[i].sure, rules[i].means, where, from,
                (size_t)((to ? to : text + len) - from));
        }
        regfree(&re);
    }
}

static const struct vcontrol *control_of(const struct vrecord *r, const char *id)
{
    for (size_t i = 0; i < r->controls; i++) {
        if (strcmp(r->control[i].id, id) == 0)
            return &r->control[i];
    }
    return NULL;
}

void triage_record(struct triage *t, const char *where, const struct vrecord *r)
{
    for (size_t i = 0; i < r->checks; i++) {
        const struct vcheck *c = &r->check[i];
        const struct vcontrol *q = control_of(r, c->id);

        if (c->status != V_FAIL && c->status != V_MISS)
            continue;
        if (q && q->status == V_FAIL)
            add(t, LAYER_GUEST, 80,
                "the same check fails on plain QEMU: the persona is not the cause", where, c->id,
                strlen(c->id));
        else if (q && (q->status == V_PASS || q->status == V_FLAKY))
            add(t, LAYER_PERSONA, 75,
                "the same check passes on plain QEMU: the persona is the cause", where, c->id,
                strlen(c->id));
    }
}

/* Independent findings for one layer: the chance that all of them mislead. */
bool triage_verdict(const struct triage *t, enum triage_layer *layer, unsigned *sure)
{
    double wrong[LAYERS], best = 1;

    for (unsigned i = 0; i < LAYERS; i++)
        wrong[i] = 1;
    for (size_t i = 0; i < t->n; i++)
        wrong[t->found[i].layer] *= 1 - t->found[i].sure / 100.0;
    for (unsigned i = 0; i < LAYERS; i++) {
        if (wrong[i] < best) {
            best = wrong[i];
            *layer = (enum triage_layer)i;
        }
    }
    *sure = (unsigned)((1 - best) * 100 + 0.5);
    if (*sure > 95)
        *sure = 95; /* a table of patterns is never surer than that */
    return t->n > 0;
}
