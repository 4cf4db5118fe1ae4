/* SPDX-License-Identifier: Apache-2.0 */
/* look.c - one disk from its partition table to its systems; see look.h. */
#define _GNU_SOURCE
#include "inspect/look.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "inspect/fs/btrfs.h"

enum { SECTOR = 512 };
#define WORK_CALLS UINT64_C(500000)
#define WORK_BYTES (UINT64_C(1536) << 20)
#define WORK_UNPACKED (UINT64_C(1536) << 20)
#define WORK_MENUS (UINT64_C(4) << 20)

void inspect_note(struct inspect *i, const char *fmt, ...)
{
    char text[sizeof(i->note[0])];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (unsigned k = 0; k < i->notes; k++) {
        if (strcmp(i->note[k], text) == 0)
            return;
    }
    if (i->notes < INSPECT_NOTES)
        text_copy(i->note[i->notes++], sizeof(i->note[0]), text);
}

void look_stage(struct look *l, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(l->out->stage, sizeof(l->out->stage), fmt, ap);
    va_end(ap);
}

const char *look_name(const struct look *l, size_t place, char buf[96])
{
    const struct inspect_part *p = &l->out->part[place];

    if (p->number)
        snprintf(buf, 96, "partition %u", p->number);
    else
        snprintf(buf, 96, "%.95s", p->name[0] ? p->name : "the disk");
    return buf;
}

struct inspect_system *look_system(struct look *l, enum guest_family f, const char *where)
{
    struct inspect_system *s;

    if (l->out->systems == INSPECT_SYSTEMS)
        return NULL;
    s = &l->out->system[l->out->systems++];
    *s = (struct inspect_system){.family = f};
    text_copy(s->root, sizeof(s->root), where);
    return s;
}

/* --- places --- */

static const char *use_name(enum part_use use)
{
    static const char *const names[] = {"",         "esp",    "bios-boot",    "lvm",        "swap",
                                        "reserved", "sliced", "freebsd-boot", "freebsd-zfs"};

    return names[use];
}

static struct inspect_part *place_new(struct look *l, struct vol *vol, const char *name)
{
    struct place *p;
    struct inspect_part *o;

    if (l->places == LOOK_PLACES)
        return NULL;
    p = &l->place[l->places];
    o = &l->out->part[l->places];
    *p = (struct place){.vol = vol ? vol : &p->own};
    *o = (struct inspect_part){.number = 0};
    text_copy(o->name, sizeof(o->name), name);
    l->places++;
    l->out->parts = (unsigned)l->places;
    return o;
}

/* What is no file system that is read, but known. NULL: none of these. */
static const char *signature(const struct vol *v)
{
    static const struct {
        uint64_t at;
        const char *magic;
        size_t n;
        const char *name;
    } known[] = {
        {0, "LUKS\xba\xbe", 6, "luks"},
        {3, "-FVE-FS-", 8, "bitlocker"},
        {4086, "SWAPSPACE2", 10, "swap"},
        {4086, "SWAP-SPACE", 10, "swap"},
        {0, "hsqs", 4, "squashfs"},
        {32769, "NSR0", 4, "udf"},
        {3, "EXFAT   ", 8, "exfat"},
        {1024, "H+\0\4", 4, "hfsplus"},
        {32, "NXSB", 4, "apfs"},
        {4096, "\xfc\x4e\x2b\xa9", 4, "mdraid"},
        {65536 + 52, "ReIsEr", 6, "reiserfs"},
        {32768, "JFS1", 4, "jfs"},
        {1024, "\x10\x20\xf5\xf2", 4, "f2fs"},
        {24, "bcachefs", 8, "bcachefs"},
    };
    uint8_t b[16];

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (vol_read(v, known[i].at, b, known[i].n) == 0 &&
            memcmp(b, known[i].magic, known[i].n) == 0)
            return known[i].name;
    }
    /* ZFS has its uberblocks at 128 KiB of the first label. */
    for (uint64_t at = 128 * KiB; at < 256 * KiB; at += KiB) {
        if (vol_read(v, at, b, 8) < 0)
            break;
        if (le64_at(b) == 0x00bab10c)
            return "zfs";
    }
    return NULL;
}

static void place_open(struct look *l, size_t i)
{
    struct place *p = &l->place[i];
    struct inspect_part *o = &l->out->part[i];
    const char *known;
    char name[96];
    int rc;

    look_stage(l, "file system of %s", look_name(l, i, name));
    o->off = p->vol->of ? p->vol->off : 0;
    o->bytes = p->vol->bytes;
    text_copy(o->use, sizeof(o->use), use_name(p->use));
    rc = lvm_add(&l->lvm, p->vol);
    if (rc != 0) {
        text_copy(o->fs, sizeof(o->fs), "lvm");
        return;
    }
    known = p->use == PART_SLICED ? NULL : signature(p->vol);
    if (known) {
        text_copy(o->fs, sizeof(o->fs), known);
        if (strcmp(known, "swap") != 0)
            text_copy(o->why, sizeof(o->why), "hospes does not read it");
        return;
    }
    if (p->use == PART_SLICED || !fs_open(p->vol, &p->fs))
        return;
    p->readable = p->fs.why[0] == '\0';
    text_copy(o->fs, sizeof(o->fs), p->fs.name);
    text_copy(o->label, sizeof(o->label), p->fs.label);
    text_copy(o->uuid, sizeof(o->uuid), p->fs.uuid);
    text_copy(o->why, sizeof(o->why), p->fs.why);
}

static void look_partitions(struct look *l)
{
    look_stage(l, "partition table");
    part_read(&l->disk, &l->table);
    text_copy(l->out->table, sizeof(l->out->table), l->table.kind);
    text_copy(l->out->disk_id, sizeof(l->out->disk_id), l->table.disk_id);
    if (l->table.note[0])
        inspect_note(l->out, "partition table: %s", l->table.note);
    if (strcmp(l->table.kind, "hybrid") == 0)
        inspect_note(l->out, "the disk has a GPT and an MBR that also lists partitions; the GPT "
                             "counts here, old systems may read the other");
    if (fs_iso9660.probe(&l->disk) > 0 || l->table.parts == 0) {
        struct inspect_part *o = place_new(l, NULL, "");

        if (o)
            vol_part(&l->place[l->places - 1].own, &l->disk, 0, l->disk.bytes);
    }
    for (size_t i = 0; i < l->table.parts; i++) {
        const struct part *p = &l->table.part[i];
        struct inspect_part *o = place_new(l, NULL, p->name);

        if (!o)
            break;
        vol_part(&l->place[l->places - 1].own, &l->disk, p->off, p->len);
        l->place[l->places - 1].use = p->use;
        o->number = p->number;
        o->active = p->active;
        text_copy(o->type, sizeof(o->type), p->type);
    }
}

static void look_volumes(struct look *l)
{
    size_t before = l->places;

    for (size_t i = 0; i < before; i++)
        place_open(l, i);
    look_stage(l, "logical volumes");
    lvm_read(&l->lvm);
    for (size_t i = 0; i < l->lvm.lvs; i++) {
        struct lvm_lv *lv = &l->lvm.lv[i];
        struct inspect_part *o = place_new(l, &lv->vol, lv->name);

        if (!o)
            break;
        text_copy(o->type, sizeof(o->type), "lv");
        if (lv->why[0])
            text_copy(o->why, sizeof(o->why), lv->why);
        else
            place_open(l, l->places - 1);
    }
}

/* --- names of file systems --- */

/* "/dev/mapper/my--group-root" is my-group/root. */
static bool is_mapper(const char *dev, const char *lv)
{
    char name[300];
    size_t n = 0;

    for (; *lv && n + 2 < sizeof(name); lv++) {
        if (*lv == '-')
            name[n++] = '-';
        name[n++] = *lv == '/' ? '-' : *lv;
    }
    name[n] = '\0';
    return strcmp(dev, name) == 0;
}

static bool place_is(const struct look *l, size_t i, const char *source)
{
    const struct inspect_part *o = &l->out->part[i];

    if (strncasecmp(source, "UUID=", 5) == 0)
        return o->uuid[0] && strcasecmp(source + 5, o->uuid) == 0;
    if (strncasecmp(source, "LABEL=", 6) == 0)
        return o->label[0] && strcmp(source + 6, o->label) == 0;
    if (strncasecmp(source, "PARTUUID=", 9) == 0)
        return i < l->table.parts && l->table.part[i].uuid[0] &&
               strcasecmp(source + 9, l->table.part[i].uuid) == 0;
    if (strncmp(source, "/dev/disk/by-uuid/", 18) == 0)
        return o->uuid[0] && strcasecmp(source + 18, o->uuid) == 0;
    if (strncmp(source, "/dev/mapper/", 12) == 0)
        return strcmp(o->type, "lv") == 0 && is_mapper(source + 12, o->name);
    return strcmp(o->type, "lv") == 0 && strncmp(source, "/dev/", 5) == 0 &&
           strcmp(source + 5, o->name) == 0;
}

/* The number of "sda3" and "nvme0n1p3" on the first disk; 0: none. */
static unsigned name_number(const char *source)
{
    static const char *const firsts[] = {"/dev/sda", "/dev/vda", "/dev/xvda", "/dev/hda",
                                         "/dev/nvme0n1p"};
    const char *digits = source + strlen(source);
    bool first = false;

    for (size_t i = 0; i < ARRAY_SIZE(firsts); i++)
        first |= strncmp(source, firsts[i], strlen(firsts[i])) == 0;
    if (!first)
        return 0;
    while (digits > source && digits[-1] >= '0' && digits[-1] <= '9')
        digits--;
    return (unsigned)strtoul(digits, NULL, 10);
}

int look_source(const struct look *l, const char *source)
{
    unsigned number = name_number(source);

    for (size_t i = 0; i < l->places; i++) {
        if (place_is(l, i, source))
            return (int)i;
    }
    for (size_t i = 0; i < l->places && number; i++) {
        if (l->out->part[i].number == number)
            return (int)i;
    }
    return -1;
}

/* --- systems --- */

static void top_add(struct look *l, size_t place, const char *path, struct top *tops, size_t *n)
{
    struct fstree t;
    struct fs_node node;
    struct fs *fs;

    fstree_init(&t, &l->place[place].fs, NULL);
    if (*n == LOOK_TOPS || fstree_find(&t, path, &fs, &node) < 0 || node.kind != FS_DIR)
        return;
    for (size_t i = 0; i < *n; i++) {
        if (tops[i].node.id == node.id && tops[i].node.aux == node.aux)
            return;
    }
    tops[*n].node = node;
    snprintf(tops[*n].name, sizeof(tops[*n].name), "%s", path + 1);
    ++*n;
}

size_t look_tops(struct look *l, size_t place, struct top tops[LOOK_TOPS])
{
    static const char *const subvolumes[] = {"/@", "/@rootfs", "/root", "/@/.snapshots/1/snapshot"};
    struct fs *fs = &l->place[place].fs;
    size_t n = 1;

    tops[0] = (struct top){.node = fs->top};
    if (strcmp(fs->name, "btrfs") != 0)
        return n;
    if (btrfs_default(fs, &tops[1].node) == 0 && tops[1].node.aux != fs->top.aux) {
        snprintf(tops[1].name, sizeof(tops[1].name), "default");
        n = 2;
    }
    for (size_t i = 0; i < ARRAY_SIZE(subvolumes); i++)
        top_add(l, place, subvolumes[i], tops, &n);
    return n;
}

static void look_systems(struct look *l)
{
    struct top tops[LOOK_TOPS];
    char where[96], name[130];

    for (size_t i = 0; i < l->places; i++) {
        size_t n = l->place[i].readable ? look_tops(l, i, tops) : 0;
        bool found = false;

        for (size_t k = 0; k < n && !found; k++) {
            snprintf(name, sizeof(name), "%s%s%s", look_name(l, i, where),
                     tops[k].name[0] ? ", subvolume " : "", tops[k].name);
            found = look_linux(l, i, &tops[k].node, name);
        }
        if (n > 0 && !found && !look_windows(l, i, name))
            (void)look_unix(l, i, name);
    }
    look_media(l);
}

static void look_oddities(struct look *l)
{
    for (size_t i = 0; i < l->places; i++) {
        const struct inspect_part *o = &l->out->part[i];
        char name[96];

        if (o->why[0])
            inspect_note(l->out, "%s is %s, which is not read: %s", look_name(l, i, name),
                         o->fs[0] ? o->fs : "a volume", o->why);
    }
    if (l->lvm.unseen)
        inspect_note(l->out, "a volume group has disks that are not here: inspect sees one disk");
    if (l->work.calls == 0 || l->work.bytes == 0)
        inspect_note(l->out, "the look was ended: the disk asks for more reading than is allowed");
}

void inspect_disk(struct disk *d, struct inspect *out)
{
    struct look *l = calloc(1, sizeof(*l));

    if (!l)
        return;
    l->out = out;
    l->work.calls = WORK_CALLS;
    l->work.bytes = WORK_BYTES;
    l->unpacked = WORK_UNPACKED;
    l->menus = WORK_MENUS;
    vol_disk(&l->disk, d, &l->work);
    look_partitions(l);
    look_volumes(l);
    look_loaders(l);
    look_systems(l);
    look_oddities(l);
    for (size_t i = 0; i < l->places; i++)
        fs_close(&l->place[i].fs);
    lvm_fini(&l->lvm);
    out->stage[0] = '\0';
    free(l);
}
