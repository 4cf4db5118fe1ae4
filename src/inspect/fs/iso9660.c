/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iso9660.c - ISO 9660 with the names and links of Rock Ridge, or of Joliet.
 *
 * Documents: ECMA-119; IEEE P1282 (SUSP and RRIP) drafts 1.12; the Joliet specification of 1995.
 * Not modelled: interleaved files, relocated folders (CL, PL), multi-extent files, zisofs, UDF.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "abi/iso9660.h"
#include "inspect/fs.h"

enum {
    ISO_DESCRIPTORS = 32,
    ISO_FOLDER_MAX = 8 << 20,
    ISO_CE_MAX = 4, /* continuations of one record */
};

struct iso {
    uint32_t root, root_size;
    bool joliet, rock;
    uint8_t skip; /* bytes before the first SUSP entry of a record */
};

/* The n-th descriptor, with its head copied into d. */
static bool iso_descriptor(const struct vol *v, unsigned n, struct iso_descriptor *d,
                           uint8_t b[ISO_SECTOR])
{
    if (vol_read(v, ISO_DESCRIPTOR_AT + (uint64_t)n * ISO_SECTOR, b, ISO_SECTOR) < 0)
        return false;
    memcpy(d, b, sizeof(*d));
    return memcmp(d->id, ISO_ID, sizeof(d->id)) == 0;
}

static int iso_probe(const struct vol *v)
{
    struct iso_descriptor d;
    uint8_t b[ISO_SECTOR];

    return iso_descriptor(v, 0, &d, b);
}

/* The root folder's own record may say that SUSP is in use. */
static void iso_susp(struct fs *fs, struct iso *o)
{
    uint8_t b[ISO_SECTOR];

    if (vol_read(fs->vol, (uint64_t)o->root * ISO_SECTOR, b, sizeof(b)) < 0)
        return;
    if (b[0] >= 34 + 7 && memcmp(b + 34, "SP\7\1\xbe\xef", 6) == 0) {
        o->rock = true;
        o->skip = b[34 + 6];
    }
}

static int iso_open(struct fs *fs)
{
    struct iso *o = calloc(1, sizeof(*o));
    uint32_t joliet = 0, joliet_size = 0;
    struct iso_descriptor d;
    uint8_t b[ISO_SECTOR];

    if (!o)
        return -ENOMEM;
    fs->own = o;
    for (unsigned i = 0; i < ISO_DESCRIPTORS; i++) {
        if (!iso_descriptor(fs->vol, i, &d, b) || d.type == ISO_END)
            break;
        if (d.type == ISO_PRIMARY && o->root == 0) {
            o->root = le32_at(b + 156 + 2);
            o->root_size = le32_at(b + 156 + 10);
            snprintf(fs->label, sizeof(fs->label), "%.32s", (const char *)b + 40);
        } else if (d.type == ISO_SUPPLEMENTARY && b[88] == '%' && b[89] == '/') {
            joliet = le32_at(b + 156 + 2);
            joliet_size = le32_at(b + 156 + 10);
        }
    }
    for (size_t n = strlen(fs->label); n > 0 && fs->label[n - 1] == ' '; n--)
        fs->label[n - 1] = '\0';
    if (o->root == 0)
        return -EIO;
    iso_susp(fs, o);
    if (!o->rock && joliet) {
        o->root = joliet;
        o->root_size = joliet_size;
        o->joliet = true;
    }
    return 0;
}

static void iso_close(struct fs *fs)
{
    free(fs->own);
}

static int iso_root(struct fs *fs, struct fs_node *n)
{
    struct iso *o = fs->own;

    *n = (struct fs_node){.id = o->root, .size = o->root_size, .kind = FS_DIR};
    return 0;
}

static int iso_stat(struct fs *fs, struct fs_node *n)
{
    return n->kind == FS_UNKNOWN ? -EIO : 0; /* list() has filled it */
}

static ssize_t iso_read(struct fs *fs, const struct fs_node *n, uint64_t off, void *buf, size_t len)
{
    if (off >= n->size || n->kind == FS_LINK)
        return 0;
    len = (size_t)min_u64(len, n->size - off);
    if (vol_read(fs->vol, n->id * ISO_SECTOR + off, buf, len) < 0)
        return -EIO;
    return (ssize_t)len;
}

/* --- records --- */

struct iso_record {
    char name[FS_NAME_MAX + 1], link[FS_PATH_MAX];
    size_t named, linked;
    bool is_link, moved, goes_on; /* the last part of the target goes on in the next one */
};

static void iso_text(char *to, size_t room, size_t *at, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n && *at + 1 < room; i++)
        to[(*at)++] = from[i] ? (char)from[i] : '?';
    to[*at] = '\0';
}

/* SL: parts of a target; a flag of 1 says that the part goes on in the next one. */
static void iso_link_parts(struct iso_record *r, const uint8_t *e, size_t n)
{
    for (size_t i = 5; i + 2 <= n && i + 2 + e[i + 1] <= n; i += 2 + (size_t)e[i + 1]) {
        bool root = (e[i] & 8) != 0;

        if (root || (r->linked > 0 && r->link[r->linked - 1] != '/' && !r->goes_on))
            iso_text(r->link, sizeof(r->link), &r->linked, (const uint8_t *)"/", 1);
        if (e[i] & 4)
            iso_text(r->link, sizeof(r->link), &r->linked, (const uint8_t *)"..", 2);
        else if (e[i] & 2)
            iso_text(r->link, sizeof(r->link), &r->linked, (const uint8_t *)".", 1);
        else
            iso_text(r->link, sizeof(r->link), &r->linked, e + i + 2, e[i + 1]);
        r->goes_on = (e[i] & 1) != 0;
    }
}

/* One area of SUSP entries; follows at most `more` continuations. */
static void iso_rock(struct fs *fs, struct iso_record *r, const uint8_t *e, size_t n, unsigned more)
{
    uint8_t area[ISO_SECTOR];
    uint32_t at = 0, off = 0, len = 0;

    for (size_t i = 0; i + 4 <= n && e[i + 2] >= 4 && i + e[i + 2] <= n; i += e[i + 2]) {
        size_t size = e[i + 2];

        if (memcmp(e + i, "NM", 2) == 0 && size > 5)
            iso_text(r->name, sizeof(r->name), &r->named, e + i + 5, size - 5);
        else if (memcmp(e + i, "SL", 2) == 0 && size >= 5) {
            r->is_link = true;
            iso_link_parts(r, e + i, size);
        } else if (memcmp(e + i, "CL", 2) == 0 || memcmp(e + i, "RE", 2) == 0)
            r->moved = true;
        else if (memcmp(e + i, "CE", 2) == 0 && size >= 28) {
            at = le32_at(e + i + 4);
            off = le32_at(e + i + 12);
            len = le32_at(e + i + 20);
        } else if (memcmp(e + i, "ST", 2) == 0)
            break;
    }
    if (len > 0 && len <= sizeof(area) && more > 0 &&
        vol_read(fs->vol, (uint64_t)at * ISO_SECTOR + off, area, len) == 0)
        iso_rock(fs, r, area, len, more - 1);
}

/* Names of the plain standard: "NAME.EXT;1", shown in small letters as Linux does. */
static void iso_plain(struct iso_record *r, const uint8_t *e, bool joliet)
{
    size_t n = e[32];

    for (size_t i = 0; i < n; i += joliet ? 2 : 1) {
        uint8_t c = joliet ? (i + 1 < n && e[33 + i] == 0 ? e[34 + i] : '?') : e[33 + i];

        if (c == ';')
            break;
        if (!joliet && c >= 'A' && c <= 'Z')
            c = (uint8_t)(c + 32);
        iso_text(r->name, sizeof(r->name), &r->named, &c, 1);
    }
    if (r->named > 0 && r->name[r->named - 1] == '.')
        r->name[--r->named] = '\0';
}

static int iso_record(struct fs *fs, const uint8_t *e, struct iso_record *r, struct fs_node *n)
{
    const struct iso *o = fs->own;
    size_t susp = 33 + (size_t)e[32] + !(e[32] & 1) + o->skip;

    memset(r, 0, offsetof(struct iso_record, link));
    r->link[0] = '\0';
    r->linked = r->named = 0;
    r->is_link = r->moved = r->goes_on = false;
    if (e[0] < 34 || 33 + e[32] > e[0] || (e[32] == 1 && e[33] <= 1) || (e[25] & 4))
        return 0;
    if (o->rock && susp < e[0])
        iso_rock(fs, r, e + susp, e[0] - susp, ISO_CE_MAX);
    if (r->named == 0)
        iso_plain(r, e, o->joliet);
    *n = (struct fs_node){.id = le32_at(e + 2), .size = le32_at(e + 10)};
    n->kind = r->is_link ? FS_LINK : (e[25] & 2) ? FS_DIR : FS_FILE;
    return r->named > 0 && !r->moved;
}

/* n->aux is the place of the record on the disk, where a link has its target. */
static int iso_list(struct fs *fs, const struct fs_node *dir, fs_entry_fn *fn, void *arg)
{
    uint64_t size = min_u64(dir->size, ISO_FOLDER_MAX);
    uint8_t b[ISO_SECTOR];
    struct iso_record r;

    for (uint64_t off = 0; off < size; off += ISO_SECTOR) {
        uint64_t at = dir->id * ISO_SECTOR + off;
        int rc = vol_read(fs->vol, at, b, sizeof(b));

        if (rc < 0)
            return rc;
        for (size_t i = 0; i + 34 <= sizeof(b) && b[i] && i + b[i] <= sizeof(b); i += b[i]) {
            struct fs_node n;

            if (!iso_record(fs, b + i, &r, &n))
                continue;
            n.aux = at + i;
            if (n.kind == FS_LINK)
                n.size = r.linked;
            rc = fn(arg, r.name, &n);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

static int iso_link(struct fs *fs, const struct fs_node *n, char *buf, size_t room)
{
    uint8_t e[256];
    struct iso_record r;
    struct fs_node again;
    size_t in = n->aux % ISO_SECTOR, len = (size_t)min_u64(sizeof(e) - 1, ISO_SECTOR - in);

    memset(e, 0, sizeof(e));
    if (vol_read(fs->vol, n->aux, e, len) < 0 || e[0] > len || !iso_record(fs, e, &r, &again) ||
        !r.is_link)
        return -EIO;
    if (r.linked >= room)
        return -ENAMETOOLONG;
    memcpy(buf, r.link, r.linked + 1);
    return 0;
}

const struct fs_ops fs_iso9660 = {
    .name = "iso9660",
    .any_case = true,
    .probe = iso_probe,
    .open = iso_open,
    .close = iso_close,
    .root = iso_root,
    .stat = iso_stat,
    .list = iso_list,
    .read = iso_read,
    .link = iso_link,
};
