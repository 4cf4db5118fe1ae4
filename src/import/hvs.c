/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvs.c - reading Hyper-V's storage files; see hvs.h.
 *
 * Document: abi/hvs.h. Of key tables with the same index the newest counts. Not modelled: format
 * versions before 2.0, and files whose log still holds changes.
 */
#include "import/hvs.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/hvs.h"
#include "core/err.h"
#include "storage/utf.h"

enum {
    HVS_OBJECT_TABLES = 64,
    HVS_OBJECTS = 8192,
    HVS_TABLES = 1024,
    HVS_STEPS = 200000,
    HVS_VALUE_MAX = 64 << 10,
};

struct table {
    uint16_t index, sequence;
    size_t at, size;
};

struct entry {
    uint32_t table, offset; /* its own place */
    uint32_t parent_table, parent_offset;
    uint32_t insertion;
    size_t at, size; /* in the file */
};

struct hvs {
    struct reading *r;
    const uint8_t *p;
    size_t size;
    struct table table[HVS_TABLES];
    size_t tables, objects, steps;
    struct entry *entry; /* by parent, in the order of insertion */
    size_t entries, taken;
};

static int damaged(struct hvs *h, const char *what)
{
    return err_exit(h->r->e, EX_BAD_INPUT, EINVAL,
                    "it is damaged: %s; copy it again, or export the machine again", what);
}

static uint32_t sum(struct hvs *h, size_t at, size_t size, size_t checksum_at)
{
    static const uint8_t zero[4];
    uint32_t crc = libdeflate_crc32(0, h->p + at, checksum_at);

    crc = libdeflate_crc32(crc, zero, 4);
    return libdeflate_crc32(crc, h->p + at + checksum_at + 4, size - checksum_at - 4);
}

static bool sum_fits(struct hvs *h, size_t at, size_t size, size_t checksum_at)
{
    return h->r->f->wish.unchecked ||
           sum(h, at, size, checksum_at) == le32_at(h->p + at + checksum_at);
}

/* --- header and tables --- */

static bool header_at(struct hvs *h, size_t at, struct hvs_header *out)
{
    if (!range_in(at, sizeof(*out), h->size))
        return false;
    memcpy(out, h->p + at, sizeof(*out));
    return le32_get(out->signature) == HVS_HEADER_SIGNATURE &&
           sum_fits(h, at, sizeof(*out), offsetof(struct hvs_header, checksum));
}

static int read_header(struct hvs *h)
{
    struct hvs_header a, b;
    bool first = header_at(h, 0, &a), second = header_at(h, HVS_ALIGN, &b);
    struct hvs_log log;
    uint64_t at;

    if (!first && !second)
        return damaged(h, "neither of its two headers is valid");
    if (!first || (second && (int16_t)(le16_get(b.sequence) - le16_get(a.sequence)) > 0))
        a = b;
    if (le32_get(a.format_version) < 0x0200 || le32_get(a.format_version) > 0x04ff)
        return err_exit(h->r->e, EX_BAD_INPUT, EINVAL, "its storage format %u.%u is not known",
                        le32_get(a.format_version) >> 8, le32_get(a.format_version) & 0xff);
    at = le64_get(a.log_offset);
    if (!range_in(at, sizeof(log), h->size))
        return damaged(h, "its log lies outside of it");
    memcpy(&log, h->p + at, sizeof(log));
    if (le32_get(log.signature) == HVS_LOG_SIGNATURE && le32_get(log.entries) != 0)
        return err_exit(
            h->r->e, EX_BAD_INPUT, EINVAL,
            "Hyper-V has not finished writing it; stop the machine there, and export it "
            "again");
    return 0;
}

static int add_table(struct hvs *h, uint64_t at, uint32_t size)
{
    struct hvs_keys head;
    struct table t = {.at = (size_t)at, .size = size};

    if (size < sizeof(head) || !range_in(at, size, h->size))
        return damaged(h, "a table of keys lies outside of it");
    memcpy(&head, h->p + at, sizeof(head));
    if (le16_get(head.signature) != HVS_KEYS_SIGNATURE ||
        !sum_fits(h, t.at, sizeof(head), offsetof(struct hvs_keys, checksum)))
        return damaged(h, "a table of keys has a wrong head");
    t.index = le16_get(head.index);
    t.sequence = le16_get(head.sequence);
    for (size_t i = 0; i < h->tables; i++) {
        if (h->table[i].index != t.index)
            continue;
        if ((int16_t)(t.sequence - h->table[i].sequence) > 0)
            h->table[i] = t;
        return 0;
    }
    if (h->tables == HVS_TABLES)
        return damaged(h, "more tables than a machine needs");
    h->table[h->tables++] = t;
    return 0;
}

/* One table of objects; *next is where another one goes on, or 0. */
static int read_objects(struct hvs *h, uint64_t at, uint64_t *next)
{
    struct hvs_objects head;
    struct hvs_object o;
    int rc = 0;

    *next = 0;
    if (!range_in(at, sizeof(head), h->size))
        return damaged(h, "a table of objects lies outside of it");
    memcpy(&head, h->p + at, sizeof(head));
    if (le32_get(head.signature) != HVS_OBJECTS_SIGNATURE)
        return damaged(h, "a table of objects has a wrong head");
    at += sizeof(head);
    for (uint32_t i = 0; i < le32_get(head.count) && rc == 0; i++, at += sizeof(o)) {
        if (!range_in(at, sizeof(o), h->size) || ++h->objects > HVS_OBJECTS)
            return damaged(h, "a table of objects is cut off");
        memcpy(&o, h->p + at, sizeof(o));
        if (o.type == HVS_OBJECT_TABLE)
            *next = le64_get(o.offset);
        else if (o.type == HVS_KEY_TABLE)
            rc = add_table(h, le64_get(o.offset), le32_get(o.size));
    }
    return rc;
}

static int read_tables(struct hvs *h)
{
    uint64_t at = UINT64_C(2) * HVS_ALIGN;
    unsigned count = 0;
    int rc = 0;

    while (at && rc == 0) {
        if (++count > HVS_OBJECT_TABLES)
            return damaged(h, "its tables of objects have no end");
        rc = read_objects(h, at, &at);
    }
    return rc;
}

/* --- keys --- */

/* How much of a key is its own; what is left of its room was another key's once. */
static size_t content(const struct hvs *h, size_t at, const struct hvs_key *k)
{
    size_t skip = sizeof(*k) + k->name_size, room = le32_get(k->size) - skip, n = 8;

    if (k->type == HVS_KEY_NODE || k->flags & HVS_FLAG_OBJECT)
        n = 12;
    else if (k->type == HVS_KEY_BOOL)
        n = 4;
    else if (k->type == HVS_KEY_STRING || k->type == HVS_KEY_ARRAY)
        n = room >= 4 ? 4 + (size_t)le32_at(h->p + at + skip) : 4;
    return skip + (size_t)min_u64(n, room);
}

static int add_entry(struct hvs *h, const struct table *t, size_t at, const struct hvs_key *k)
{
    size_t size = le32_get(k->size);

    if (k->type == HVS_KEY_FREE)
        return 0;
    if (k->name_size == 0 || size < sizeof(*k) + k->name_size || h->p[at + sizeof(*k)] == '\0')
        return damaged(h, "a key has no name");
    if (!sum_fits(h, at, content(h, at, k), offsetof(struct hvs_key, checksum)))
        return damaged(h, "the checksum of a key is wrong");
    if (h->entries == TREE_NODES)
        return damaged(h, "more keys than a machine needs");
    if (h->entries % 512 == 0) {
        struct entry *grown = reallocarray(h->entry, h->entries + 512, sizeof(*grown));

        if (!grown)
            return err_set(h->r->e, ENOMEM, "no memory for the description");
        h->entry = grown;
    }
    h->entry[h->entries++] = (struct entry){
        .table = t->index,
        .offset = (uint32_t)(at - t->at),
        .parent_table = le16_get(k->parent_table),
        .parent_offset = le32_get(k->parent_offset),
        .insertion = le32_get(k->insertion),
        .at = at,
        .size = size,
    };
    return 0;
}

static int read_keys(struct hvs *h, const struct table *t)
{
    size_t at = t->at + sizeof(struct hvs_keys), end = t->at + t->size;
    struct hvs_key k;
    int rc = 0;

    while (end - at > sizeof(k) && rc == 0) {
        if (++h->steps > HVS_STEPS) /* tables that lie over each other */
            return damaged(h, "more keys than a machine needs");
        memcpy(&k, h->p + at, sizeof(k));
        if (le32_get(k.size) < sizeof(k) || le32_get(k.size) > end - at)
            return le32_get(k.size) == 0 && k.type == 0 ? 0
                                                        : damaged(h, "a key has a wrong length");
        rc = add_entry(h, t, at, &k);
        at += le32_get(k.size);
    }
    return rc;
}

static int by_parent(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->parent_table != y->parent_table)
        return x->parent_table < y->parent_table ? -1 : 1;
    if (x->parent_offset != y->parent_offset)
        return x->parent_offset < y->parent_offset ? -1 : 1;
    return x->insertion < y->insertion ? -1 : x->insertion > y->insertion;
}

/* --- values --- */

static int value_far(struct hvs *h, const uint8_t **data, size_t *n)
{
    struct hvs_far far;

    if (*n < sizeof(far))
        return damaged(h, "a value far away has no place");
    memcpy(&far, *data, sizeof(far));
    *n = le32_get(far.size);
    if (*n > HVS_VALUE_MAX || !range_in(le64_get(far.offset), *n, h->size))
        return damaged(h, "a value far away is too long, or lies outside of it");
    *data = h->p + le64_get(far.offset);
    return 0;
}

static int value_sized(struct hvs *h, const uint8_t **data, size_t *n)
{
    size_t len = *n >= 4 ? le32_at(*data) : 0;

    if (*n < 4 || len > *n - 4)
        return damaged(h, "a value is longer than its key");
    *data += 4;
    *n = len;
    return 0;
}

static int set_value(struct hvs *h, struct node *at, uint8_t type, const uint8_t *data, size_t n)
{
    char *text = NULL;
    int rc;

    if (type == HVS_KEY_STRING) {
        text = utf16_text(data, n / 2, false);
    } else {
        text = malloc(2 * n + 1);
        for (size_t i = 0; text && i < n; i++)
            snprintf(text + 2 * i, 3, "%02x", data[i]);
        if (text)
            text[2 * n] = '\0';
    }
    if (!text)
        return err_set(h->r->e, ENOMEM, "no memory for the description");
    rc = tree_value(&h->r->t, at, text, strlen(text), h->r->e);
    free(text);
    return rc;
}

static int set_number(struct hvs *h, struct node *at, uint8_t type, const uint8_t *data, size_t n)
{
    char text[40] = "";
    double d;

    if (n < (type == HVS_KEY_BOOL ? 4 : 8))
        return damaged(h, "a number is cut off");
    if (type == HVS_KEY_INT)
        snprintf(text, sizeof(text), "%lld", (long long)(int64_t)le64_at(data));
    else if (type == HVS_KEY_UINT)
        snprintf(text, sizeof(text), "%llu", (unsigned long long)le64_at(data));
    else if (type == HVS_KEY_BOOL)
        snprintf(text, sizeof(text), "%s", le32_at(data) ? "True" : "False");
    else {
        memcpy(&d, data, sizeof(d));
        snprintf(text, sizeof(text), "%.9g", d);
    }
    return tree_value(&h->r->t, at, text, strlen(text), h->r->e);
}

static int read_value(struct hvs *h, struct node *at, const struct hvs_key *k,
                      const struct entry *en)
{
    size_t skip = sizeof(*k) + k->name_size, n = en->size - skip;
    const uint8_t *data = h->p + en->at + skip;
    int rc = 0;

    switch (k->type) {
    case HVS_KEY_INT:
    case HVS_KEY_UINT:
    case HVS_KEY_DOUBLE:
    case HVS_KEY_BOOL:
        return set_number(h, at, k->type, data, n);
    case HVS_KEY_STRING:
    case HVS_KEY_ARRAY:
        rc = k->flags & HVS_FLAG_OBJECT ? value_far(h, &data, &n) : value_sized(h, &data, &n);
        return rc < 0 ? rc : set_value(h, at, k->type, data, n);
    case HVS_KEY_NODE:
        return 0;
    default:
        return damaged(h, "a key has a type that is not known");
    }
}

/* --- the tree --- */

static const struct entry *first_child(const struct hvs *h, uint32_t table, uint32_t offset)
{
    size_t low = 0, high = h->entries;

    while (low < high) {
        size_t mid = (low + high) / 2;
        const struct entry *x = &h->entry[mid];

        if (x->parent_table < table || (x->parent_table == table && x->parent_offset < offset))
            low = mid + 1;
        else
            high = mid;
    }
    return low < h->entries && h->entry[low].parent_table == table &&
                   h->entry[low].parent_offset == offset
               ? &h->entry[low]
               : NULL;
}

/* Depth is bounded by the tree's own bound; an entry has one parent, so none comes twice. */
static int build(struct hvs *h, struct node *up, uint32_t table, uint32_t offset)
{
    const struct entry *en = first_child(h, table, offset);
    int rc = 0;

    for (; en && en < h->entry + h->entries && en->parent_table == table &&
           en->parent_offset == offset && rc == 0;
         en++) {
        struct hvs_key k;
        char name[256];
        struct node *n;

        memcpy(&k, h->p + en->at, sizeof(k));
        snprintf(name, sizeof(name), "%.*s", (int)k.name_size,
                 (const char *)h->p + en->at + sizeof(k));
        n = tree_add(&h->r->t, up, name, NULL, 0, h->r->e);
        if (!n)
            return -h->r->e->code;
        h->taken++;
        rc = read_value(h, n, &k, en);
        if (rc == 0 && k.type == HVS_KEY_NODE)
            rc = build(h, n, en->table, en->offset);
    }
    return rc;
}

int hvs_parse(struct reading *r)
{
    struct hvs *h = calloc(1, sizeof(*h));
    int rc;

    if (!h)
        return err_set(r->e, ENOMEM, "no memory for the description");
    *h = (struct hvs){.r = r, .p = (const uint8_t *)r->f->text, .size = r->f->size};
    rc = read_header(h);
    if (rc == 0)
        rc = read_tables(h);
    for (size_t i = 0; i < h->tables && rc == 0; i++)
        rc = read_keys(h, &h->table[i]);
    if (rc == 0 && h->entries) {
        qsort(h->entry, h->entries, sizeof(*h->entry), by_parent);
        rc = build(h, &r->t.top, 0, 0);
    }
    if (rc == 0 && h->taken != h->entries)
        rc = damaged(h, "some keys belong nowhere");
    free(h->entry);
    free(h);
    return rc;
}

bool hvs_probe(const char *head, size_t n)
{
    return n >= 4 && le32_at(head) == HVS_HEADER_SIGNATURE;
}
