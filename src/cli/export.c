/* SPDX-License-Identifier: Apache-2.0 */
/* export.c - `hospes export`: a plan becomes the description that another product reads. */
#define _GNU_SOURCE
#include "import/export.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/describe.h"
#include "core/file.h"

struct export_wish {
    const struct exporter_ops *to;
    bool json, force;
    struct import_wish wish;
};

static int export_json(void *arg, const char *value, struct err *e)
{
    ((struct export_wish *)arg)->json = true;
    return 0;
}

static int export_force(void *arg, const char *value, struct err *e)
{
    ((struct export_wish *)arg)->force = true;
    return 0;
}

static int export_trust(void *arg, const char *value, struct err *e)
{
    ((struct export_wish *)arg)->wish.trust = true;
    return 0;
}

static int export_format(void *arg, const char *value, struct err *e)
{
    struct export_wish *w = arg;

    w->to = exporter_find(value);
    return w->to ? 0
                 : err_exit(e, EX_USAGE_, EINVAL,
                            "there is no exporter \"%s\": use vmx, ovf, libvirt or hyperv", value);
}

static const struct cli_option export_options[] = {
    {"f", "FORMAT", "vmx, ovf, libvirt or hyperv; has to be given", export_format},
    {"force", NULL, "replace files that are there already", export_force},
    {"trust", NULL, "disks that FILE names may lie anywhere", export_trust},
    {"json", NULL, "print the report as JSON, one line each", export_json},
    {NULL},
};

/* --- files --- */

static int make_folder(const char *path, struct err *e)
{
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return err_set(e, errno, "cannot make the folder %s: %s", path, strerror(errno));
    return 0;
}

static int write_file(const char *dir, const struct export_file *f, bool force, struct err *e)
{
    const char *slash = strchr(f->name, '/');
    char path[PATH_MAX];
    int rc = 0;

    if (slash) {
        snprintf(path, sizeof(path), "%s/%.*s", dir, (int)(slash - f->name), f->name);
        rc = make_folder(path, e);
    }
    snprintf(path, sizeof(path), "%s/%s", dir, f->name);
    if (rc == 0 && !force && access(path, F_OK) == 0)
        rc =
            err_exit(e, EX_USAGE_, EEXIST, "%s is there already; give --force to replace it", path);
    if (rc < 0)
        return rc;
    rc = file_replace(path, f->text.s, f->text.len, 0666);
    return rc < 0 ? err_set(e, -rc, "cannot write %s: %s", path, strerror(-rc)) : 0;
}

static int write_all(const struct export_wish *w, const struct export *x, struct err *e)
{
    int rc = make_folder(x->dir, e);

    if (rc == 0 && x->disks) {
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/%s", x->dir, x->disks);
        rc = make_folder(path, e);
    }
    for (size_t i = 0; i < x->files && rc == 0; i++) {
        rc = write_file(x->dir, &x->file[i], w->force, e);
        if (rc == 0 && !w->json)
            printf("wrote    %s/%s\n", x->dir, x->file[i].name);
    }
    return rc;
}

static int export_go(const struct export_wish *w, const char *from, const char *dir, struct err *e)
{
    struct import_report read = {0};
    struct export x = {0};
    char whole[PATH_MAX];
    struct plan plan;
    int rc;

    plan_init(&plan);
    rc = describe_read(from, &w->wish, &plan, &read, e);
    if (rc == 0)
        rc = plan_complete(&plan, e);
    if (rc == 0)
        rc = make_folder(dir, e);
    if (rc == 0 && !realpath(dir, whole))
        rc = err_set(e, errno, "cannot use the folder %s: %s", dir, strerror(errno));
    x.dir = whole;
    if (rc == 0)
        rc = w->to->make(&plan, &x, e);
    if (rc == 0)
        rc = write_all(w, &x, e);
    if (rc == 0)
        rc = describe_report(&x.report, w->json, e);
    import_report_free(&read);
    export_free(&x);
    plan_free(&plan);
    return rc;
}

static int export_main(int argc, char **argv)
{
    struct export_wish w = {0};
    struct err e = {0};
    int n, rc = cli_parse(&cli_export, argc, argv, &w, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && (n != 2 || !w.to))
        rc = err_exit(&e, EX_USAGE_, EINVAL,
                      "export takes -f FORMAT, a FILE and a folder; see hospes help export");
    if (rc == 0)
        rc = export_go(&w, argv[1], argv[2], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_export = {
    .name = "export",
    .args = "-f FORMAT [OPTION...] FILE DIR",
    .about = "Writes the description of a machine for another product.",
    .options = export_options,
    .more = "FILE is a plan, or any description that import reads. Into DIR go:\n"
            "  vmx      NAME.vmx for VMware ESXi, Workstation and Fusion\n"
            "  ovf      NAME.ovf for VMware, VirtualBox and others\n"
            "  libvirt  NAME.xml for virsh define\n"
            "  hyperv   Virtual Machines/ID.vmcx and .vmrs, a folder for Hyper-V's import\n\n"
            "Disks stay as and where they are. The report tells of each that has to be converted\n"
            "or moved, with the command, and of what the other product cannot be told.",
    .run = export_main,
};
