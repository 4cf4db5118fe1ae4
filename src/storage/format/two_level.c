/* SPDX-License-Identifier: Apache-2.0 */
/* two_level.c - see two_level.h. */
#include "storage/format/two_level.h"

#include <errno.h>
#include <stdlib.h>

#include "abi/bytes.h"

enum { PAGE = 4096, TEXT_MAX = 1023 };

static struct two_level *up(struct map *m)
{
    return container_of(m, struct two_level, m);
}

char *image_text(struct disk *file, uint64_t off, uint64_t n)
{
    char *s = n && n <= TEXT_MAX && range_in(off, n, disk_bytes(file)) ? malloc(n + 1) : NULL;

    if (s && disk_read(file, off, s, n) < 0) {
        free(s);
        return NULL;
    }
    if (s)
        s[n] = 0;
    return s;
}

int two_level_open(struct two_level *t, const struct map_ops *ops, uint64_t bytes,
                   const char *format, const struct disk_cfg *c, struct loop *l, struct err *e)
{
    int rc = 0;

    t->m.d.shape = (struct disk_shape){
        .bytes = bytes,
        .logical = DISK_SECTOR,
        .physical = 4096,
        .readonly = true,
    };
    if (t->backing)
        rc = chain_open(c, t->backing, format, l, &t->m.parent, e);
    if (rc == 0)
        rc = map_init(&t->m, ops, l, e);
    if (rc < 0)
        disk_close(t->m.parent);
    return rc;
}

void two_level_close(struct map *m, bool clean)
{
    (void)clean;
    free(up(m)->backing);
}

/* Entry i of a table; *p is the entry's place in memory if that holds, and moves on. */
static int next_entry(struct two_level *t, uint64_t table, uint64_t i, bool wait, const uint8_t **p,
                      uint64_t *out)
{
    uint64_t at = table + i * 8;

    if (!*p || at % PAGE == 0) {
        uint8_t *page;
        int rc = meta_get(&t->m, t->m.file, at, wait, &page);

        if (rc < 0)
            return rc;
        *p = page;
    }
    *out = t->big_endian ? be64_at(*p) : le64_at(*p);
    *p += 8;
    return 0;
}

/* Nothing there: how many empty L1 entries follow. */
static int find_hole(struct two_level *t, uint64_t i, uint64_t last, bool wait, uint64_t *end)
{
    const uint8_t *p = NULL;
    uint64_t entry = 0;
    int rc = 0;

    while (i < last) {
        rc = next_entry(t, t->l1_off, i + 1, wait, &p, &entry);
        if (rc < 0 || entry)
            break;
        i++;
    }
    *end = i;
    return rc == -EAGAIN ? 0 : rc;
}

static bool continues(const struct piece *x, const struct piece *next)
{
    if (x->kind != next->kind || x->kind == PIECE_PACKED)
        return false;
    return x->kind != PIECE_DATA || next->at == x->at + x->len;
}

static int find_in_table(struct two_level *t, uint64_t table, bool wait, struct piece *x)
{
    uint64_t i = x->off >> t->cluster_bits & ((UINT64_C(1) << t->l2_bits) - 1);
    uint64_t want = x->len, in = x->off & (t->m.cluster - 1), entry = 0;
    const uint8_t *p = NULL;
    int rc = next_entry(t, table, i, wait, &p, &entry);

    x->len = t->m.cluster - in;
    x->file = t->m.file;
    if (rc == 0)
        rc = t->classify(t, entry, x);
    while (rc == 0 && x->len < want && ++i < UINT64_C(1) << t->l2_bits) {
        struct piece next = {.off = x->off + x->len, .len = t->m.cluster};

        rc = next_entry(t, table, i, wait, &p, &entry);
        if (rc == 0)
            rc = t->classify(t, entry, &next);
        if (rc < 0 || !continues(x, &next)) { /* what is known is enough */
            rc = 0;
            break;
        }
        x->len += next.len;
    }
    x->len = min_u64(x->len, want);
    return rc;
}

int two_level_find(struct map *m, uint64_t off, uint64_t len, bool wait, struct piece *x)
{
    struct two_level *t = up(m);
    unsigned shift = t->l2_bits + t->cluster_bits;
    uint64_t i = off >> shift, last = (off + len - 1) >> shift, table = 0;
    const uint8_t *p = NULL;
    int rc = next_entry(t, t->l1_off, i, wait, &p, &table);

    if (rc < 0)
        return rc;
    if (table % 8 || table > INT64_MAX)
        return -EIO;
    if (table) {
        x->len = min_u64(len, ((i + 1) << shift) - off);
        return find_in_table(t, table, wait, x);
    }
    rc = find_hole(t, i, last, wait, &i);
    x->kind = PIECE_PARENT;
    x->len = min_u64(len, ((i + 1) << shift) - off);
    return rc;
}
