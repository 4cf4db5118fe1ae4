/* SPDX-License-Identifier: Apache-2.0 */
/* export.c - see export.h. */
#define _GNU_SOURCE
#include "import/export.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/err.h"
#include "core/ids.h"
#include "core/path.h"
#include "machine/plan.h"

extern const struct exporter_ops exporter_vmx, exporter_ovf, exporter_libvirt, exporter_hyperv;

const struct exporter_ops *const exporters[] = {
    &exporter_vmx, &exporter_ovf, &exporter_libvirt, &exporter_hyperv, NULL,
};

const struct exporter_ops *exporter_find(const char *name)
{
    for (size_t i = 0; exporters[i]; i++) {
        if (strcmp(exporters[i]->name, name) == 0)
            return exporters[i];
    }
    return NULL;
}

void export_free(struct export *x)
{
    for (size_t i = 0; i < x->files; i++) {
        free(x->file[i].name);
        buf_free(&x->file[i].text);
    }
    import_report_free(&x->report);
    x->files = 0;
}

struct buf *export_file(struct export *x, struct err *e, const char *fmt, ...)
{
    struct export_file *f = &x->file[x->files];
    va_list ap;
    int n;

    *f = (struct export_file){0};
    va_start(ap, fmt);
    n = vasprintf(&f->name, fmt, ap);
    va_end(ap);
    if (n < 0) {
        (void)err_set(e, ENOMEM, "no memory for a file name");
        return NULL;
    }
    x->files++;
    return &f->text;
}

int export_tell(struct export *x, const char *key, const char *value, const char *to,
                const char *why, struct err *e)
{
    return import_tell(&x->report, to ? IMPORT_CHANGED : IMPORT_DROPPED, 0, key, value, to, why, e);
}

/* --- disks --- */

/* An image of another kind, as far as its name or the plan says. */
static bool foreign(const struct plan_disk *d, const char *name, const char *suffixes)
{
    static const char images[] = ".qcow2 .qcow .qed .vdi .vhd .vhdx .avhdx .vmdk .raw .img .hdd";
    char said[24];

    if (!suffixes || d->cdrom)
        return false;
    snprintf(said, sizeof(said), "disk.%.18s", d->format ? d->format : "");
    if (path_has_suffix(said, images))
        return !path_has_suffix(said, suffixes);
    return path_has_suffix(name, images) && !path_has_suffix(name, suffixes);
}

static int convert(struct export *x, size_t i, const struct plan_disk *d, const char *suffixes,
                   char **name, struct err *e)
{
    const char *base = path_last(*name);
    int suffix = (int)strcspn(suffixes, " "), stem = (int)(path_suffix(base) - base);
    char *made, *why, key[24];
    int rc;

    if (asprintf(&made, "%.*s%.*s", stem, base, suffix, suffixes) < 0)
        return err_set(e, ENOMEM, "no memory for a file name");
    if (asprintf(&why, "make it by: hospes image convert -O %.*s \"%s\" \"%s/%s%s%s\"", suffix - 1,
                 suffixes + 1, d->path, x->dir, x->disks ? x->disks : "", x->disks ? "/" : "",
                 made) < 0) {
        free(made);
        return err_set(e, ENOMEM, "no memory for a file name");
    }
    snprintf(key, sizeof(key), "disk%zu", i);
    rc = export_tell(x, key, d->path, made, why, e);
    free(why);
    free(*name);
    *name = made;
    return rc;
}

int export_disk(struct export *x, size_t i, const struct plan_disk *d, const char *suffixes,
                char **out, struct err *e)
{
    const char *name = path_below(x->dir, d->path);
    char *whole = NULL;

    if (!name && d->path[0] != '/' && !strstr(d->path, ":"))
        whole = realpath(d->path, NULL);
    *out = whole ? whole : strdup(name ? name : d->path);
    if (!*out)
        return err_set(e, ENOMEM, "no memory for a file name");
    return foreign(d, *out, suffixes) ? convert(x, i, d, suffixes, out, e) : 0;
}

/* --- order and names --- */

size_t export_boot(const struct plan *p, struct export_boot out[EXPORT_BOOT_MAX])
{
    size_t n = 0;

    for (unsigned order = 1; order <= 65535; order++) {
        bool more = false;

        for (size_t i = 0; i < p->disks; i++) {
            if (p->disk[i].boot == order && n < EXPORT_BOOT_MAX)
                out[n++] = (struct export_boot){false, i};
            more |= p->disk[i].boot > order;
        }
        for (size_t i = 0; i < p->nics; i++) {
            if (p->nic[i].boot == order && n < EXPORT_BOOT_MAX)
                out[n++] = (struct export_boot){true, i};
            more |= p->nic[i].boot > order;
        }
        if (!more)
            break;
    }
    return n;
}

void export_guid(const uint8_t b[16], char out[37])
{
    snprintf(out, 37, UUID_FMT, UUID_ARGS(b));
}

const char *export_title(const struct plan *p)
{
    return p->title ? p->title : p->name ? p->name : "guest";
}
