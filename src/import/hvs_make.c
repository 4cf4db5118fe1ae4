/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvs_make.c - writing Hyper-V's storage files; see hvs.h and abi/hvs.h.
 *
 * The file is made once and whole: two equal headers but for the sequence, one table of objects,
 * key tables of 4 KiB, file objects for long values and an empty log.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/hvs.h"
#include "core/err.h"
#include "core/path.h"
#include "import/hvs.h"
#include "storage/utf.h"

enum { MAKE_KEYS = 4096, MAKE_FAR = 32, MAKE_TABLES = 128, MAKE_VALUE = 60 << 10 };

struct made {
    char *path; /* whole, as it was asked for */
    uint8_t type;
    uint8_t *data;
    size_t n;
    int parent; /* -1: the root */
    uint32_t insertion, children;
    uint16_t table; /* where it came to lie */
    uint32_t offset;
    int far; /* number of its file object, -1: none */
};

struct hvs_make {
    struct made key[MAKE_KEYS];
    size_t keys, fars, tables;
    uint32_t root_children;
    bool failed;
};

int hvs_make_new(struct hvs_make **out, struct err *e)
{
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : err_set(e, ENOMEM, "no memory for the description");
}

void hvs_make_free(struct hvs_make *m)
{
    for (size_t i = 0; m && i < m->keys; i++) {
        free(m->key[i].path);
        free(m->key[i].data);
    }
    free(m);
}

static int find(const struct hvs_make *m, const char *path, size_t len)
{
    for (size_t i = 0; i < m->keys; i++) {
        if (strncmp(m->key[i].path, path, len) == 0 && m->key[i].path[len] == '\0')
            return (int)i;
    }
    return -1;
}

static int add(struct hvs_make *m, const char *path, size_t len, uint8_t type, const void *data,
               size_t n)
{
    const char *slash = memrchr(path, '/', len);
    int parent = -1;
    struct made *k;

    if (slash) {
        parent = find(m, path, (size_t)(slash - path));
        if (parent < 0)
            parent =
                add(m, path, (size_t)(slash - path), HVS_KEY_NODE, "\0\0\0\0\0\0\0\0\0\0\0", 12);
    }
    if (m->failed || m->keys == MAKE_KEYS || n > MAKE_VALUE) {
        m->failed = true;
        return -1;
    }
    k = &m->key[m->keys];
    *k = (struct made){.type = type, .n = n, .parent = parent, .far = -1};
    k->path = strndup(path, len);
    k->data = malloc(n + 1);
    m->failed |= !k->path || !k->data;
    m->keys++;
    if (m->failed || !k->data)
        return -1;
    memcpy(k->data, data, n);
    k->insertion = parent < 0 ? ++m->root_children : ++m->key[parent].children;
    if (n >= HVS_FILE_OBJECT)
        k->far = (int)m->fars++;
    return (int)m->keys - 1;
}

void hvs_put_text(struct hvs_make *m, const char *path, const char *value)
{
    size_t units = strlen(value); /* at most */
    uint8_t *data = malloc(4 + 2 * (units + 1));

    if (!data) {
        m->failed = true;
        return;
    }
    units = utf16_from(value, data + 4, units, false);
    le32_put(data, (uint32_t)(2 * units)); /* no zero ends them in files of Hyper-V's own */
    add(m, path, strlen(path), HVS_KEY_STRING, data, 4 + 2 * units);
    free(data);
}

void hvs_put_number(struct hvs_make *m, const char *path, int64_t value)
{
    uint8_t data[8];

    le64_put(data, (uint64_t)value);
    add(m, path, strlen(path), HVS_KEY_INT, data, sizeof(data));
}

void hvs_put_bool(struct hvs_make *m, const char *path, bool value)
{
    uint8_t data[4];

    le32_put(data, value);
    add(m, path, strlen(path), HVS_KEY_BOOL, data, sizeof(data));
}

void hvs_put_bytes(struct hvs_make *m, const char *path, const void *p, size_t n)
{
    uint8_t *data = malloc(n + 4);

    if (!data) {
        m->failed = true;
        return;
    }
    le32_put(data, (uint32_t)n);
    memcpy(data + 4, p, n);
    add(m, path, strlen(path), HVS_KEY_ARRAY, data, n + 4);
    free(data);
}

/* --- the file --- */

static uint32_t sum(const void *p, size_t n)
{
    return libdeflate_crc32(0, p, n);
}

/* Of a value far away, the length before it is not part of it. */
static size_t far_size(const struct made *k)
{
    return k->n - 4;
}

static size_t key_size(const struct made *k)
{
    return sizeof(struct hvs_key) + strlen(path_last(k->path)) + 1 +
           (k->far >= 0 ? sizeof(struct hvs_far) : k->n);
}

/* A table's end has to be reached exactly, by an unused key of more than a head's length. */
static void lay_out(struct hvs_make *m)
{
    uint32_t at = sizeof(struct hvs_keys);

    m->tables = 1;
    for (size_t i = 0; i < m->keys; i++) {
        size_t n = key_size(&m->key[i]);

        if (at + n + sizeof(struct hvs_key) >= HVS_ALIGN) {
            m->tables++;
            at = sizeof(struct hvs_keys);
        }
        m->key[i].table = (uint16_t)m->tables;
        m->key[i].offset = at;
        at += (uint32_t)n;
    }
    m->failed |= m->tables > MAKE_TABLES || m->fars > MAKE_FAR;
}

static void write_key(const struct hvs_make *m, const struct made *k, uint64_t far_at, uint8_t *out)
{
    const char *name = path_last(k->path);
    const struct made *up = k->parent >= 0 ? &m->key[k->parent] : NULL;
    size_t name_size = strlen(name) + 1, n = key_size(k);
    struct hvs_key head = {
        .type = k->type,
        .flags = k->far >= 0 ? HVS_FLAG_OBJECT : 0,
        .size = le32_of((uint32_t)n),
        .parent_table = le16_of(up ? up->table : 0),
        .parent_offset = le32_of(up ? up->offset : 0),
        .insertion = le32_of(k->insertion),
        .name_size = (uint8_t)name_size,
    };
    uint8_t *data = out + sizeof(head) + name_size;

    memcpy(out, &head, sizeof(head));
    memcpy(out + sizeof(head), name, name_size);
    if (k->far >= 0) {
        struct hvs_far far = {le32_of((uint32_t)far_size(k)), le64_of(far_at)};

        memcpy(data, &far, sizeof(far));
    } else {
        memcpy(data, k->data, k->n);
    }
    if (k->type == HVS_KEY_NODE)
        le32_put(data + offsetof(struct hvs_node, next_insertion), k->children + 1);
    le32_put(out + offsetof(struct hvs_key, checksum), sum(out, n));
}

/* The key that fills what is left of a table. */
static void write_free(uint8_t *table, uint32_t at)
{
    struct hvs_key head = {.type = HVS_KEY_FREE, .size = le32_of(HVS_ALIGN - at)};

    memcpy(table + at, &head, sizeof(head));
    le32_put(table + at + offsetof(struct hvs_key, checksum), sum(&head, sizeof(head)));
}

static void write_tables(const struct hvs_make *m, uint8_t *file, size_t first, size_t far_first)
{
    uint32_t end[MAKE_TABLES + 1] = {0};
    size_t far_at = far_first;

    for (size_t i = 0; i < m->keys; i++) {
        const struct made *k = &m->key[i];

        write_key(m, k, far_at, file + first + (size_t)(k->table - 1) * HVS_ALIGN + k->offset);
        end[k->table] = k->offset + (uint32_t)key_size(k);
        if (k->far < 0)
            continue;
        memcpy(file + far_at, k->data + 4, far_size(k));
        far_at += align_up(far_size(k), HVS_ALIGN);
    }
    for (size_t t = 1; t <= m->tables; t++) {
        uint8_t *table = file + first + (t - 1) * HVS_ALIGN;
        struct hvs_keys head = {
            le16_of(HVS_KEYS_SIGNATURE), le16_of((uint16_t)t), le16_of(1), {{0}}};

        head.checksum = le32_of(sum(&head, sizeof(head)));
        memcpy(table, &head, sizeof(head));
        write_free(table, end[t]);
    }
}

static void write_object(uint8_t *at, uint8_t type, size_t offset, size_t size)
{
    struct hvs_object o = {.type = type,
                           .offset = le64_of(offset),
                           .size = le32_of((uint32_t)size),
                           .flags = type == HVS_KEY_TABLE};

    o.checksum = le32_of(sum(&o, sizeof(o)));
    memcpy(at, &o, sizeof(o));
}

static void write_objects(const struct hvs_make *m, uint8_t *file, size_t first, size_t far_first)
{
    enum { COUNT = (HVS_ALIGN - sizeof(struct hvs_objects)) / sizeof(struct hvs_object) };
    uint8_t *table = file + 2 * HVS_ALIGN;
    struct hvs_objects head = {le32_of(HVS_OBJECTS_SIGNATURE), le32_of(COUNT)};
    size_t n = 0, far_at = far_first;

    memcpy(table, &head, sizeof(head));
    table += sizeof(head);
    for (; n < m->tables; n++)
        write_object(table + n * sizeof(struct hvs_object), HVS_KEY_TABLE, first + n * HVS_ALIGN,
                     HVS_ALIGN);
    for (size_t i = 0; i < m->keys; i++) {
        size_t size = m->key[i].far >= 0 ? align_up(far_size(&m->key[i]), HVS_ALIGN) : 0;

        if (!size)
            continue;
        write_object(table + n++ * sizeof(struct hvs_object), HVS_FILE, far_at, size);
        far_at += size;
    }
    for (; n < COUNT; n++)
        write_object(table + n * sizeof(struct hvs_object), HVS_EMPTY, 0, 0);
}

static void write_headers(uint8_t *file, size_t log_at)
{
    struct hvs_log log = {.signature = le32_of(HVS_LOG_SIGNATURE),
                          .max_entries = le32_of((HVS_ALIGN - sizeof(log)) / 28)};

    log.checksum = le32_of(sum(&log, sizeof(log)));
    memcpy(file + log_at, &log, sizeof(log));
    for (uint16_t i = 0; i < 2; i++) {
        struct hvs_header h = {
            .signature = le32_of(HVS_HEADER_SIGNATURE),
            .sequence = le16_of((uint16_t)(2 - i)),
            .format_version = le32_of(HVS_VERSION),
            .alignment = le32_of(HVS_ALIGN),
            .log_offset = le64_of(log_at),
            .log_size = le64_of(HVS_ALIGN),
            .log_header_size = le32_of(HVS_ALIGN),
        };

        h.checksum = le32_of(sum(&h, sizeof(h)));
        memcpy(file + (size_t)i * HVS_ALIGN, &h, sizeof(h));
    }
}

int hvs_make_end(struct hvs_make *m, struct buf *out, struct err *e)
{
    size_t first = 3 * (size_t)HVS_ALIGN, far_first, size;
    uint8_t *file;

    lay_out(m);
    if (m->failed)
        return err_set(e, E2BIG, "the machine does not fit into a description of Hyper-V");
    far_first = first + m->tables * HVS_ALIGN;
    size = far_first;
    for (size_t i = 0; i < m->keys; i++)
        size += m->key[i].far >= 0 ? align_up(far_size(&m->key[i]), HVS_ALIGN) : 0;
    file = calloc(1, size + HVS_ALIGN);
    if (!file)
        return err_set(e, ENOMEM, "no memory for the description");
    write_objects(m, file, first, far_first);
    write_tables(m, file, first, far_first);
    write_headers(file, size);
    buf_bytes(out, file, size + HVS_ALIGN);
    free(file);
    return buf_end(out, e);
}
