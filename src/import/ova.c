/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ova.c - an OVF with all its files in one tar archive; disks stay where they lie in it.
 *
 * Document: DMTF DSP0243 5.3. The descriptor should be the first member; one further on is found,
 * too. The manifest is checked, a certificate is told of and not judged.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/err.h"
#include "core/path.h"
#include "import/archive.h"
#include "import/manifest.h"
#include "machine/plan.h"
#include "storage/tar.h"

enum { OVF_MAX = 4 << 20 };

extern const struct importer_ops importer_ovf;

/* The only member whose name ends so; NULL: none, *several: more than one. */
static const struct member *only(const struct members *m, const char *suffix, bool *several)
{
    const struct member *hit = NULL;

    *several = false;
    for (size_t i = 0; i < m->n; i++) {
        if (!path_has_suffix(m->v[i].name, suffix))
            continue;
        *several = hit != NULL;
        if (hit)
            return hit;
        hit = &m->v[i];
    }
    return hit;
}

static int check_manifest(const struct import_file *f, struct disk *archive, const char *descriptor,
                          struct import_report *r, struct err *e)
{
    struct manifest_source s = {.archive = archive, .descriptor = descriptor};
    bool several;
    const struct member *mf = only(f->members, ".mf", &several);
    char *text = NULL;
    size_t len;
    int rc;

    if (!mf)
        return import_tell(r, IMPORT_DROPPED, 0, "manifest", "none", NULL,
                           "the archive has no manifest, so damage would not be noticed", e);
    rc = member_text(archive, mf, OVF_MAX, &text, &len, e);
    if (rc == 0)
        rc = manifest_check(f, &s, text, r, e);
    free(text);
    return rc;
}

/* Members that are neither descriptor, manifest nor disk: told, as they are part of what came. */
static int tell_others(const struct members *m, struct import_report *r, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < m->n && rc == 0; i++) {
        const char *name = m->v[i].name;

        if (path_has_suffix(name, ".ovf") || path_has_suffix(name, ".mf") || m->v[i].disk)
            continue;
        rc = import_tell(r, IMPORT_DROPPED, 0, "member", name, NULL,
                         path_has_suffix(name, ".cert")
                             ? "a signature; whom to trust is for people to say"
                             : "not a part that a machine is made of",
                         e);
    }
    return rc;
}

static int read_descriptor(const struct import_file *f, struct disk *archive,
                           const struct members *m, struct plan *p, struct import_report *r,
                           struct err *e)
{
    struct import_file inner = *f;
    bool several;
    const struct member *ovf = only(m, ".ovf", &several);
    int rc;

    if (!ovf || several)
        return err_exit(e, EX_BAD_INPUT, EINVAL, "there %s in the archive",
                        ovf ? "is more than one .ovf" : "is no .ovf");
    inner.archive = f->path;
    inner.members = m;
    inner.text = NULL;
    rc = member_text(archive, ovf, OVF_MAX, &inner.text, &inner.size, e);
    if (rc == 0)
        rc = check_manifest(&inner, archive, ovf->name, r, e);
    if (rc == 0)
        rc = importer_ovf.read(&inner, p, r, e);
    if (rc < 0)
        err_wrap(e, "%s", ovf->name);
    else
        rc = tell_others(m, r, e);
    free(inner.text);
    return rc;
}

static int ova_read(const struct import_file *f, struct plan *p, struct import_report *r,
                    struct err *e)
{
    struct members m = {0};
    struct disk *archive;
    int rc = archive_open(f, &archive, e);

    if (rc < 0)
        return rc;
    rc = members_list(archive, f->path, &m, e);
    if (rc == 0)
        rc = read_descriptor(f, archive, &m, p, r, e);
    members_free(&m);
    disk_close(archive);
    return rc;
}

static int ova_probe(const char *head, size_t n)
{
    char name[TAR_NAME_MAX];

    if (n < 512 || !tar_probe((const uint8_t *)head, n))
        return 0;
    tar_first_name((const uint8_t *)head, name, sizeof(name));
    return path_has_suffix(name, ".ovf") ? 95 : 20;
}

const struct importer_ops importer_ova = {
    .name = "ova",
    .about = "OVF with its disks in one archive, used in place",
    .suffixes = ".ova .tar",
    .max_size = 0,
    .probe = ova_probe,
    .read = ova_read,
};
