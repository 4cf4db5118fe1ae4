/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parallels.c - expanding images of Parallels, read only: docs/interop/parallels.txt of QEMU.
 *
 * Modelled: both magics, clusters of any number of sectors (63 in old images). Not modelled: the
 * format extension (dirty bitmaps), the DiskDescriptor.xml of a bundle with its snapshots: the .hds
 * file in it is what is opened.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/parallels.h"
#include "core/err.h"
#include "storage/format/format.h"
#include "storage/image.h"
#include "storage/map.h"

enum { PAGE = 4096, BAT_MAX = 512 << 20, TRACKS_MAX = 1 << 21 };

struct parallels {
    struct map m;
    struct parallels_header h;
    uint64_t unit; /* bytes that a table entry counts */
};

static struct parallels *parallels_of(struct map *m)
{
    return container_of(m, struct parallels, m);
}

static int get_entry(struct parallels *p, uint64_t i, bool wait, uint32_t *out)
{
    uint8_t *b;
    int rc = meta_get(&p->m, p->m.file, sizeof(p->h) + i * 4, wait, &b);

    if (rc == 0)
        *out = le32_at(b);
    return rc;
}

static int parallels_find(struct map *m, uint64_t off, uint64_t len, bool wait, struct piece *x)
{
    struct parallels *p = parallels_of(m);
    uint64_t i = off / m->cluster, last = (off + len - 1) / m->cluster;
    uint32_t entry = 0, next = 0;
    int rc = get_entry(p, i, wait, &entry);

    if (rc < 0)
        return rc;
    x->kind = entry ? PIECE_DATA : PIECE_PARENT;
    x->file = m->file;
    x->at = entry * p->unit + off % m->cluster;
    while (i < last) {
        rc = get_entry(p, i + 1, wait, &next);
        if (rc == -EAGAIN)
            break;
        if (rc < 0)
            return rc;
        if (entry ? next * p->unit != entry * p->unit + m->cluster : next != 0)
            break;
        entry = next;
        i++;
    }
    x->len = min_u64(len, (i + 1) * m->cluster - off);
    return 0;
}

static const struct map_ops parallels_map_ops = {
    .name = "parallels",
    .find = parallels_find,
};

static int bad(const struct disk_cfg *c, const char *what, struct err *e)
{
    return err_set(e, EINVAL,
                   "'%s' is a damaged Parallels image: %s; copy it again from where it came",
                   c->path, what);
}

static int load(struct parallels *p, const struct disk_cfg *c, struct err *e)
{
    struct disk *file = p->m.file;
    struct parallels_header *h = &p->h;
    uint64_t sectors, entries, tracks;
    bool ext;

    if (disk_bytes(file) < sizeof(*h) || disk_read(file, 0, h, sizeof(*h)) < 0)
        return bad(c, "it is shorter than its header", e);
    ext = memcmp(h->magic, PARALLELS_MAGIC_EXT, 16) == 0;
    if ((!ext && memcmp(h->magic, PARALLELS_MAGIC, 16) != 0) || le32_get(h->version) != 2)
        return bad(c, "its header is not that of a version that exists", e);
    tracks = le32_get(h->tracks);
    entries = le32_get(h->bat_entries);
    sectors = ext ? le64_get(h->nb_sectors) : (uint32_t)le64_get(h->nb_sectors);
    if (tracks == 0 || tracks > TRACKS_MAX || sectors > INT64_MAX / DISK_SECTOR)
        return bad(c, "its header has impossible values", e);
    if (entries * 4 > BAT_MAX || !range_in(sizeof(*h), entries * 4, disk_bytes(file)))
        return bad(c, "its block table is too large or lies outside the file", e);
    if (entries * tracks < sectors)
        return bad(c, "its block table is too short for its size", e);
    p->m.cluster = p->m.grain = tracks * DISK_SECTOR;
    p->unit = ext ? p->m.cluster : DISK_SECTOR;
    p->m.d.shape = (struct disk_shape){
        .bytes = sectors * DISK_SECTOR,
        .logical = DISK_SECTOR,
        .physical = 4096,
        .readonly = true,
    };
    return 0;
}

static int parallels_open(struct disk *file, const struct disk_cfg *c, struct loop *l,
                          struct disk **out, struct err *e)
{
    struct parallels *p = calloc(1, sizeof(*p));
    int rc;

    if (!p)
        return err_set(e, ENOMEM, "no memory to open Parallels image '%s'", c->path);
    p->m.file = file;
    rc = load(p, c, e);
    if (rc == 0)
        rc = map_init(&p->m, &parallels_map_ops, l, e);
    if (rc < 0) {
        free(p);
        return rc;
    }
    *out = &p->m.d;
    return 0;
}

static int parallels_probe(const uint8_t *head, size_t n, const uint8_t *tail, size_t tn,
                           uint64_t size)
{
    (void)tail, (void)tn, (void)size;
    return n >= 16 && (memcmp(head, PARALLELS_MAGIC, 16) == 0 ||
                       memcmp(head, PARALLELS_MAGIC_EXT, 16) == 0)
               ? 95
               : 0;
}

static void parallels_facts(struct disk *d, struct facts *f)
{
    struct parallels *p = parallels_of(map_of(d));
    uint32_t use = le32_get(p->h.in_use);

    facts_number(f, "cluster-size", p->m.cluster);
    facts_text(f, "geometry", "%u/%u", le32_get(p->h.cylinders), le32_get(p->h.heads));
    facts_text(f, "closed", "%s", use == PARALLELS_IN_USE ? "no" : "yes");
    facts_text(f, "extension", "%s", le64_get(p->h.ext_off) ? "yes" : "no");
}

const struct format_ops parallels_format = {
    .name = "parallels",
    .suffixes = ".hds .hdd",
    .about = "Parallels Desktop and Virtuozzo",
    .probe = parallels_probe,
    .open = parallels_open,
    .facts = parallels_facts,
};
