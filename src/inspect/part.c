/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part.c - see part.h.
 *
 * Documents: UEFI 2.10 chapter 5 (GPT and protective MBR); the MBR as DOS and Linux read it;
 * FreeBSD sys/disk/bsd.h (disk label); illumos sys/vtoc.h (VTOC on x86).
 */
#include "inspect/part.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "abi/bytes.h"
#include "core/ids.h"

enum {
    SECTOR = 512,
    MBR_TABLE = 446,
    MBR_LOGICAL_MAX = 60,
    GPT_ENTRIES_MAX = 1024,
    GPT_ENTRY_MAX = 512,
};
#define BSD_MAGIC 0x82564557
#define VTOC_SANE 0x600DDEEE

static struct part *part_new(struct part_table *t, const struct vol *v, uint64_t off, uint64_t len)
{
    struct part *p;

    if (t->parts == PART_MAX || len == 0)
        return NULL;
    if (!range_in(off, len, v->bytes)) {
        snprintf(t->note, sizeof(t->note), "a partition reaches past the end of the disk");
        if (off >= v->bytes)
            return NULL;
        len = v->bytes - off;
    }
    p = &t->part[t->parts++];
    *p = (struct part){.off = off, .len = len};
    return p;
}

static void note(struct part_table *t, const char *text)
{
    snprintf(t->note, sizeof(t->note), "%s", text);
}

/* --- slices inside a partition --- */

static void slices_bsd(const struct vol *v, struct part_table *t, uint64_t base, const uint8_t *b)
{
    unsigned count = le16_at(b + 138);
    uint64_t origin = 0;

    /* Offsets count from the disk's start, or, made by newer tools, from the slice's. */
    if (count > 2 && le32_at(b + 148 + 2 * 16 + 4) == 0)
        origin = base;
    for (unsigned i = 0; i < count && i < 16 && 148 + (i + 1) * 16 <= SECTOR; i++) {
        const uint8_t *e = b + 148 + i * 16;
        struct part *p;

        if (i == 2 || e[12] == 0) /* c is the whole slice */
            continue;
        p = part_new(t, v, origin + (uint64_t)le32_at(e + 4) * SECTOR,
                     (uint64_t)le32_at(e) * SECTOR);
        if (!p)
            continue;
        snprintf(p->name, sizeof(p->name), "slice %c", 'a' + i);
        snprintf(p->type, sizeof(p->type), "bsd %u", e[12]);
        p->use = e[12] == 1 ? PART_SWAP : PART_OTHER;
    }
}

static void slices_vtoc(const struct vol *v, struct part_table *t, uint64_t base, const uint8_t *b)
{
    for (unsigned i = 0; i < 16; i++) {
        const uint8_t *e = b + 72 + i * 12;
        struct part *p;

        if (i == 2 || le16_at(e) == 0) /* 2 is the whole partition */
            continue;
        p = part_new(t, v, base + (uint64_t)le32_at(e + 4) * SECTOR,
                     (uint64_t)le32_at(e + 8) * SECTOR);
        if (!p)
            continue;
        snprintf(p->name, sizeof(p->name), "slice %u", i);
        snprintf(p->type, sizeof(p->type), "solaris %u", le16_at(e));
        p->use = le16_at(e) == 3 ? PART_SWAP : PART_OTHER;
    }
}

/* true: [base, ...) has a label of its own in its second sector. */
static bool slices(const struct vol *v, struct part_table *t, uint64_t base)
{
    uint8_t b[SECTOR];

    if (vol_read(v, base + SECTOR, b, sizeof(b)) < 0)
        return false;
    if (le32_at(b) == BSD_MAGIC && le32_at(b + 132) == BSD_MAGIC) {
        slices_bsd(v, t, base, b);
        return true;
    }
    if (le32_at(b + 12) == VTOC_SANE) {
        slices_vtoc(v, t, base, b);
        return true;
    }
    return false;
}

/* --- MBR --- */

static enum part_use mbr_use(uint8_t type)
{
    switch (type) {
    case 0xef:
        return PART_ESP;
    case 0x8e:
        return PART_LVM;
    case 0x82:
        return PART_SWAP;
    default:
        return PART_OTHER;
    }
}

static bool is_extended(uint8_t type)
{
    return type == 5 || type == 0xf || type == 0x85;
}

static struct part *mbr_part(const struct vol *v, struct part_table *t, const uint8_t *e,
                             uint64_t base, unsigned number)
{
    struct part *p = part_new(t, v, base + (uint64_t)le32_at(e + 8) * SECTOR,
                              (uint64_t)le32_at(e + 12) * SECTOR);

    if (!p)
        return NULL;
    p->number = number;
    p->active = e[0] == 0x80;
    p->use = mbr_use(e[4]);
    snprintf(p->type, sizeof(p->type), "%02x", e[4]);
    if (t->disk_id[0])
        snprintf(p->uuid, sizeof(p->uuid), "%.8s-%02x", t->disk_id, number);
    return p;
}

/* A chain of tables, each with one logical partition and the place of the next. */
static void mbr_logical(const struct vol *v, struct part_table *t, uint64_t base)
{
    uint64_t at = base;
    uint8_t b[SECTOR];

    for (unsigned i = 0; i < MBR_LOGICAL_MAX; i++) {
        const uint8_t *e = b + MBR_TABLE;
        uint64_t next;

        if (vol_read(v, at, b, sizeof(b)) < 0 || le16_at(b + 510) != 0xaa55) {
            note(t, "the chain of logical partitions is broken");
            return;
        }
        if (e[4] && !is_extended(e[4]))
            mbr_part(v, t, e, at, 5 + i);
        next = base + (uint64_t)le32_at(e + 16 + 8) * SECTOR;
        if (!is_extended(e[16 + 4]))
            return;
        if (next <= at) {
            note(t, "the chain of logical partitions runs in a circle");
            return;
        }
        at = next;
    }
}

static void mbr_read(const struct vol *v, struct part_table *t, const uint8_t *b)
{
    snprintf(t->disk_id, sizeof(t->disk_id), "%08x", le32_at(b + 440));
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t *e = b + MBR_TABLE + i * 16;
        struct part *p;

        if (e[4] == 0 || e[4] == 0xee)
            continue;
        if (is_extended(e[4])) {
            mbr_logical(v, t, (uint64_t)le32_at(e + 8) * SECTOR);
            continue;
        }
        p = mbr_part(v, t, e, 0, i + 1);
        /* BSD's, and Solaris': 82 is both swap of Linux and Solaris of old. */
        if (p && (e[4] == 0xa5 || e[4] == 0xa6 || e[4] == 0xa9 || e[4] == 0xbf || e[4] == 0x82) &&
            slices(v, t, p->off))
            p->use = PART_SLICED;
    }
}

/* A boot record has a table only when each line of it makes sense. */
static bool mbr_plausible(const struct vol *v, const uint8_t *b)
{
    unsigned used = 0;

    if (le16_at(b + 510) != 0xaa55)
        return false;
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t *e = b + MBR_TABLE + i * 16;

        if ((e[0] & 0x7f) != 0)
            return false;
        if (e[4] && le32_at(e + 12) == 0)
            return false;
        used += e[4] != 0;
    }
    return used > 0;
}

/* --- GPT --- */

static const struct {
    const char *guid;
    enum part_use use;
} uses[] = {
    {"c12a7328-f81f-11d2-ba4b-00a0c93ec93b", PART_ESP},
    {"21686148-6449-6e6f-744e-656564454649", PART_BIOS_BOOT},
    {"e6d6d379-f507-44c2-a23c-238f2a3df928", PART_LVM},
    {"0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", PART_SWAP},
    {"516e7cb5-6ecf-11d6-8ff8-00022d09712b", PART_SWAP},
    {"e3c9e316-0b5c-4db8-817d-f92df00215ae", PART_RESERVED},
    {"83bd6b9d-7f41-11dc-be0b-001560b84f0f", PART_FREEBSD_BOOT},
    {"516e7cba-6ecf-11d6-8ff8-00022d09712b", PART_FREEBSD_ZFS},
};

static void guid_text(char out[40], const uint8_t *g)
{
    snprintf(out, 40, GUID_FMT, GUID_ARGS(g));
}

static void gpt_entry(const struct vol *v, struct part_table *t, const uint8_t *e, unsigned number,
                      uint32_t sector)
{
    static const uint8_t none[16] = {0};
    uint64_t first = le64_at(e + 32), last = le64_at(e + 40);
    struct part *p;
    size_t n = 0;

    if (memcmp(e, none, 16) == 0 || last < first || last >= UINT64_MAX / sector)
        return;
    p = part_new(t, v, first * sector, (last - first + 1) * sector);
    if (!p)
        return;
    p->number = number;
    p->active = (le64_at(e + 48) & 4) != 0;
    guid_text(p->type, e);
    guid_text(p->uuid, e + 16);
    for (; n < 36 && le16_at(e + 56 + n * 2); n++)
        p->name[n] = le16_at(e + 56 + n * 2) < 127 ? (char)le16_at(e + 56 + n * 2) : '?';
    for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
        if (strcmp(uses[i].guid, p->type) == 0)
            p->use = uses[i].use;
    }
}

/* true when a whole table begins at `at`. */
static bool gpt_read(const struct vol *v, struct part_table *t, uint64_t at, uint32_t sector)
{
    uint8_t h[SECTOR], e[GPT_ENTRY_MAX];
    uint32_t size, count, each, sum;
    uint64_t table;

    if (vol_read(v, at, h, sizeof(h)) < 0 || memcmp(h, "EFI PART", 8) != 0)
        return false;
    size = le32_at(h + 12);
    count = le32_at(h + 80);
    each = le32_at(h + 84);
    table = le64_at(h + 72);
    if (size < 92 || size > SECTOR || count > GPT_ENTRIES_MAX || !is_pow2(each) || each < 128 ||
        each > GPT_ENTRY_MAX || table > v->bytes / sector)
        return false;
    sum = le32_at(h + 16);
    le32_put(h + 16, 0);
    if (crc32(0, h, size) != sum)
        return false;
    sum = 0;
    t->parts = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (vol_read(v, table * sector + (uint64_t)i * each, e, each) < 0)
            return false;
        sum = (uint32_t)crc32(sum, e, each);
        gpt_entry(v, t, e, i + 1, sector);
    }
    guid_text(t->disk_id, h + 56);
    return sum == le32_at(h + 88);
}

static bool gpt_find(const struct vol *v, struct part_table *t)
{
    static const uint32_t sectors[] = {512, 4096};

    for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
        if (gpt_read(v, t, sectors[i], sectors[i]))
            return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(sectors) && t->protective; i++) {
        if (v->bytes >= sectors[i] * 2 &&
            gpt_read(v, t, align_down(v->bytes, sectors[i]) - sectors[i], sectors[i])) {
            t->backup = true;
            note(t, "the first GPT is damaged; its copy at the end of the disk was read");
            return true;
        }
    }
    t->parts = 0;
    return false;
}

void part_read(const struct vol *v, struct part_table *t)
{
    uint8_t b[SECTOR];
    unsigned others = 0;

    *t = (struct part_table){.kind = "none"};
    if (vol_read(v, 0, b, sizeof(b)) < 0)
        return;
    for (unsigned i = 0; i < MBR_TABLE - 6; i++)
        t->boot_code |= b[i] != 0;
    for (unsigned i = 0; i < 4 && le16_at(b + 510) == 0xaa55; i++) {
        uint8_t type = b[MBR_TABLE + i * 16 + 4];

        t->protective |= type == 0xee;
        others += type != 0 && type != 0xee;
    }
    if (gpt_find(v, t)) {
        t->kind = t->protective && others ? "hybrid" : "gpt";
        return;
    }
    if (t->protective)
        note(t, "the GPT is damaged, and so is its copy");
    if (mbr_plausible(v, b)) {
        t->kind = "mbr";
        mbr_read(v, t, b);
    } else if (slices(v, t, 0)) {
        t->kind = "bsd";
    }
}
