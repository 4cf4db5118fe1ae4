/* SPDX-License-Identifier: Apache-2.0 */
/* case.c - see case.h. */
#define _GNU_SOURCE
#include "support/case.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/err.h"
#include "validation/key.h"
#include "validation/pack.h"
#include "validation/vjson.h"

enum { CASE_PARTS = 256, CASE_SMALL = 64 << 10, CASE_PART_MAX = 64 << 20 };

struct part {
    char *name, *about;
};

struct support_case {
    uint8_t key[REDACT_KEY];
    struct redactor *r;
    struct vmembers members;
    struct part part[CASE_PARTS];
    size_t parts;
};

struct redactor *case_redactor(struct support_case *c)
{
    return c->r;
}

int case_create(const uint8_t *key, struct support_case **out, struct err *e)
{
    struct support_case *c = calloc(1, sizeof(*c));
    int rc;

    if (!c)
        return err_set(e, ENOMEM, "no memory for a case");
    if (sodium_init() < 0)
        rc = err_set(e, EIO, "libsodium cannot be used");
    else {
        if (key)
            memcpy(c->key, key, sizeof(c->key));
        else
            randombytes_buf(c->key, sizeof(c->key));
        rc = redactor_create(c->key, &c->r, e);
    }
    if (rc < 0)
        case_free(c);
    else
        *out = c;
    return rc;
}

void case_free(struct support_case *c)
{
    if (!c)
        return;
    redactor_free(c->r);
    vmembers_free(&c->members);
    for (size_t i = 0; i < c->parts; i++) {
        free(c->part[i].name);
        free(c->part[i].about);
    }
    sodium_memzero(c->key, sizeof(c->key));
    free(c);
}

int case_hide_self(struct support_case *c, struct err *e)
{
    static const char *const names[] = {"USER", "LOGNAME", "SUDO_USER"};
    struct utsname u;
    char *dot;
    int rc = 0;

    if (uname(&u) == 0 && strcmp(u.nodename, "(none)") != 0) {
        rc = redactor_name(c->r, "host", u.nodename, e);
        dot = strchr(u.nodename, '.');
        if (rc == 0 && dot) {
            *dot = '\0';
            rc = redactor_name(c->r, "host", u.nodename, e);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(names) && rc == 0; i++)
        rc = redactor_name(c->r, "user", getenv(names[i]), e);
    return rc;
}

/* --- parts --- */

int case_add(struct support_case *c, const char *name, const char *about, const char *text,
             size_t len, struct err *e)
{
    struct part *p = &c->part[c->parts];
    struct vbuf b = {0};
    int rc;

    if (c->parts == CASE_PARTS || len > CASE_PART_MAX)
        return err_set(e, EFBIG, "%s: a case holds %d parts of at most %d MiB", name, CASE_PARTS,
                       CASE_PART_MAX >> 20);
    redact(c->r, text, len, &b);
    rc = b.failed ? err_set(e, ENOMEM, "no memory for %s", name)
                  : vmembers_add(&c->members, name, b.data ? b.data : "", b.len, e);
    vbuf_free(&b);
    if (rc < 0)
        return rc;
    *p = (struct part){strdup(name), strdup(about)};
    if (!p->name || !p->about) {
        free(p->name);
        free(p->about);
        return err_set(e, ENOMEM, "no memory for %s", name);
    }
    c->parts++;
    return 0;
}

/* Where a text begins that was cut off: with a whole line, for half a word may be a secret that
 * nothing names, and behind a key whose head is gone. */
static size_t cut_start(const char *text, size_t len)
{
    static const char head[] = "-----BEGIN ", foot[] = "-----END ";
    const char *end = text + len, *at = memchr(text, '\n', len), *tail, *first;

    if (!at)
        return len;
    tail = memmem(at, (size_t)(end - at), foot, sizeof(foot) - 1);
    first = memmem(at, (size_t)(end - at), head, sizeof(head) - 1);
    if (tail && (!first || first > tail))
        at = memchr(tail, '\n', (size_t)(end - tail));
    return at ? (size_t)(at + 1 - text) : len;
}

/* The last `most` bytes of a file or of what comes through a pipe; *cut: there was more before. */
static int read_tail(int fd, const char *path, size_t most, struct vbuf *b, bool *cut,
                     struct err *e)
{
    struct stat st;
    char chunk[65536];
    ssize_t n = 0;

    *cut = false;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, errno, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
        return err_set(e, EINVAL, "cannot read %s: it is neither a file nor a pipe", path);
    if (S_ISREG(st.st_mode) && st.st_size > (off_t)most)
        *cut = lseek(fd, st.st_size - (off_t)most, SEEK_SET) > 0;
    while (!b->failed && (n = read(fd, chunk, sizeof(chunk))) > 0) {
        vbuf_add(b, chunk, (size_t)n);
        if (b->failed || b->len < 2 * most)
            continue;
        memmove(b->data, b->data + b->len - most, most);
        b->len = most;
        *cut = true;
    }
    if (n < 0)
        return err_exit(e, EX_HOST_IO, errno, "cannot read %s: %s", path, strerror(errno));
    return b->failed ? err_set(e, ENOMEM, "no memory for %s", path) : 0;
}

int case_add_file(struct support_case *c, const char *name, const char *about, const char *path,
                  size_t most, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
    struct vbuf b = {0};
    size_t skip;
    bool cut;

    rc = read_tail(fd, path, most, &b, &cut, e);
    if (fd >= 0)
        close(fd);
    if (rc == 0) {
        size_t from = b.len > most ? b.len - most : 0;
        const char *text = b.data ? b.data + from : "";

        skip = cut || from ? cut_start(text, b.len - from) : 0;
        rc = case_add(c, name, about, text + skip, b.len - from - skip, e);
    }
    vbuf_free(&b);
    return rc;
}

static void host_file(struct vbuf *b, const char *path)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    vbuf_print(b, "## %s\n", path);
    if (n > 0)
        vbuf_add(b, text, (size_t)n);
    else
        vbuf_print(b, "(cannot be read)\n");
    if (n > 0 && text[n - 1] != '\n')
        vbuf_print(b, "\n");
    if (fd >= 0)
        close(fd);
}

/* The first processor is enough. */
static void host_cpu(struct vbuf *b)
{
    static const char *const keys[] = {"vendor_id", "model name", "stepping", "microcode", "flags"};
    FILE *f = fopen("/proc/cpuinfo", "re");
    char line[8192];

    vbuf_print(b, "## processor (%ld of them)\n", sysconf(_SC_NPROCESSORS_ONLN));
    while (f && fgets(line, sizeof(line), f) && line[0] != '\n') {
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
            if (strncmp(line, keys[i], strlen(keys[i])) == 0)
                vbuf_print(b, "%s", line);
        }
    }
    if (f)
        fclose(f);
}

int case_add_host(struct support_case *c, struct err *e)
{
    static const char *const files[] = {
        "/etc/os-release",
        "/proc/version",
        "/proc/cmdline",
        "/proc/meminfo",
        "/sys/module/kvm/parameters/enable_vmware_backdoor",
        "/sys/module/kvm/parameters/tdp_mmu",
        "/sys/module/kvm_intel/parameters/ept",
        "/sys/module/kvm_amd/parameters/npt",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        "/proc/sys/kernel/tainted",
    };
    struct vbuf b = {0};
    struct rlimit lim;
    int rc;

    host_cpu(&b);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        host_file(&b, files[i]);
    if (getrlimit(RLIMIT_MEMLOCK, &lim) == 0)
        vbuf_print(&b, "## locked memory\n%llu\n", (unsigned long long)lim.rlim_cur);
    vbuf_print(&b, "## /dev/kvm\n%s\n",
               access("/dev/kvm", R_OK | W_OK) == 0 ? "opens" : "does not open");
    rc = b.failed ? err_set(e, ENOMEM, "no memory for the host's facts")
                  : case_add(c, "host.txt", "system, kernel, processor, KVM", b.data, b.len, e);
    vbuf_free(&b);
    return rc;
}

bool case_part(const struct support_case *c, size_t i, const char **name, const char **about,
               size_t *size)
{
    const struct vmember *m;

    if (i >= c->parts)
        return false;
    m = vmembers_find(&c->members, c->part[i].name);
    *name = c->part[i].name;
    *about = c->part[i].about;
    *size = m ? m->len : 0;
    return true;
}

/* --- writing --- */

/* Nothing that the redactor would take out may be left in what it has put out. */
static int second_look(struct support_case *c, struct err *e)
{
    struct redactor *r;
    int rc = redactor_create(c->key, &r, e);

    for (size_t i = 0; i < c->members.n && rc == 0; i++) {
        struct vbuf b = {0};

        redact(r, c->members.m[i].data, c->members.m[i].len, &b);
        vbuf_free(&b);
        if (redactor_removed(r))
            rc = err_exit(e, EX_BUG, EPERM,
                          "%s still holds what looks like a secret, so nothing was written: leave "
                          "that part out",
                          c->members.m[i].name);
    }
    redactor_free(r);
    return rc;
}

static int manifest(struct support_case *c, struct err *e)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();
    char sha[V_SHA_TEXT], *text;
    int rc;

    vjson_add_number(o, "hospes-case", 1);
    vjson_add_number(o, "secrets-removed", redactor_removed(c->r));
    for (size_t i = 0; i < c->parts; i++) {
        const struct vmember *m = vmembers_find(&c->members, c->part[i].name);
        struct json_object *p = json_object_new_object();

        sha256_text(m->data, m->len, sha);
        vjson_add_text(p, "name", m->name);
        vjson_add_text(p, "about", c->part[i].about);
        vjson_add_number(p, "size", m->len);
        vjson_add_text(p, "sha256", sha);
        json_object_array_add(list, p);
    }
    json_object_object_add(o, "parts", list);
    rc = vjson_print(o, &text, e);
    if (rc < 0)
        return rc;
    rc = vmembers_add(&c->members, "manifest.json", text, strlen(text), e);
    free(text);
    return rc;
}

int case_write(struct support_case *c, const char *path, struct err *e)
{
    char *tar = NULL, *packed = NULL;
    size_t len, packed_len;
    int rc = second_look(c, e);

    if (rc == 0)
        rc = manifest(c, e);
    if (rc == 0)
        rc = tar_pack(&c->members, &tar, &len, e);
    if (rc == 0)
        rc = zst_pack(tar, len, &packed, &packed_len, e);
    if (rc == 0)
        rc = vtext_write(path, packed, packed_len, e);
    free(tar);
    free(packed);
    return rc;
}

int case_write_map(const struct support_case *c, const char *path, struct err *e)
{
    const struct redact_found *f;
    struct vbuf b = {0};
    mode_t old = umask(077);
    int rc;

    vbuf_print(&b,
               "# What the false names of a support bundle stand for. Keep it; do not send it.\n");
    for (size_t i = 0; (f = redactor_found(c->r, i)); i++)
        vbuf_print(&b, "%s\t%s\t%s\n", f->as, f->kind, f->value);
    rc = b.failed ? err_set(e, ENOMEM, "no memory for the map")
                  : vtext_write(path, b.data, b.len, e);
    umask(old);
    vbuf_free(&b);
    return rc;
}
