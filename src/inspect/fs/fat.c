/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fat.c - FAT12, FAT16 and FAT32 with long names.
 *
 * Document: Microsoft "FAT: General Overview of On-Disk Format", 1.03. Not modelled: exFAT, and the
 * second copy of the table.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "inspect/fs.h"

enum {
    FAT_ENTRY = 32,
    FAT_CHAIN_MAX = 1 << 22, /* clusters of one file */
    FAT_FOLDER_MAX = 65536,  /* entries, as the document has it */
    FAT_LONG = 0x0f,
    FAT_SUBDIR = 0x10,
    FAT_VOLUME = 0x08,
    FAT_ROOT16 = 1, /* aux: the fixed root folder of FAT12 and FAT16 */
};

struct fat {
    unsigned bits; /* 12, 16, 32 */
    uint32_t cluster;
    uint64_t table, root, data; /* byte offsets */
    uint32_t clusters, root_entries, root_cluster;
    /* Where the last read ended, so that reading a file in order walks its chain once. */
    uint64_t at_id, at_index, at_cluster;
};

static int fat_probe(const struct vol *v)
{
    uint8_t b[512];
    uint16_t sector;

    if (vol_read(v, 0, b, sizeof(b)) < 0 || le16_at(b + 510) != 0xaa55)
        return 0;
    sector = le16_at(b + 11);
    return (b[0] == 0xeb || b[0] == 0xe9) && is_pow2(sector) && sector >= 512 && sector <= 4096 &&
           is_pow2(b[13]) && le16_at(b + 14) > 0 && (b[16] == 1 || b[16] == 2) &&
           (b[21] == 0xf0 || b[21] >= 0xf8);
}

static int fat_layout(struct fat *f, const uint8_t *b, uint64_t bytes)
{
    uint64_t sector = le16_at(b + 11), reserved = le16_at(b + 14), fats = b[16];
    uint64_t per_fat = le16_at(b + 22) ? le16_at(b + 22) : le32_at(b + 36);
    uint64_t total = le16_at(b + 19) ? le16_at(b + 19) : le32_at(b + 32);
    uint64_t root_sectors;

    f->root_entries = le16_at(b + 17);
    f->cluster = (uint32_t)(sector * b[13]);
    root_sectors = (f->root_entries * (uint64_t)FAT_ENTRY + sector - 1) / sector;
    f->table = reserved * sector;
    f->root = f->table + fats * per_fat * sector;
    f->data = f->root + root_sectors * sector;
    if (per_fat == 0 || f->data >= bytes || total * sector <= f->data)
        return -EIO;
    f->clusters = (uint32_t)((min_u64(total * sector, bytes) - f->data) / f->cluster);
    f->bits = f->clusters < 4085 ? 12 : f->clusters < 65525 ? 16 : 32;
    if (le16_at(b + 22) == 0)
        f->bits = 32;
    f->root_cluster = f->bits == 32 ? le32_at(b + 44) : 0;
    return 0;
}

static int fat_open(struct fs *fs)
{
    struct fat *f = calloc(1, sizeof(*f));
    uint8_t b[512];
    unsigned id;
    int rc;

    if (!f)
        return -ENOMEM;
    fs->own = f;
    rc = vol_read(fs->vol, 0, b, sizeof(b));
    if (rc == 0)
        rc = fat_layout(f, b, fs->vol->bytes);
    if (rc < 0)
        return rc;
    id = f->bits == 32 ? 67 : 39;
    snprintf(fs->name, sizeof(fs->name), "fat%u", f->bits);
    snprintf(fs->uuid, sizeof(fs->uuid), "%04X-%04X", le16_at(b + id + 2), le16_at(b + id));
    snprintf(fs->label, sizeof(fs->label), "%.11s", (const char *)b + id + 4);
    for (size_t n = strlen(fs->label); n > 0 && fs->label[n - 1] == ' '; n--)
        fs->label[n - 1] = '\0';
    return 0;
}

static void fat_close(struct fs *fs)
{
    free(fs->own);
}

static int fat_root(struct fs *fs, struct fs_node *n)
{
    struct fat *f = fs->own;

    *n = (struct fs_node){
        .id = f->root_cluster, .aux = f->bits == 32 ? 0 : FAT_ROOT16, .kind = FS_DIR};
    return 0;
}

static int fat_stat(struct fs *fs, struct fs_node *n)
{
    return n->kind == FS_UNKNOWN ? -EIO : 0; /* list() has filled it */
}

/* The cluster after c: 0 at the end of a chain. */
static int fat_next(struct fs *fs, uint32_t c, uint32_t *out)
{
    struct fat *f = fs->own;
    uint64_t off = f->bits == 12 ? c + c / 2 : (uint64_t)c * f->bits / 8;
    uint32_t last = f->bits == 12 ? 0xff8 : f->bits == 16 ? 0xfff8 : 0x0ffffff8;
    uint8_t b[4] = {0};
    uint32_t v;
    int rc;

    if (c < 2 || c - 2 >= f->clusters)
        return -EIO;
    rc = vol_read(fs->vol, f->table + off, b, f->bits == 32 ? 4 : 2);
    if (rc < 0)
        return rc;
    v = le32_at(b);
    if (f->bits == 12)
        v = (c & 1) ? v >> 4 : v & 0xfff;
    v &= 0x0fffffff;
    *out = v >= last ? 0 : v;
    return 0;
}

/* The i-th cluster of the chain that begins at `first`. */
static int fat_cluster(struct fs *fs, uint32_t first, uint64_t i, uint32_t *out)
{
    struct fat *f = fs->own;
    uint32_t c = first;
    uint64_t k = 0;

    if (i > FAT_CHAIN_MAX)
        return -EIO;
    if (f->at_id == first && f->at_index <= i && f->at_cluster) {
        c = (uint32_t)f->at_cluster;
        k = f->at_index;
    }
    for (; k < i && c; k++) {
        int rc = fat_next(fs, c, &c);

        if (rc < 0)
            return rc;
    }
    if (c)
        f->at_id = first, f->at_index = i, f->at_cluster = c;
    *out = c;
    return 0;
}

static ssize_t fat_read_chain(struct fs *fs, uint32_t first, uint64_t off, void *buf, size_t len)
{
    struct fat *f = fs->own;
    uint8_t *to = buf;
    size_t done = 0;

    while (done < len) {
        uint64_t at = off + done, in = at % f->cluster;
        size_t n = (size_t)min_u64(len - done, f->cluster - in);
        uint32_t c;
        int rc = fat_cluster(fs, first, at / f->cluster, &c);

        if (rc == 0 && c == 0)
            break;
        if (rc == 0 && (c < 2 || c - 2 >= f->clusters))
            rc = -EIO;
        if (rc == 0)
            rc = vol_read(fs->vol, f->data + (uint64_t)(c - 2) * f->cluster + in, to + done, n);
        if (rc < 0)
            return rc;
        done += n;
    }
    return (ssize_t)done;
}

static ssize_t fat_read(struct fs *fs, const struct fs_node *n, uint64_t off, void *buf, size_t len)
{
    if (off >= n->size || n->id == 0)
        return 0;
    return fat_read_chain(fs, (uint32_t)n->id, off, buf, (size_t)min_u64(len, n->size - off));
}

/* --- folders --- */

struct fat_name {
    char text[FS_NAME_MAX + 1];
    uint16_t units[260];
    unsigned parts; /* long-name entries that are still to come; 0: no long name */
    uint8_t sum;
};

static uint8_t fat_sum(const uint8_t *short_name)
{
    uint8_t s = 0;

    for (unsigned i = 0; i < 11; i++)
        s = (uint8_t)((s >> 1) + (s << 7) + short_name[i]);
    return s;
}

static void fat_long(struct fat_name *m, const uint8_t *e)
{
    static const uint8_t place[13] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
    unsigned seq = e[0] & 0x3f;

    if (e[0] & 0x40) {
        memset(m->units, 0, sizeof(m->units));
        m->parts = seq;
        m->sum = e[13];
    } else if (m->parts == 0 || seq != m->parts || e[13] != m->sum) {
        m->parts = 0;
        return;
    }
    if (seq == 0 || seq > 20) {
        m->parts = 0;
        return;
    }
    for (unsigned i = 0; i < 13; i++)
        m->units[(seq - 1) * 13 + i] = le16_at(e + place[i]);
    m->parts = seq == 1 ? UINT32_MAX : seq - 1; /* UINT32_MAX: whole */
}

static void fat_short(struct fat_name *m, const uint8_t *e)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 8 && e[i] != ' '; i++)
        m->text[n++] = (char)(e[i] >= 'A' && e[i] <= 'Z' && (e[12] & 8) ? e[i] + 32 : e[i]);
    if (e[8] != ' ')
        m->text[n++] = '.';
    for (unsigned i = 8; i < 11 && e[i] != ' '; i++)
        m->text[n++] = (char)(e[i] >= 'A' && e[i] <= 'Z' && (e[12] & 16) ? e[i] + 32 : e[i]);
    m->text[n] = '\0';
}

/* Names outside ASCII get a question mark: nothing that is looked for has one. */
static void fat_finish_name(struct fat_name *m, const uint8_t *e)
{
    unsigned n = 0;

    if (m->parts != UINT32_MAX || fat_sum(e) != m->sum) {
        fat_short(m, e);
        return;
    }
    for (; n < FS_NAME_MAX && m->units[n] && m->units[n] != 0xffff; n++)
        m->text[n] = m->units[n] < 128 ? (char)m->units[n] : '?';
    m->text[n] = '\0';
}

static int fat_entry(struct fat_name *m, const uint8_t *e, fs_entry_fn *fn, void *arg)
{
    struct fs_node n = {.id = (uint32_t)le16_at(e + 20) << 16 | le16_at(e + 26),
                        .size = le32_at(e + 28),
                        .kind = (e[11] & FAT_SUBDIR) ? FS_DIR : FS_FILE};
    int rc = 0;

    if (e[0] == 0xe5) {
        m->parts = 0;
        return 0;
    }
    if ((e[11] & 0x3f) == FAT_LONG) {
        fat_long(m, e);
        return 0;
    }
    if (!(e[11] & FAT_VOLUME) && e[0] != '.') {
        fat_finish_name(m, e);
        rc = fn(arg, m->text, &n);
    }
    m->parts = 0;
    return rc;
}

static int fat_list(struct fs *fs, const struct fs_node *dir, fs_entry_fn *fn, void *arg)
{
    struct fat *f = fs->own;
    struct fat_name m = {.parts = 0};
    uint8_t b[4096];

    for (uint32_t i = 0; i < FAT_FOLDER_MAX; i += sizeof(b) / FAT_ENTRY) {
        ssize_t got;

        if (dir->aux == FAT_ROOT16) {
            uint64_t left = i < f->root_entries ? (f->root_entries - i) * (uint64_t)FAT_ENTRY : 0;

            got = (ssize_t)min_u64(left, sizeof(b));
            if (got > 0 && vol_read(fs->vol, f->root + i * (uint64_t)FAT_ENTRY, b, (size_t)got) < 0)
                return -EIO;
        } else {
            got = fat_read_chain(fs, (uint32_t)dir->id, i * (uint64_t)FAT_ENTRY, b, sizeof(b));
        }
        if (got <= 0)
            return (int)got;
        for (ssize_t k = 0; k + FAT_ENTRY <= got; k += FAT_ENTRY) {
            int rc = b[k] ? fat_entry(&m, b + k, fn, arg) : 0;

            if (rc != 0 || b[k] == 0)
                return rc;
        }
    }
    return 0;
}

const struct fs_ops fs_fat = {
    .name = "fat",
    .any_case = true,
    .probe = fat_probe,
    .open = fat_open,
    .close = fat_close,
    .root = fat_root,
    .stat = fat_stat,
    .list = fat_list,
    .read = fat_read,
};
