/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpio.c - see cpio.h.
 *
 * Document: Linux Documentation/driver-api/early-userspace/buffer-format.rst and init/initramfs.c.
 */
#include "inspect/cpio.h"

#include <errno.h>
#include <string.h>

#include "core/ids.h"

/* Real initrds unpack to two to ten times their size. */
enum { BOMB_BYTES = 48 << 20, BOMB_RATIO = 40 };

enum { HEAD = 110, NAME_MAX_ = 4096, PROBE = 16 };

/* len bytes, or fewer at the end. */
static ssize_t get(struct cpio_in *c, void *buf, size_t len)
{
    size_t done = 0;

    if (c->bytes < len) {
        c->cut = true;
        return -EFBIG;
    }
    while (done < len) {
        uint8_t *to = (uint8_t *)buf + done;
        ssize_t got =
            c->u ? unpack_read(c->u, to, len - done) : c->from(c->arg, c->off, to, len - done);

        if (got < 0)
            return got;
        if (got == 0)
            break;
        done += (size_t)got;
        if (!c->u)
            c->off += (uint64_t)got;
    }
    c->bytes -= done;
    c->unpacked += c->u ? done : 0;
    if (c->unpacked > BOMB_BYTES && c->unpacked / BOMB_RATIO > unpack_tell(c->u) - c->off) {
        c->cut = c->bomb = true;
        return -EFBIG;
    }
    return (ssize_t)done;
}

/* Plain archives are skipped in without reading, packed ones must be unpacked. */
static int pass(struct cpio_in *c, uint64_t n)
{
    uint8_t waste[16384];

    if (!c->u) {
        if (add_overflows(c->off, n, &c->off))
            return -EIO;
        return 0;
    }
    while (n > 0) {
        ssize_t got = get(c, waste, (size_t)min_u64(n, sizeof(waste)));

        if (got <= 0)
            return got < 0 ? (int)got : -EIO;
        n -= (uint64_t)got;
    }
    return 0;
}

ssize_t cpio_contents(struct cpio_in *c, void *buf, size_t len)
{
    ssize_t got = get(c, buf, (size_t)min_u64(len, c->left));

    if (got > 0)
        c->left -= (uint64_t)got;
    return got;
}

static int hex(const char *p, uint32_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < 8; i++) {
        int v = hex_digit((unsigned char)p[i]);

        if (v < 0)
            return -EIO;
        *out = *out << 4 | (unsigned)v;
    }
    return 0;
}

/* One entry; its head is `h`. 1: it was the last one of its archive. */
static int entry(struct cpio_in *c, const char *h, cpio_see *see, void *arg)
{
    char name[NAME_MAX_ + 4];
    struct cpio_entry e = {.name = name};
    uint32_t size, named, mode, padded;
    int rc;

    if (hex(h + 14, &mode) < 0 || hex(h + 54, &size) < 0 || hex(h + 94, &named) < 0 || named == 0 ||
        named > NAME_MAX_)
        return -EIO;
    padded = (uint32_t)align_up(HEAD + named, 4) - HEAD;
    if (get(c, name, padded) != (ssize_t)padded)
        return c->cut ? -EFBIG : -EIO;
    name[named - 1] = '\0';
    if (strcmp(name, "TRAILER!!!") == 0)
        return 1;
    while (*e.name == '/' || (e.name[0] == '.' && e.name[1] == '/'))
        e.name++;
    e.mode = mode;
    e.size = c->left = size;
    rc = see(arg, c, &e);
    if (rc != 0)
        return rc < 0 ? rc : -ECANCELED;
    rc = pass(c, c->left);
    return rc < 0 ? rc : pass(c, align_up(size, 4) - size);
}

static bool is_cpio(const uint8_t *b, size_t n)
{
    return n >= 6 && (memcmp(b, "070701", 6) == 0 || memcmp(b, "070702", 6) == 0);
}

/* Archives from here to the end of the part. b holds the first `have` bytes, which are read. */
static int archives(struct cpio_in *c, uint8_t *b, size_t have, cpio_see *see, void *arg)
{
    bool inside = false; /* an archive has begun and not ended */

    for (;;) {
        size_t zeroes = 0;
        ssize_t got;
        int rc;

        while (zeroes < have && b[zeroes] == 0)
            zeroes++;
        memmove(b, b + zeroes, have - zeroes);
        have -= zeroes;
        got = get(c, b + have, HEAD - have);
        if (got < 0)
            return (int)got;
        have += (size_t)got;
        if (have == 0)
            return inside ? -EIO : 0;
        if (b[0] == 0)
            continue;
        if (!is_cpio(b, have)) {
            c->off -= c->u ? 0 : have; /* something else follows a plain archive */
            return c->u ? -EIO : 0;
        }
        if (have < HEAD || ++c->entries > CPIO_ENTRIES_MAX)
            return -EIO;
        rc = entry(c, (const char *)b, see, arg);
        if (rc < 0)
            return rc;
        inside = rc == 0;
        have = 0;
    }
}

/* One packed part; c->off moves past it. */
static int packed(struct cpio_in *c, enum unpack_kind kind, cpio_see *see, void *arg)
{
    uint8_t b[HEAD];
    int rc = unpack_open(kind, c->from, c->arg, c->off, &c->u);

    if (rc < 0)
        return rc;
    c->kind = kind;
    c->unpacked = 0;
    rc = archives(c, b, 0, see, arg);
    c->off = unpack_tell(c->u);
    unpack_close(c->u);
    c->u = NULL;
    c->unpacked = 0;
    return rc;
}

int cpio_read_all(struct cpio_in *c, cpio_see *see, void *arg)
{
    uint8_t b[HEAD];
    bool any = false;
    int rc = 0;

    while (rc == 0) {
        ssize_t got = c->from(c->arg, c->off, b, PROBE);
        uint64_t was = c->off;
        enum unpack_kind kind;

        if (got <= 0) {
            rc = (int)got;
            break;
        }
        while (got > 0 && c->off - was < (uint64_t)got && b[c->off - was] == 0)
            c->off++;
        if (c->off != was) {
            if (c->bytes < c->off - was)
                c->cut = true;
            c->bytes -= c->cut ? 0 : c->off - was;
            if (c->cut)
                break;
            continue;
        }
        kind = unpack_probe(b, (size_t)got);
        if (is_cpio(b, (size_t)got))
            rc = archives(c, b, 0, see, arg);
        else if (kind != UNPACK_NONE)
            rc = packed(c, kind, see, arg);
        else if (!any)
            rc = -EINVAL;
        else
            break; /* bytes that Linux would complain about, and then go on */
        any = true;
    }
    return c->cut && (rc == -EFBIG || rc == 0) ? 0 : rc;
}
