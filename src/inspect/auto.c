/* SPDX-License-Identifier: Apache-2.0 */
/* auto.c - see auto.h. */
#define _GNU_SOURCE
#include "inspect/auto.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/err.h"
#include "core/path.h"
#include "import/import.h"
#include "inspect/look.h"
#include "machine/plan.h"

enum { BESIDE_MAX = 256, OTHERS_MAX = 8 };

/* --- signs --- */

static void format_sign(const struct inspect *i, struct auto_sign *s)
{
    static const struct {
        const char *format, *creator;
        enum persona_no persona;
        const char *what;
    } known[] = {
        {"vmdk", "", PERSONA_VMWARE, "its image is a VMDK of VMware"},
        {"vhdx", "", PERSONA_HYPERV, "its image is a VHDX of Hyper-V"},
        {"vhd", "tap", PERSONA_XEN, "its image is a VHD written by XenServer"},
        {"vhd", "", PERSONA_HYPERV, "its image is a VHD of Hyper-V"},
        {"qcow2", "", PERSONA_KVM, "its image is a qcow2 of QEMU"},
    };
    const struct inspect_image *base = i->images ? &i->image[i->images - 1] : NULL;

    s->persona = -1;
    for (size_t k = 0; base && k < ARRAY_SIZE(known); k++) {
        if (strcmp(base->format, known[k].format) == 0 &&
            strncmp(base->creator, known[k].creator, strlen(known[k].creator)) == 0) {
            s->persona = (int)known[k].persona;
            snprintf(s->what, sizeof(s->what), "%s", known[k].what);
            return;
        }
    }
}

/* Agents of two hypervisors say nothing: the image was made for both. */
static void agent_sign(const struct inspect *i, struct auto_sign *s)
{
    const struct inspect_system *sys = inspect_main(i);

    s->persona = -1;
    for (unsigned a = 0; sys && a < AGENTS; a++) {
        if (!(sys->agents >> a & 1) || agents[a].persona < 0)
            continue;
        if (s->persona >= 0 && s->persona != agents[a].persona) {
            s->persona = -1;
            return;
        }
        s->persona = agents[a].persona;
        snprintf(s->what, sizeof(s->what), "%s %s installed", agents[a].name,
                 strstr(agents[a].name, "drivers") || strstr(agents[a].name, "Tools") ||
                         strstr(agents[a].name, "daemons")
                     ? "are"
                     : "is");
    }
}

/* --- the choice --- */

static int class_of(enum inspect_sure s)
{
    return s >= SURE_LIKELY ? 2 : s == SURE_UNKNOWN ? 1 : 0;
}

static void say(char why[AUTO_WHY], const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(char why[AUTO_WHY], const char *fmt, ...)
{
    size_t at = strlen(why);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why + at, AUTO_WHY - at, fmt, ap);
    va_end(ap);
}

/* The order of personas is the order in which they are taken when nothing else speaks. */
static enum persona_no best_of(const struct inspect *i)
{
    unsigned best = 0;

    for (unsigned p = 1; p < PERSONAS; p++) {
        if (i->verdict[p].boots > i->verdict[best].boots)
            best = p;
    }
    return (enum persona_no)best;
}

static void say_others(const struct inspect *i, enum persona_no chosen, char why[AUTO_WHY])
{
    bool any = false;

    for (unsigned p = 0; p < PERSONAS; p++) {
        if (p == chosen || class_of(i->verdict[p].boots) < 2)
            continue;
        say(why, "%s%s", any ? ", " : "; would also boot under ", persona_names[p]);
        any = true;
    }
}

/* A system that nobody here knows, with a boot loader on a disk: it drives what every PC has. Not
 * what is encrypted, which is mostly Linux, nor discs, which all personas have on IDE. */
static bool plain_pc(const struct inspect *i)
{
    for (unsigned k = 0; k < i->parts; k++) {
        if (strcmp(i->part[k].fs, "iso9660") == 0 || strcmp(i->part[k].fs, "luks") == 0)
            return false;
    }
    return i->images > 0 && i->systems == 0 && i->bios && !i->uefi;
}

static enum persona_no choose_blind(const struct auto_sign *described, char why[AUTO_WHY])
{
    enum persona_no p = described->persona >= 0 ? (enum persona_no)described->persona : PERSONA_KVM;

    snprintf(why, AUTO_WHY, "persona %s: %s", persona_names[p],
             described->persona >= 0 ? described->what
                                     : "nothing says which hypervisor the guest was made for");
    return p;
}

enum persona_no auto_choose(const struct inspect *i, const struct auto_sign *described,
                            char why[AUTO_WHY])
{
    struct auto_sign sign[3] = {*described};
    const struct auto_sign *by = NULL;
    enum persona_no p;
    int best;

    if (!i)
        return choose_blind(described, why);
    agent_sign(i, &sign[1]);
    format_sign(i, &sign[2]);
    p = best_of(i);
    best = class_of(i->verdict[p].boots);
    for (size_t k = 0; k < ARRAY_SIZE(sign) && !by; k++) {
        enum inspect_sure boots = sign[k].persona < 0 ? SURE_NO : i->verdict[sign[k].persona].boots;

        /* A format is a weak sign: images are converted. It decides among equals alone. */
        if (sign[k].persona >= 0 && class_of(boots) == best &&
            (k < 2 || boots == i->verdict[p].boots))
            by = &sign[k];
    }
    if (by)
        p = (enum persona_no)by->persona;
    else if (best == 1 && plain_pc(i))
        p = PERSONA_BARE;
    snprintf(why, AUTO_WHY, "persona %s: ", persona_names[p]);
    if (best == 2)
        say(why, "%s%s%s", i->verdict[p].why, by ? "; " : "", by ? by->what : "");
    else if (by)
        say(why, "%s%s%s", by->what, best == 1 ? "; " : "; but ", i->verdict[p].why);
    else if (p == PERSONA_BARE && best == 1)
        say(why, "no system that is known was found, and a plain PC is what most of them drive");
    else if (best == 1 && i->stage[0])
        say(why, "the look at it was ended early, at %s; name the persona if you know it",
            i->stage);
    else if (best == 1)
        say(why, "nothing says which hypervisor the guest was made for");
    else
        say(why, "it fits no persona well: %s", i->verdict[p].why);
    if (best == 2)
        say_others(i, p, why);
    if (described->persona >= 0 && described->persona != (int)p)
        say(why, "; though %s, there %s", described->what, i->verdict[described->persona].why);
    return p;
}

/* --- a description beside the disk --- */

static bool same_file(const char *path, const struct stat *disk)
{
    struct stat st;

    return path && stat(path, &st) == 0 && st.st_dev == disk->st_dev && st.st_ino == disk->st_ino;
}

/* true: this description has the disk. One that cannot be read is none. */
static bool names_disk(const char *path, const struct stat *disk, int *persona)
{
    const struct import_wish wish = {.quick = true, .unchecked = true};
    struct import_report report = {0};
    struct plan plan;
    struct err e;
    bool found = false;

    plan_init(&plan);
    if (import_read(path, &wish, &plan, &report, &e) == 0) {
        for (size_t d = 0; d < plan.disks && !found; d++)
            found = same_file(plan.disk[d].path, disk);
        *persona = plan.persona ? persona_no(plan.persona) : -1;
    }
    import_report_free(&report);
    plan_free(&plan);
    return found && *persona >= 0;
}

/* Of several, the one whose name comes first: the order of a folder is not the same everywhere. */
static void look_beside(const char *dir, DIR *d, const struct stat *disk, struct auto_sign *sign)
{
    char best[256] = "";
    struct dirent *entry;
    unsigned seen = 0;

    while ((entry = readdir(d)) != NULL && seen < BESIDE_MAX) {
        char path[4096];
        int persona;

        if (!import_named(entry->d_name))
            continue;
        seen++;
        if (best[0] && strcmp(entry->d_name, best) > 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        if (!names_disk(path, disk, &persona))
            continue;
        snprintf(best, sizeof(best), "%s", entry->d_name);
        sign->persona = persona;
        text_copy(path, sizeof(path), entry->d_name);
        snprintf(sign->what, sizeof(sign->what), "%.100s beside it describes a %s machine", path,
                 persona_names[persona]);
    }
}

void auto_beside(const char *path, struct auto_sign *sign)
{
    char *dir = path_folder(path);
    DIR *d = dir ? opendir(dir) : NULL;
    struct stat st;

    sign->persona = -1;
    if (d && stat(path, &st) == 0)
        look_beside(dir, d, &st, sign);
    if (d)
        closedir(d);
    free(dir);
}

/* --- a plan --- */

static const struct plan_disk *first_disk(const struct plan *p)
{
    for (size_t i = 0; i < p->disks; i++) {
        if (!p->disk[i].cdrom)
            return &p->disk[i];
    }
    return p->disks > 0 ? &p->disk[0] : NULL;
}

static void look_at(struct inspect_cfg *c, const struct plan_disk *d)
{
    c->path = d->path;
    c->format = d->format;
    c->outside = d->outside;
    c->within = d->within;
}

/* The first disk; when it is empty, the first other disk or CD with a system on it. */
static int look_disks(const struct plan *p, struct inspect_cfg *c, struct inspect *i, struct err *e)
{
    const struct plan_disk *first = first_disk(p);
    int rc = inspect_file(c, i, e);
    struct inspect *other;

    if (rc < 0 || !first || i->systems > 0 || p->disks < 2)
        return rc;
    other = calloc(1, sizeof(*other));
    for (size_t k = 0; other && k < p->disks && k < OTHERS_MAX && i->systems == 0; k++) {
        struct err ignored;

        look_at(c, &p->disk[k]);
        if (&p->disk[k] != first && c->path && inspect_file(c, other, &ignored) == 0 &&
            other->systems > 0)
            *i = *other;
    }
    free(other);
    return 0;
}

/* Disks that the guest can drive by one bus alone. */
static int decide_bus(struct plan *p, const char *bus, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < p->disks && rc == 0 && bus[0]; i++) {
        if (!p->disk[i].bus && !p->disk[i].cdrom)
            rc = plan_set(&p->disk[i].bus, bus, e);
    }
    return rc;
}

static int decide_firmware(struct plan *p, const struct inspect *i, char why[AUTO_WHY],
                           struct err *e)
{
    if (p->kernel || p->firmware || i->bios || !i->uefi)
        return 0;
    say(why, "; firmware uefi: it has a loader for UEFI alone");
    return plan_set(&p->firmware, "uefi", e);
}

int auto_decide(struct plan *p, struct inspect *i, struct err *e)
{
    const struct plan_disk *d = first_disk(p);
    struct inspect_cfg c = {.kernel = p->kernel, .initrd = p->initrd};
    struct inspect *own = i ? i : calloc(1, sizeof(*own));
    struct auto_sign described = {.persona = -1};
    char why[AUTO_WHY];
    enum persona_no chosen;
    int rc = own ? 0 : err_set(e, ENOMEM, "no memory for an inspection");

    if (d)
        look_at(&c, d);
    if (p->persona && p->persona_why) {
        described.persona = persona_no(p->persona);
        text_copy(described.what, sizeof(described.what), p->persona_why);
    } else if (c.path) {
        auto_beside(c.path, &described);
    }
    if (rc == 0 && (c.path || c.kernel))
        rc = look_disks(p, &c, own, e);
    if (rc == 0) {
        chosen = auto_choose(c.path || c.kernel ? own : NULL, &described, why);
        if (c.path)
            rc = decide_firmware(p, own, why, e);
        if (rc == 0 && c.path)
            rc = decide_bus(p, own->verdict[chosen].bus, e);
        if (rc == 0)
            rc = plan_set(&p->persona, persona_names[chosen], e);
        if (rc == 0)
            rc = plan_set(&p->persona_why, why, e);
    }
    if (!i)
        free(own);
    return rc;
}
