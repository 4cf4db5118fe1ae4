/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar.c - see tar.h. Headers are read through a small window: in archives of many small members, as
 * XVA is, the members, their checksums and the next headers are neighbours.
 */
#include "storage/tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/tar.h"
#include "core/path.h"

enum { PAX_MAX = 64 * 1024 };

static int get(struct tar *t, uint64_t at, void *out, size_t n)
{
    uint64_t size = disk_bytes(t->file);
    int rc;

    if (!range_in(at, n, size))
        return -EINVAL;
    if (at < t->window_at || at + n > t->window_at + t->window_len) {
        t->window_at = at;
        t->window_len = min_u64(sizeof(t->window), size - at);
        rc = disk_read(t->file, at, t->window, t->window_len);
        if (rc < 0) {
            t->window_len = 0;
            return rc;
        }
    }
    memcpy(out, t->window + (at - t->window_at), n);
    return 0;
}

/* false: no number. */
static bool number(const char *p, size_t n, uint64_t *out)
{
    const uint8_t *b = (const uint8_t *)p;
    uint64_t v = 0;
    size_t i = 0;

    if (b[0] & 0x80) {
        v = b[0] & 0x7f;
        for (i = 1; i < n; i++) {
            if (v >> 55)
                return false;
            v = v << 8 | b[i];
        }
        *out = v;
        return true;
    }
    while (i < n && p[i] == ' ')
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
        if (v >> 60)
            return false;
        v = v << 3 | (uint64_t)(p[i] - '0');
    }
    *out = v;
    return i == n || p[i] == ' ' || p[i] == '\0';
}

static bool checksum_is_right(const struct tar_header *h)
{
    const uint8_t *b = (const uint8_t *)h;
    uint64_t sum = 0, want;
    size_t skip = offsetof(struct tar_header, chksum);

    for (size_t i = 0; i < sizeof(*h); i++)
        sum += i >= skip && i < skip + sizeof(h->chksum) ? ' ' : b[i];
    return number(h->chksum, sizeof(h->chksum), &want) && sum == want;
}

static void append(char *to, size_t room, const char *from, size_t n)
{
    size_t have = strlen(to);

    n = min_u64(strnlen(from, n), room - 1 - have);
    memcpy(to + have, from, n);
    to[have + n] = '\0';
}

static void undot(char *name)
{
    const char *rest = path_undotted(name);

    memmove(name, rest, strlen(rest) + 1);
}

static void name_of(const struct tar_header *h, char *name, size_t room)
{
    name[0] = '\0';
    if (memcmp(h->magic, "ustar", 6) == 0 && h->prefix[0]) {
        append(name, room, h->prefix, sizeof(h->prefix));
        append(name, room, "/", 1);
    }
    append(name, room, h->name, sizeof(h->name));
    undot(name);
}

bool tar_probe(const uint8_t *head, size_t n)
{
    struct tar_header h;

    if (n < sizeof(h))
        return false;
    memcpy(&h, head, sizeof(h));
    return h.name[0] && checksum_is_right(&h);
}

void tar_first_name(const uint8_t *head, char *name, size_t room)
{
    struct tar_header h;

    memcpy(&h, head, sizeof(h));
    name_of(&h, name, room);
}

/* --- what headers say about the next one --- */

struct about {
    char name[TAR_NAME_MAX]; /* "": nothing said */
    bool sized, sparse;
    uint64_t size;
};

/* One "LEN KEY=VALUE\n" of text, which has n bytes; its length, 0: none. */
static size_t pax_line(struct about *a, const char *text, size_t n)
{
    size_t len = 0, i = 0;
    const char *key, *value;

    while (i < n && i < 8 && text[i] >= '0' && text[i] <= '9')
        len = len * 10 + (size_t)(text[i++] - '0');
    if (i == 0 || i >= n || text[i] != ' ' || len <= i + 1 || len > n || text[len - 1] != '\n')
        return 0;
    key = text + i + 1;
    value = memchr(key, '=', len - i - 2);
    if (!value++)
        return 0;
    if (strncmp(key, "path=", 5) == 0) {
        a->name[0] = '\0';
        append(a->name, sizeof(a->name), value, (size_t)(text + len - 1 - value));
    } else if (strncmp(key, "size=", 5) == 0) {
        char digits[24] = "";

        append(digits, sizeof(digits), value, (size_t)(text + len - 1 - value));
        a->size = strtoull(digits, NULL, 10);
        a->sized = true;
    } else if (strncmp(key, "GNU.sparse.", 11) == 0) {
        a->sparse = true;
    }
    return len;
}

static int read_about(struct tar *t, char type, uint64_t at, uint64_t size, struct about *a)
{
    char *text;
    size_t len = 1;
    int rc;

    if (type == TAR_PAX_ALL || type == TAR_GNU_LINK)
        return 0;
    if (size > PAX_MAX || !range_in(at, size, disk_bytes(t->file)))
        return -EINVAL;
    text = malloc(size + 1);
    if (!text)
        return -ENOMEM;
    rc = disk_read(t->file, at, text, size);
    if (rc == 0 && type == TAR_GNU_NAME) {
        a->name[0] = '\0';
        append(a->name, sizeof(a->name), text, size);
    }
    for (size_t i = 0; rc == 0 && type == TAR_PAX && i < size && len > 0; i += len)
        len = pax_line(a, text + i, size - i);
    free(text);
    return rc;
}

static bool is_about(char type)
{
    return type == TAR_PAX || type == TAR_PAX_ALL || type == TAR_GNU_NAME || type == TAR_GNU_LINK;
}

static bool has_bytes(char type)
{
    return type == TAR_FILE || type == '\0' || type == '7' || type == TAR_GNU_SPARSE;
}

/* One header that is not about another: fills x. */
static int fill(struct tar *t, const struct tar_header *h, const struct about *a, uint64_t size,
                struct tar_member *x)
{
    if (a->sized)
        size = a->size;
    if (!has_bytes(h->typeflag) && !a->sized)
        size = h->typeflag >= '1' && h->typeflag <= '6' ? 0 : size;
    if (a->name[0]) {
        memcpy(x->name, a->name, sizeof(x->name));
        undot(x->name);
    } else {
        name_of(h, x->name, sizeof(x->name));
    }
    x->sparse = a->sparse || h->typeflag == TAR_GNU_SPARSE;
    x->file = has_bytes(h->typeflag) && !x->sparse;
    x->at = t->pos + TAR_BLOCK;
    x->size = size;
    if (!range_in(x->at, size, disk_bytes(t->file)))
        return -EINVAL;
    t->pos = x->at + align_up(size, TAR_BLOCK);
    return 1;
}

int tar_next(struct tar *t, struct tar_member *x)
{
    struct about a = {0};
    struct tar_header h;

    for (;;) {
        uint64_t size;
        int rc;

        if (t->pos >= disk_bytes(t->file))
            return 0;
        rc = get(t, t->pos, &h, sizeof(h));
        if (rc < 0)
            return rc;
        if (!h.name[0] && !h.chksum[0])
            return 0;
        if (!checksum_is_right(&h) || !number(h.size, sizeof(h.size), &size))
            return -EINVAL;
        if (!is_about(h.typeflag))
            return fill(t, &h, &a, size, x);
        rc = read_about(t, h.typeflag, t->pos + TAR_BLOCK, size, &a);
        if (rc < 0)
            return rc;
        if (!range_in(t->pos + TAR_BLOCK, size, disk_bytes(t->file)))
            return -EINVAL;
        t->pos += TAR_BLOCK + align_up(size, TAR_BLOCK);
    }
}
