/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk_desc.c - descriptors: the text that lists the extents of a disk.
 *
 * Keys are matched without regard to case. What is not understood is skipped, as there are keys of
 * many products; what is understood must make sense.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "core/err.h"
#include "core/path.h"
#include "storage/format/vmdk.h"

enum { LINE_MAX_ = 4400 };

static int bad_line(const char *path, unsigned line, const char *what, struct err *e)
{
    return err_set(e, EINVAL, "the descriptor of VMDK image '%s' is damaged: %s in line %u", path,
                   what, line);
}

/* --- one line --- */

/* Cuts the next word off *at; NULL: no more. */
static char *word(char **at)
{
    char *p = *at + strspn(*at, " \t"), *end = p + strcspn(p, " \t");

    if (!*p)
        return NULL;
    *at = *end ? end + 1 : end;
    *end = '\0';
    return p;
}

static bool number(const char *s, uint64_t *out)
{
    char *end;

    if (!s || !isdigit((unsigned char)*s))
        return false;
    errno = 0;
    *out = strtoull(s, &end, 10);
    return errno == 0 && !*end;
}

static bool access_of(const char *s, enum vmdk_access *out)
{
    static const char *const names[] = {"RW", "RDONLY", "NOACCESS"};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        size_t n = strlen(names[i]);

        if (strncasecmp(s, names[i], n) == 0 && (s[n] == ' ' || s[n] == '\t')) {
            *out = (enum vmdk_access)i;
            return true;
        }
    }
    return false;
}

static bool type_of(const char *s, enum vmdk_type *out)
{
    static const struct {
        const char *name;
        enum vmdk_type type;
    } known[] = {
        {"FLAT", VMDK_FLAT},     {"VMFS", VMDK_FLAT},       {"ZERO", VMDK_ZERO},
        {"SPARSE", VMDK_SPARSE}, {"VMFSSPARSE", VMDK_COWD}, {"SESPARSE", VMDK_SESPARSE},
        {"VMFSRDM", VMDK_RAW},   {"VMFSRAW", VMDK_RAW},
    };

    for (size_t i = 0; s && i < ARRAY_SIZE(known); i++) {
        if (strcasecmp(s, known[i].name) == 0) {
            *out = known[i].type;
            return true;
        }
    }
    return false;
}

/* Room for one more line. */
static struct vmdk_line *add_line(struct vmdk_desc *d)
{
    if (d->n == d->room) {
        size_t room = d->room ? d->room * 2 : 4;
        struct vmdk_line *v = reallocarray(d->lines, room, sizeof(*v));

        if (!v)
            return NULL;
        d->lines = v;
        d->room = room;
    }
    d->lines[d->n] = (struct vmdk_line){0};
    return &d->lines[d->n++];
}

/* A name in quotes, or a bare word. */
static char *name_of(char **at)
{
    char *p = *at + strspn(*at, " \t"), *end;

    if (*p != '"')
        return word(at);
    end = strchr(++p, '"');
    if (!end)
        return NULL;
    *end = '\0';
    *at = end + 1;
    return p;
}

static int extent_line(struct vmdk_desc *d, char *s, size_t text_at, unsigned line,
                       const char *path, enum vmdk_access access, struct err *e)
{
    struct vmdk_line *x = d->n < VMDK_EXTENTS_MAX ? add_line(d) : NULL;
    char *at = s, *kind, *name, *sectors;

    if (!x)
        return d->n < VMDK_EXTENTS_MAX
                   ? err_set(e, ENOMEM, "no memory to open VMDK image '%s'", path)
                   : bad_line(path, line, "there are too many extents", e);
    (void)word(&at);
    x->access = access;
    sectors = word(&at);
    if (!number(sectors, &x->sectors) || x->sectors == 0 || x->sectors > INT64_MAX / VMDK_SECTOR)
        return bad_line(path, line, "there is no valid count of sectors", e);
    x->sectors_at = text_at + (size_t)(sectors - s);
    kind = word(&at);
    if (!type_of(kind, &x->type))
        return bad_line(path, line, "there is an unknown type of extent", e);
    snprintf(x->kind, sizeof(x->kind), "%s", kind);
    name = x->type == VMDK_ZERO ? NULL : name_of(&at);
    if (x->type != VMDK_ZERO && (!name || !*name))
        return bad_line(path, line, "an extent has no file", e);
    if (name && !(x->name = strdup(name)))
        return err_set(e, ENOMEM, "no memory to open VMDK image '%s'", path);
    name = word(&at);
    if (x->type == VMDK_FLAT && name &&
        (!number(name, &x->offset) || x->offset > INT64_MAX / VMDK_SECTOR))
        return bad_line(path, line, "an extent has no valid offset", e);
    return 0;
}

static void keep(char *to, size_t room, const char *value)
{
    snprintf(to, room, "%s", value);
}

static bool hex32(const char *s, uint32_t *out, unsigned *digits)
{
    *digits = (unsigned)strspn(s, "0123456789abcdefABCDEF");
    if (*digits == 0 || *digits > 8 || s[*digits])
        return false;
    *out = (uint32_t)strtoul(s, NULL, 16);
    return true;
}

static int key_line(struct vmdk_desc *d, const char *key, const char *value, size_t value_at,
                    unsigned line, const char *path, struct err *e)
{
    unsigned digits;

    if (strcasecmp(key, "CID") == 0) {
        if (!hex32(value, &d->cid, &d->cid_digits))
            return bad_line(path, line, "there is no valid content ID", e);
        d->cid_at = value_at;
    } else if (strcasecmp(key, "parentCID") == 0) {
        if (!hex32(value, &d->parent_cid, &digits))
            return bad_line(path, line, "there is no valid content ID of the parent", e);
    } else if (strcasecmp(key, "createType") == 0) {
        keep(d->type, sizeof(d->type), value);
    } else if (strcasecmp(key, "encoding") == 0) {
        keep(d->encoding, sizeof(d->encoding), value);
    } else if (strcasecmp(key, "parentFileNameHint") == 0) {
        free(d->hint);
        d->hint = strdup(value);
        if (!d->hint)
            return err_set(e, ENOMEM, "no memory to open VMDK image '%s'", path);
    } else if (strcasecmp(key, "ddb.adapterType") == 0) {
        keep(d->adapter, sizeof(d->adapter), value);
    } else if (strcasecmp(key, "ddb.virtualHWVersion") == 0) {
        keep(d->hwversion, sizeof(d->hwversion), value);
    } else if (strcasecmp(key, "ddb.toolsVersion") == 0) {
        keep(d->tools, sizeof(d->tools), value);
    } else if (strcasecmp(key, "ddb.uuid") == 0) {
        keep(d->uuid, sizeof(d->uuid), value);
    } else if (strcasecmp(key, "ddb.thinProvisioned") == 0) {
        d->thin = strcmp(value, "1") == 0;
    } else if (strcasecmp(key, "ddb.longContentID") == 0 &&
               strspn(value, "0123456789abcdefABCDEF") == 32 && !value[32]) {
        d->long_at = value_at + 24;
    }
    return 0;
}

static int one_line(struct vmdk_desc *d, char *s, size_t at, unsigned line, const char *path,
                    struct err *e)
{
    enum vmdk_access access;
    char *p = s + strspn(s, " \t"), *eq, *value;
    size_t n = strlen(p);

    while (n && isspace((unsigned char)p[n - 1]))
        p[--n] = '\0';
    if (!*p || *p == '#')
        return 0;
    if (access_of(p, &access))
        return extent_line(d, p, at + (size_t)(p - s), line, path, access, e);
    eq = strchr(p, '=');
    if (!eq)
        return 0;
    value = eq + 1 + strspn(eq + 1, " \t");
    for (*eq = '\0'; eq > p && isspace((unsigned char)eq[-1]);)
        *--eq = '\0';
    n = strlen(value);
    if (n >= 2 && value[0] == '"' && value[n - 1] == '"') {
        value[n - 1] = '\0';
        value++;
    }
    return key_line(d, p, value, at + (size_t)(value - s), line, path, e);
}

/* --- the text --- */

int vmdk_desc_parse(struct vmdk_desc *d, const char *text, size_t n, const char *path,
                    struct err *e)
{
    char line[LINE_MAX_];
    unsigned count = 0;
    int rc = 0;

    *d = (struct vmdk_desc){.cid = UINT32_MAX, .parent_cid = UINT32_MAX};
    for (size_t at = 0; at < n && text[at] && rc == 0;) {
        size_t len = strcspn(text + at, "\n");

        count++;
        if (len >= sizeof(line))
            return bad_line(path, count, "there are too many characters", e);
        memcpy(line, text + at, len);
        line[len] = '\0';
        rc = one_line(d, line, at, count, path, e);
        at += len + (text[at + len] == '\n');
    }
    return rc;
}

void vmdk_desc_free(struct vmdk_desc *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->lines[i].name);
    free(d->lines);
    free(d->hint);
    *d = (struct vmdk_desc){0};
}

/* Comments and blank lines, then the version: the first comment is not the same in all products. */
bool vmdk_desc_probe(const uint8_t *head, size_t n)
{
    static const char title[] = "# Disk DescriptorFile";
    const char *p = (const char *)head;
    size_t at = 0;

    if (n >= sizeof(title) - 1 && strncasecmp(p, title, sizeof(title) - 1) == 0)
        return true;
    while (at < n && (p[at] == '#' || isspace((unsigned char)p[at]))) {
        const char *end = p[at] == '#' ? memchr(p + at, '\n', n - at) : p + at;

        at = end ? (size_t)(end - p) + 1 : n;
    }
    return n - at > 9 && strncasecmp(p + at, "version=", 8) == 0 && p[at + 8] >= '1' &&
           p[at + 8] <= '3' && memmem(head, n, "CID", 3);
}

int vmdk_desc_read(struct disk *file, uint64_t at, uint64_t len, const char *path, char **text,
                   size_t *n, struct err *e)
{
    int rc;

    *text = NULL;
    if (len > VMDK_TEXT_MAX)
        return vmdk_bad(path, "its descriptor is too long", e);
    *text = malloc(len + 1);
    rc = *text ? disk_read(file, at, *text, len) : -ENOMEM;
    if (rc < 0) {
        free(*text);
        *text = NULL;
        return err_set(e, -rc, "cannot read the descriptor of VMDK image '%s': %s", path,
                       strerror(-rc));
    }
    (*text)[len] = '\0';
    *n = strlen(*text);
    return 0;
}

/* --- names --- */

/* Only these: a name from a file never chooses a converter freely. */
static const char *charset(const char *encoding)
{
    static const char *const known[][2] = {
        {"windows-1250", "CP1250"}, {"windows-1251", "CP1251"}, {"windows-1252", "CP1252"},
        {"windows-1253", "CP1253"}, {"windows-1254", "CP1254"}, {"GBK", "GBK"},
        {"Big5", "BIG5"},           {"Shift_JIS", "SHIFT_JIS"}, {"EUC-KR", "EUC-KR"},
        {"ISO-8859-1", "LATIN1"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (strcasecmp(encoding, known[i][0]) == 0)
            return known[i][1];
    }
    return NULL;
}

/* NULL: cannot be converted. */
static char *converted(const char *from, const char *name)
{
    size_t n = strlen(name), room = n * 4 + 1, left = room - 1;
    iconv_t k = iconv_open("UTF-8", from);
    char *in = (char *)name, *out, *at;

    if (k == (iconv_t)-1)
        return NULL;
    out = at = malloc(room);
    if (out && (iconv(k, &in, &n, &at, &left) == (size_t)-1 || n)) {
        free(out);
        out = NULL;
    }
    if (out)
        *at = '\0';
    iconv_close(k);
    return out;
}

char *vmdk_desc_name(const struct vmdk_desc *d, const char *name)
{
    const char *from = charset(d->encoding);
    char *out = from ? converted(from, name) : NULL;

    if (!out)
        out = strdup(name);
    if (out)
        path_from_windows(out);
    return out;
}

/* --- writing --- */

uint32_t vmdk_new_cid(void)
{
    uint32_t cid = 0;

    while (cid == 0 || cid >= UINT32_MAX - 1)
        (void)!getrandom(&cid, sizeof(cid), 0);
    return cid;
}

void vmdk_text_head(FILE *f, const struct vmdk_text *t)
{
    fprintf(f,
            "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\nCID=%08x\nparentCID=%08x\n"
            "createType=\"%s\"\n",
            t->cid, t->parent_cid, t->create_type);
    if (t->hint)
        fprintf(f, "parentFileNameHint=\"%s\"\n", t->hint);
    fprintf(f, "\n# Extent description\n");
}

void vmdk_text_tail(FILE *f, const struct vmdk_text *t)
{
    bool ide = strcmp(t->adapter, "ide") == 0, small = t->sectors < 2 * GiB / VMDK_SECTOR;
    uint64_t heads = ide ? 16 : small ? (t->sectors < GiB / VMDK_SECTOR ? 64 : 128) : 255;
    uint64_t sectors = ide || !small ? 63 : 32, cylinders = t->sectors / (heads * sectors);

    if (ide)
        cylinders = min_u64(cylinders, 16383);
    fprintf(f,
            "\n# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"%s\"\n"
            "ddb.geometry.cylinders = \"%llu\"\nddb.geometry.heads = \"%llu\"\n"
            "ddb.geometry.sectors = \"%llu\"\nddb.adapterType = \"%s\"\n",
            t->hwversion, (unsigned long long)max_u64(cylinders, 1), (unsigned long long)heads,
            (unsigned long long)sectors, t->adapter);
    if (t->thin)
        fprintf(f, "ddb.thinProvisioned = \"1\"\n");
    fprintf(f, "ddb.toolsVersion = \"%s\"\n", t->tools);
}
