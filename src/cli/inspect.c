/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.c - `hospes inspect`: what is inside a guest's disk, and what that means for each
 * persona. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/inspect.h"
#include "cli/line.h"
#include "inspect/auto.h"

static int inspect_set_json(void *arg, const char *value, struct err *e)
{
    ((struct inspect_args *)arg)->form = INSPECT_JSON;
    return 0;
}

static int inspect_set_csv(void *arg, const char *value, struct err *e)
{
    ((struct inspect_args *)arg)->form = INSPECT_CSV;
    return 0;
}

static int inspect_set_html(void *arg, const char *value, struct err *e)
{
    ((struct inspect_args *)arg)->form = INSPECT_HTML;
    return 0;
}

static int inspect_set_fleet(void *arg, const char *value, struct err *e)
{
    ((struct inspect_args *)arg)->fleet = value;
    return 0;
}

static int inspect_set_format(void *arg, const char *value, struct err *e)
{
    ((struct inspect_args *)arg)->format = value;
    return 0;
}

static int inspect_set_outside(void *arg, const char *value, struct err *e)
{
    ((struct inspect_args *)arg)->outside = true;
    return 0;
}

static const struct cli_option inspect_options[] = {
    {"f", "FORMAT", "the image's format, which is found out otherwise", inspect_set_format},
    {"outside", NULL, "follow references outside the image's own directory", inspect_set_outside},
    {"fleet", "DIR", "look at all machines below this folder", inspect_set_fleet},
    {"json", NULL, "print JSON: one object, or one for each machine of a fleet", inspect_set_json},
    {"csv", NULL, "print a fleet as CSV", inspect_set_csv},
    {"html", NULL, "print a fleet as an HTML page", inspect_set_html},
    {NULL},
};

/* --- as text --- */

enum { INSPECT_INDENT = 12, INSPECT_DEEP = 19 }; /* where a field's and a verdict's words begin */

void inspect_size(uint64_t bytes, char *out)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes;
    unsigned u = 0;

    while (v >= 1024 && u + 1 < ARRAY_SIZE(units)) {
        v /= 1024;
        u++;
    }
    snprintf(out, 24, "%.*f %s", v < 10 && u > 0 ? 1 : 0, v, units[u]);
}

static void field(const char *name, const char *value)
{
    if (value[0])
        line_print(INSPECT_INDENT, "%-11s %s", name, value);
}

static void print_images(const struct inspect *i)
{
    for (unsigned k = 0; k < i->images; k++) {
        char size[24];

        inspect_size(i->image[k].bytes, size);
        line_print(INSPECT_INDENT, "%-11s %s (%s, %s%s%s)", k ? "  parent" : "image",
                   i->image[k].path, i->image[k].format, size,
                   i->image[k].creator[0] ? ", made by " : "", i->image[k].creator);
    }
}

static void print_parts(const struct inspect *i)
{
    if (i->images == 0)
        return;
    field("table", i->table);
    for (unsigned k = 0; k < i->parts; k++) {
        const struct inspect_part *p = &i->part[k];
        char size[24], name[160];

        inspect_size(p->bytes, size);
        if (p->number)
            snprintf(name, sizeof(name), "partition %u", p->number);
        else
            snprintf(name, sizeof(name), "%s", p->name[0] ? p->name : "whole disk");
        line_print(INSPECT_DEEP, "  %-13s %8s  %s%s%s%s%s%s", name, size, p->fs[0] ? p->fs : "-",
                   p->use[0] ? ", " : "", p->use, p->active ? ", active" : "",
                   p->label[0] ? ", label " : "", p->label);
    }
}

static void print_kernel(const struct inspect_system *s, const struct inspect_kernel *k)
{
    char list[200];

    line_print(INSPECT_INDENT, "%-11s %s%s%s", "kernel", k->version[0] ? k->version : k->path,
               k->first && s->kernels > 1 ? ", started unless another is chosen" : "",
               k->found ? "" : " (its file is not there)");
    if (k->initrd[0]) {
        driver_list(GUEST_LINUX, k->initramfs, list, sizeof(list));
        line_print(INSPECT_INDENT, "%-11s %s%s%s%s%s%s", "  initrd",
                   list[0] ? list : "no driver of a hypervisor", k->tool[0] ? " (by " : "", k->tool,
                   k->tool[0] ? ")" : "", k->why[0] ? "; not read to its end: " : "", k->why);
    }
    driver_list(GUEST_LINUX, k->builtin, list, sizeof(list));
    if (k->builtin_known)
        line_print(INSPECT_INDENT, "%-11s %s", "  built in",
                   list[0] ? list : "no driver of a hypervisor");
}

/* Debian's name ends in its version already. */
static const char *more_version(const struct inspect_system *s)
{
    return strstr(s->name, s->version) ? "" : s->version;
}

static void print_system(const struct inspect_system *s)
{
    char list[400] = "";

    line_print(INSPECT_INDENT, "%-11s %s%s%s%s%s, on %s", "system", s->name,
               more_version(s)[0] ? ", version " : "", more_version(s), s->arch[0] ? ", " : "",
               s->arch, s->root);
    for (unsigned k = 0; k < s->kernels; k++)
        print_kernel(s, &s->kernel[k]);
    if (s->family != GUEST_LINUX && s->boot_known) {
        driver_list(s->family, s->boot, list, sizeof(list));
        field("at boot", list);
    }
    field("root", s->root_arg);
    field("settings", s->initrd_policy);
    field("disk names", s->fstab_names);
    field("NIC names", s->names_kept);
    list[0] = '\0';
    for (unsigned k = 0; k < AGENTS; k++) {
        size_t at = strlen(list);

        if (s->agents >> k & 1)
            snprintf(list + at, sizeof(list) - at, "%s%s", at ? ", " : "", agents[k].name);
    }
    field("agents", list);
}

static void print_verdict(const struct inspect *i)
{
    printf("\n%-8s %-9s %s\n", "persona", "boots", "because");
    for (unsigned p = 0; p < PERSONAS; p++) {
        const struct inspect_verdict *v = &i->verdict[p];

        line_print(INSPECT_DEEP, "%-8s %-9s %s", persona_names[p], sure_names[v->boots], v->why);
        if (v->lacks[0])
            line_print(INSPECT_DEEP, "%-8s %-9s lacks %s", "", "", v->lacks);
    }
}

static void print_text(const struct inspect *i)
{
    print_images(i);
    print_parts(i);
    for (unsigned k = 0; k < i->loaders; k++)
        line_print(INSPECT_INDENT, "%-11s %s for %s (%s)", "loader", i->loader[k].name,
                   i->loader[k].uefi ? "UEFI" : "BIOS", i->loader[k].where);
    if (i->images)
        field("starts by", i->bios && i->uefi ? "BIOS and UEFI"
                           : i->bios          ? "BIOS"
                           : i->uefi          ? "UEFI"
                                              : "neither BIOS nor UEFI: it has no boot code");
    for (unsigned k = 0; k < i->systems; k++)
        print_system(&i->system[k]);
    for (unsigned k = 0; k < i->notes; k++)
        field("note", i->note[k]);
    print_verdict(i);
}

static int inspect_print(const struct inspect_args *a, const struct inspect *i,
                         const struct plan *p, struct err *e)
{
    char *json;

    if (a->form != INSPECT_JSON) {
        print_text(i);
        putchar('\n');
        line_print(2, "`hospes run` takes %s", p->persona_why);
        return 0;
    }
    json = inspect_json(i, p->persona, p->persona_why);
    if (!json)
        return err_set(e, ENOMEM, "no memory for the answer");
    line_utf8(stdout, json);
    free(json);
    return 0;
}

/* The plan that `hospes run` would begin with: a description's, or one with this disk. */
static int inspect_plan(const struct inspect_args *a, const char *path, struct plan *p,
                        struct err *e)
{
    const struct import_wish wish = {.quick = true, .trust = a->outside};
    struct import_report report = {0};
    int rc;

    if (a->format || !describe_is(path)) {
        p->disks = 1;
        p->disk[0].outside = a->outside;
        rc = plan_set(&p->disk[0].path, path, e);
        return rc < 0 ? rc : plan_set(&p->disk[0].format, a->format, e);
    }
    rc = describe_read(path, &wish, p, &report, e);
    import_report_free(&report);
    if (rc == 0 && p->disks == 0 && !p->kernel)
        rc = err_exit(e, EX_BAD_INPUT, EINVAL, "%s has no disk that could be looked into", path);
    return rc;
}

static int inspect_one(const struct inspect_args *a, const char *path, struct err *e)
{
    struct inspect *i = calloc(1, sizeof(*i));
    struct plan p;
    int rc;

    if (!i)
        return err_set(e, ENOMEM, "no memory for an inspection");
    plan_init(&p);
    rc = inspect_plan(a, path, &p, e);
    if (rc == 0)
        rc = auto_decide(&p, i, e);
    if (rc == 0)
        rc = inspect_print(a, i, &p, e);
    plan_free(&p);
    free(i);
    return rc;
}

static int inspect_main_(int argc, char **argv)
{
    struct inspect_args a = {0};
    struct err e = {0};
    int n, rc = cli_parse(&cli_inspect, argc, argv, &a, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n != (a.fleet ? 0 : 1))
        rc = err_exit(&e, EX_USAGE_, EINVAL,
                      "inspect takes one FILE, or --fleet DIR; see hospes help inspect");
    if (rc == 0 && !a.fleet && a.form > INSPECT_JSON)
        rc = err_exit(&e, EX_USAGE_, EINVAL, "--csv and --html are for --fleet DIR; use --json");
    if (rc == 0)
        rc = a.fleet ? inspect_fleet(&a, &e) : inspect_one(&a, argv[1], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_inspect = {
    .name = "inspect",
    .args = "[OPTION...] FILE | --fleet DIR",
    .about = "Tells what is inside a guest's disk, and under which personas it will boot.",
    .more =
        "FILE is a disk image in any format, or a description of a machine, of which the first\n"
        "disk is looked at. Nothing in it is executed and nothing is written:\n"
        "the look is taken by a process that can only read, in bounded memory and time.",
    .options = inspect_options,
    .run = inspect_main_,
};
