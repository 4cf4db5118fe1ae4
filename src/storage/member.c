/* SPDX-License-Identifier: Apache-2.0 */
/* member.c - see member.h. */
#define _GNU_SOURCE
#include "storage/member.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "abi/tar.h"
#include "core/err.h"
#include "core/path.h"
#include "storage/tar.h"

enum { MEMBERS_MAX = 4096 };

static bool first_header(struct disk *file, uint8_t *head)
{
    return disk_bytes(file) >= TAR_BLOCK && disk_read(file, 0, head, TAR_BLOCK) == 0 &&
           tar_probe(head, TAR_BLOCK);
}

bool archive_is(struct disk *file)
{
    uint8_t head[TAR_BLOCK];

    return first_header(file, head);
}

bool archive_begins(struct disk *file, const char *end)
{
    uint8_t head[TAR_BLOCK];
    char name[TAR_NAME_MAX];
    size_t n, m = strlen(end);

    if (!first_header(file, head))
        return false;
    tar_first_name(head, name, sizeof(name));
    n = strlen(name);
    return n >= m && strcasecmp(name + n - m, end) == 0;
}

bool member_is_disk(const char *name)
{
    char base[TAR_NAME_MAX];

    snprintf(base, sizeof(base), "%s", name);
    if (path_has_suffix(base, ".gz"))
        base[strlen(base) - 3] = '\0';
    return path_has_suffix(base, ".vmdk .vhd .vhdx .vdi .qcow2 .img .raw .hdd .qed .iso");
}

/* --- the list --- */

static int add(struct members *m, const struct tar_member *x)
{
    if (m->n == m->room) {
        size_t room = m->room ? m->room * 2 : 8;
        struct member *v = reallocarray(m->v, room, sizeof(*v));

        if (!v)
            return -ENOMEM;
        m->v = v;
        m->room = room;
    }
    m->v[m->n] = (struct member){strdup(x->name), x->at, x->size, member_is_disk(x->name)};
    return m->v[m->n].name ? (void)m->n++, 0 : -ENOMEM;
}

int members_list(struct disk *file, const char *path, struct members *out, struct err *e)
{
    struct tar t = {.file = file};
    struct tar_member x;
    int rc;

    *out = (struct members){0};
    while ((rc = tar_next(&t, &x)) > 0) {
        if (x.sparse)
            return err_set(
                e, EINVAL,
                "member '%s' of archive '%s' is stored as a sparse file, which cannot be "
                "read in its place; unpack the archive with tar",
                x.name, path);
        if (!x.file)
            continue;
        if (out->n == MEMBERS_MAX)
            return err_set(e, EINVAL, "archive '%s' has more than %d members", path, MEMBERS_MAX);
        rc = add(out, &x);
        if (rc < 0)
            break;
    }
    if (rc == 0 && out->n == 0)
        rc = -EINVAL;
    if (rc == -EINVAL)
        return err_set(e, EINVAL,
                       "archive '%s' is damaged, cut off or no tar archive at all; compare its "
                       "length and checksum with the original's",
                       path);
    return rc < 0 ? err_set(e, -rc, "cannot read archive '%s': %s", path, strerror(-rc)) : 0;
}

void members_free(struct members *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->v[i].name);
    free(m->v);
    *m = (struct members){0};
}

const struct member *members_find(const struct members *m, const char *name)
{
    name = path_undotted(name);
    for (size_t i = 0; i < m->n; i++) {
        if (strcmp(m->v[i].name, name) == 0)
            return &m->v[i];
    }
    return NULL;
}

int member_text(struct disk *file, const struct member *x, size_t most, char **text, size_t *len,
                struct err *e)
{
    int rc;

    *text = NULL;
    if (x->size > most)
        return err_set(e, EFBIG,
                       "archive member '%s' is longer than the %zu bytes that it may have", x->name,
                       most);
    *text = malloc(x->size + 1);
    rc = *text ? disk_read(file, x->at, *text, x->size) : -ENOMEM;
    if (rc < 0) {
        free(*text);
        *text = NULL;
        return err_set(e, -rc, "cannot read archive member '%s': %s", x->name, strerror(-rc));
    }
    (*text)[x->size] = '\0';
    *len = x->size;
    return 0;
}

/* --- opening --- */

/* The names of all disks, for a message. */
static const char *names(const struct members *m, char *buf, size_t room)
{
    size_t n = 0;

    buf[0] = '\0';
    for (size_t i = 0; i < m->n && n < room - 1; i++) {
        if (m->v[i].disk)
            n += (size_t)snprintf(buf + n, room - n, "%s%s", n ? ", " : "", m->v[i].name);
    }
    return buf[0] ? buf : "none";
}

static int choose(const struct members *m, const char *path, const char *name,
                  const struct member **out, struct err *e)
{
    char buf[400];
    size_t disks = 0;

    *out = name ? members_find(m, name) : NULL;
    for (size_t i = 0; i < m->n && !name; i++) {
        if (m->v[i].disk && !path_has_suffix(m->v[i].name, ".iso")) {
            *out = &m->v[i];
            disks++;
        }
    }
    if (name && !*out)
        return err_set(e, ENOENT, "archive '%s' has no member '%s'; the disks in it are: %s", path,
                       name, names(m, buf, sizeof(buf)));
    if (!name && disks != 1)
        return err_set(e, EINVAL,
                       "archive '%s' holds %zu disks; name one as in '%s:MEMBER', the disks in it "
                       "are: %s",
                       path, disks, path, names(m, buf, sizeof(buf)));
    return 0;
}

/* OVF's compressed members. */
static int refuse_packed(struct disk *file, const char *path, const struct member *x, struct err *e)
{
    uint8_t head[3] = {0};

    if (x->size >= 3 && disk_read(file, x->at, head, 3) == 0 && head[0] == 0x1f &&
        head[1] == 0x8b && head[2] == 8)
        return err_set(
            e, EINVAL,
            "member '%s' of archive '%s' is packed with gzip, so it cannot be read in its "
            "place; unpack the archive with tar and the disk with gunzip",
            x->name, path);
    return 0;
}

int member_open(struct disk *file, const char *path, const char *name, struct loop *l,
                struct disk **out, char **found, struct err *e)
{
    struct members m;
    const struct member *x = NULL;
    int rc = members_list(file, path, &m, e);

    if (rc == 0)
        rc = choose(&m, path, name, &x, e);
    if (rc == 0)
        rc = refuse_packed(file, path, x, e);
    if (rc == 0 && found && !(*found = strdup(x->name)))
        rc = err_set(e, ENOMEM, "no memory to open '%s'", path);
    if (rc == 0) {
        rc = slice_create(file, x->at, x->size, l, out, e);
        if (rc < 0 && found)
            free(*found);
    }
    members_free(&m);
    return rc;
}

size_t member_split(const char *path)
{
    struct stat st;
    char *copy;
    size_t n = 0;

    if (!strchr(path, ':') || stat(path, &st) == 0 || !(copy = strdup(path)))
        return 0;
    for (char *at = copy; n == 0 && (at = strchr(at, ':')); at++) {
        *at = '\0';
        if (at > copy && at[1] && stat(copy, &st) == 0 && S_ISREG(st.st_mode))
            n = (size_t)(at - copy);
        *at = ':';
    }
    free(copy);
    return n;
}
