/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lvm.c - see lvm.h.
 *
 * Document: lvm2 lib/format_text (labels, metadata areas and the text in them). Modelled: linear
 * and striped volumes, the first leg of mirrors and RAID1. Not modelled: thin, cache, snapshots,
 * RAID with parity, checksums; such volumes are listed with the reason.
 */
#define _GNU_SOURCE
#include "inspect/lvm.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "inspect/lvmtext.h"

enum { SECTOR = 512, LABEL_SECTORS = 4, AREA_HEAD = 512, RUNS_MAX = 4096, AREAS_MAX = 8 };

/* "abcdef-ghij-..." of 32 characters. */
static void uuid_text(char out[40], const uint8_t *raw)
{
    char *at = out;

    for (unsigned i = 0; i < 32; i++) {
        if (i == 6 || i == 10 || i == 14 || i == 18 || i == 22 || i == 26)
            *at++ = '-';
        *at++ = isalnum(raw[i]) ? (char)raw[i] : '?';
    }
    *at = '\0';
}

static int label_find(const struct vol *v, uint8_t *b)
{
    for (unsigned i = 0; i < LABEL_SECTORS; i++) {
        if (vol_read(v, (uint64_t)i * SECTOR, b, SECTOR) == 0 && memcmp(b, "LABELONE", 8) == 0 &&
            memcmp(b + 24, "LVM2 001", 8) == 0)
            return 1;
    }
    return 0;
}

int lvm_add(struct lvm *l, struct vol *v)
{
    uint8_t b[SECTOR];
    uint32_t at;

    if (!label_find(v, b))
        return 0;
    at = le32_at(b + 20);
    if (l->pvs == LVM_DISKS || !range_in(at, 40 + 16, SECTOR))
        return -EIO;
    l->pv[l->pvs].vol = v;
    uuid_text(l->pv[l->pvs].uuid, b + at);
    l->pv[l->pvs].data = le64_at(b + at + 40);
    l->pvs++;
    return 1;
}

/* --- the text of a group --- */

static struct lvm_lv *lv_find(struct lvm *l, const char *group, const char *name)
{
    char full[128];

    snprintf(full, sizeof(full), "%s/%s", group, name);
    for (size_t i = 0; i < l->lvs; i++) {
        if (strcmp(l->lv[i].name, full) == 0)
            return &l->lv[i];
    }
    return NULL;
}

struct group {
    struct lvm *l;
    const struct text_node *pvs, *lvs;
    const char *name;
    uint64_t extent; /* bytes */
};

/* The disk that a group calls by a name: "pv0". */
static struct vol *group_disk(const struct group *g, const char *name, uint64_t *data)
{
    const struct text_node *pv = text_child(g->pvs, name);
    const char *id = text_string(pv, "id");

    for (size_t i = 0; id && i < g->l->pvs; i++) {
        if (strcmp(g->l->pv[i].uuid, id) == 0) {
            *data = g->l->pv[i].data;
            if (*data == 0)
                *data = text_number(pv, "pe_start") * SECTOR;
            return g->l->pv[i].vol;
        }
    }
    return NULL;
}

static int run_legs(const struct group *g, const struct text_node *seg, unsigned stripes,
                    struct vol_run *r)
{
    const struct text_node *list = text_child(seg, "stripes");
    const struct text_node *item = list ? list->first : NULL;

    for (unsigned i = 0; i < stripes; i++) {
        const struct text_node *extent = item ? item->next : NULL;
        uint64_t data = 0, off;
        struct vol *disk = extent ? group_disk(g, item->value, &data) : NULL;

        if (!extent)
            return -EIO;
        if (!disk)
            return -ENODEV;
        if (mul_overflows(strtoull(extent->value, NULL, 10), g->extent, &off) ||
            add_overflows(off, data, &off) || off > INT64_MAX)
            return -EIO;
        r->leg[i].vol = disk;
        r->leg[i].off = off;
        item = extent->next;
    }
    r->legs = stripes;
    return 0;
}

/* One segment of a linear or striped volume. */
static int seg_striped(const struct group *g, const struct text_node *seg, struct vol_run *r)
{
    uint64_t stripes = text_number(seg, "stripe_count");

    if (stripes < 1 || stripes > VOL_LEGS ||
        mul_overflows(text_number(seg, "start_extent"), g->extent, &r->at) ||
        mul_overflows(text_number(seg, "extent_count"), g->extent, &r->len) || r->len == 0 ||
        r->len > INT64_MAX)
        return -EIO;
    r->stripe = stripes == 1 ? r->len : text_number(seg, "stripe_size") * SECTOR;
    if (r->stripe == 0)
        return -EIO;
    return run_legs(g, seg, (unsigned)stripes, r);
}

static const char *seg_fault(int rc)
{
    return rc == -ENODEV ? "a disk of its group is not here" : "its description is damaged";
}

static int lv_fill(const struct group *g, struct lvm_lv *lv, const struct text_node *node,
                   unsigned depth);

/* The first leg of a mirror is a volume of the same group. */
static int seg_mirror(const struct group *g, struct lvm_lv *lv, const struct text_node *seg,
                      bool raid, unsigned depth)
{
    const struct text_node *list = text_child(seg, raid ? "raids" : "mirrors");
    const struct text_node *item = list ? list->first : NULL;
    const struct text_node *leg;

    if (raid && item) /* pairs of metadata and data */
        item = item->next;
    leg = item ? text_child(g->lvs, item->value) : NULL;
    if (!leg || depth > 2)
        return -EIO;
    return lv_fill(g, lv, leg, depth + 1);
}

static int lv_segment(const struct group *g, struct lvm_lv *lv, const struct text_node *seg,
                      unsigned depth)
{
    const char *type = text_string(seg, "type");
    struct vol *v = &lv->vol;
    struct vol_run *runs;
    int rc;

    if (!type)
        return -EIO;
    if (strcmp(type, "mirror") == 0 || strcmp(type, "raid1") == 0)
        return seg_mirror(g, lv, seg, *type == 'r', depth);
    if (strcmp(type, "striped") != 0) {
        snprintf(lv->why, sizeof(lv->why), "a volume of type %.32s is not read", type);
        return -ENOTSUP;
    }
    if (v->nruns == RUNS_MAX)
        return -E2BIG;
    runs = reallocarray(v->runs, v->nruns + 1, sizeof(*runs));
    if (!runs)
        return -ENOMEM;
    v->runs = runs;
    memset(&runs[v->nruns], 0, sizeof(*runs));
    rc = seg_striped(g, seg, &runs[v->nruns]);
    if (rc < 0)
        return rc;
    v->bytes = max_u64(v->bytes, runs[v->nruns].at + runs[v->nruns].len);
    v->nruns++;
    return 0;
}

static int lv_fill(const struct group *g, struct lvm_lv *lv, const struct text_node *node,
                   unsigned depth)
{
    int rc = -EIO; /* a volume has at least one segment */

    for (const struct text_node *s = node->first; s; s = s->next) {
        if (strncmp(s->name, "segment", 7) != 0 || !isdigit((unsigned char)s->name[7]))
            continue;
        rc = lv_segment(g, lv, s, depth);
        if (rc < 0)
            break;
    }
    return rc;
}

static bool lv_visible(const struct text_node *node)
{
    const struct text_node *status = text_child(node, "status");

    for (const struct text_node *s = status ? status->first : NULL; s; s = s->next) {
        if (strcmp(s->value, "VISIBLE") == 0)
            return true;
    }
    return false;
}

static void lv_add(const struct group *g, const struct text_node *node)
{
    struct lvm *l = g->l;
    struct lvm_lv *lv;
    int rc;

    if (!lv_visible(node) || lv_find(l, g->name, node->name) || l->lvs == LVM_VOLUMES)
        return;
    lv = &l->lv[l->lvs++];
    *lv = (struct lvm_lv){.why = ""};
    snprintf(lv->name, sizeof(lv->name), "%s/%s", g->name, node->name);
    lv->vol.work = l->pvs ? l->pv[0].vol->work : NULL;
    rc = lv_fill(g, lv, node, 0);
    if (rc < 0 && !lv->why[0])
        snprintf(lv->why, sizeof(lv->why), "%s", seg_fault(rc));
    l->unseen |= rc == -ENODEV;
}

int lvm_text(struct lvm *l, char *text)
{
    struct text_node *top;
    int rc = text_parse(text, &top);

    if (rc < 0)
        return rc;
    for (const struct text_node *n = top->first; n; n = n->next) {
        struct group g = {.l = l,
                          .name = n->name,
                          .pvs = text_child(n, "physical_volumes"),
                          .lvs = text_child(n, "logical_volumes")};

        if (!g.pvs)
            continue;
        if (mul_overflows(text_number(n, "extent_size"), SECTOR, &g.extent) || g.extent == 0)
            rc = -EIO;
        for (const struct text_node *lv = g.lvs ? g.lvs->first : NULL; rc == 0 && lv; lv = lv->next)
            lv_add(&g, lv);
    }
    text_free(top);
    return rc;
}

/* --- where the text lies --- */

/* A metadata area is a ring: text that reaches its end goes on after its head. */
static int area_read(struct lvm *l, struct vol *v, uint64_t area)
{
    uint8_t h[AREA_HEAD];
    uint64_t off, n, size, first;
    char *text;
    int rc = vol_read(v, area, h, sizeof(h));

    if (rc < 0)
        return rc;
    size = le64_at(h + 32);
    off = le64_at(h + 40);
    n = le64_at(h + 48);
    if (memcmp(h + 4, " LVM2 x[5A%r0N*>", 16) != 0 || n == 0 || n > LVM_TEXT_MAX || off >= size ||
        off < AREA_HEAD || n > size - AREA_HEAD)
        return -EIO;
    text = malloc((size_t)n + 1);
    if (!text)
        return -ENOMEM;
    first = min_u64(n, size - off);
    rc = vol_read(v, area + off, text, (size_t)first);
    if (rc == 0 && first < n)
        rc = vol_read(v, area + AREA_HEAD, text + first, (size_t)(n - first));
    text[n] = '\0';
    if (rc == 0)
        rc = lvm_text(l, text);
    free(text);
    return rc;
}

/* After the data areas of a label, ended by zeroes, come the metadata areas. */
static void label_read(struct lvm *l, struct vol *v)
{
    uint8_t b[SECTOR];
    unsigned lists = 0, areas = 0;
    uint32_t at;

    if (!label_find(v, b))
        return;
    at = le32_at(b + 20) + 40;
    for (; lists < 2 && range_in(at, 16, SECTOR); at += 16) {
        uint64_t off = le64_at(b + at);

        if (off == 0 && le64_at(b + at + 8) == 0)
            lists++;
        else if (lists == 1 && areas++ < AREAS_MAX && area_read(l, v, off) == 0)
            return;
    }
}

void lvm_read(struct lvm *l)
{
    for (size_t i = 0; i < l->pvs; i++)
        label_read(l, l->pv[i].vol);
}

void lvm_fini(struct lvm *l)
{
    for (size_t i = 0; i < l->lvs; i++)
        vol_fini(&l->lv[i].vol);
    l->lvs = 0;
}
