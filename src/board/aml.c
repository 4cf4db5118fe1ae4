/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aml.c - see aml.h.
 *
 * A body's PkgLength is 1 to 4 bytes and comes before it, so each body is written behind one spare
 * byte and moved up when it is closed and turns out longer than one byte can say.
 */
#include "board/aml.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "core/ids.h"

enum { AML_DEPTH = 16 };

enum aml_code {
    AML_ZERO = 0x00,
    AML_ONE = 0x01,
    AML_NAME = 0x08,
    AML_BYTE_PREFIX = 0x0a,
    AML_WORD_PREFIX = 0x0b,
    AML_DWORD_PREFIX = 0x0c,
    AML_STRING_PREFIX = 0x0d,
    AML_QWORD_PREFIX = 0x0e,
    AML_SCOPE = 0x10,
    AML_BUFFER = 0x11,
    AML_PACKAGE = 0x12,
    AML_METHOD = 0x14,
    AML_DUAL_NAME = 0x2e,
    AML_MULTI_NAME = 0x2f,
    AML_EXT = 0x5b,
    AML_EXT_MUTEX = 0x01,
    AML_EXT_REGION = 0x80,
    AML_EXT_FIELD = 0x81,
    AML_EXT_DEVICE = 0x82,
    AML_LOCAL0 = 0x60,
    AML_ARG0 = 0x68,
    AML_IF = 0xa0,
    AML_ELSE = 0xa1,
    AML_WHILE = 0xa2,
};

struct aml {
    uint8_t *p;
    size_t len, room;
    bool failed;
    size_t open[AML_DEPTH]; /* offsets of spare bytes */
    unsigned depth;
    size_t res; /* first descriptor of the open template */
};

struct aml *aml_create(void)
{
    return calloc(1, sizeof(struct aml));
}

void aml_destroy(struct aml *a)
{
    if (!a)
        return;
    free(a->p);
    free(a);
}

const uint8_t *aml_bytes(const struct aml *a, size_t *len)
{
    assert(a->depth == 0);
    *len = a->len;
    return a->failed ? NULL : a->p;
}

/* Room for n more bytes at the end; NULL when memory is out, which is remembered. */
static uint8_t *grow(struct aml *a, size_t n)
{
    if (a->failed)
        return NULL;
    if (a->len + n > a->room) {
        size_t room = (a->room + n) * 2 + 256;
        uint8_t *p = realloc(a->p, room);

        if (!p) {
            a->failed = true;
            return NULL;
        }
        a->p = p;
        a->room = room;
    }
    a->len += n;
    return a->p + a->len - n;
}

static void put(struct aml *a, const void *src, size_t n)
{
    uint8_t *p = grow(a, n);

    if (p)
        memcpy(p, src, n);
}

static void byte(struct aml *a, unsigned v)
{
    uint8_t b = (uint8_t)v;

    put(a, &b, 1);
}

static void le(struct aml *a, uint64_t v, unsigned n)
{
    put(a, &v, n);
}

/* --- bodies --- */

static void open_body(struct aml *a)
{
    assert(a->depth < AML_DEPTH);
    a->open[a->depth++] = a->len;
    byte(a, 0);
}

/* PkgLength counts its own bytes. Returns how many there are. */
static unsigned pkg_length(size_t body, uint8_t out[4])
{
    unsigned n = 1;
    size_t total;

    if (body + 1 < 64) {
        out[0] = (uint8_t)(body + 1);
        return 1;
    }
    while (body + n + 1 >= (size_t)1 << (4 + 8 * n))
        n++;
    total = body + n + 1;
    out[0] = (uint8_t)(n << 6 | (total & 15));
    for (unsigned i = 0; i < n; i++)
        out[1 + i] = (uint8_t)(total >> (4 + 8 * i));
    return n + 1;
}

void aml_end(struct aml *a)
{
    uint8_t code[4];
    size_t at, body;
    unsigned n;

    assert(a->depth > 0);
    at = a->open[--a->depth];
    if (a->failed)
        return;
    body = a->len - at - 1;
    n = pkg_length(body, code);
    if (n > 1 && !grow(a, n - 1))
        return;
    memmove(a->p + at + n, a->p + at + 1, body);
    memcpy(a->p + at, code, n);
}

static void ext(struct aml *a, unsigned code)
{
    byte(a, AML_EXT);
    byte(a, code);
}

void aml_scope(struct aml *a, const char *path)
{
    byte(a, AML_SCOPE);
    open_body(a);
    aml_path(a, path);
}

void aml_device(struct aml *a, const char *name)
{
    ext(a, AML_EXT_DEVICE);
    open_body(a);
    aml_path(a, name);
}

void aml_method(struct aml *a, const char *name, unsigned args, bool serialized)
{
    byte(a, AML_METHOD);
    open_body(a);
    aml_path(a, name);
    byte(a, (args & 7) | (serialized ? 8 : 0));
}

void aml_if(struct aml *a)
{
    byte(a, AML_IF);
    open_body(a);
}

void aml_else(struct aml *a)
{
    byte(a, AML_ELSE);
    open_body(a);
}

void aml_while(struct aml *a)
{
    byte(a, AML_WHILE);
    open_body(a);
}

void aml_package(struct aml *a, unsigned elements)
{
    assert(elements < 256);
    byte(a, AML_PACKAGE);
    open_body(a);
    byte(a, elements);
}

/* --- data and names --- */

void aml_int(struct aml *a, uint64_t v)
{
    if (v <= 1) {
        byte(a, v ? AML_ONE : AML_ZERO);
    } else if (v <= UINT8_MAX) {
        byte(a, AML_BYTE_PREFIX);
        le(a, v, 1);
    } else if (v <= UINT16_MAX) {
        byte(a, AML_WORD_PREFIX);
        le(a, v, 2);
    } else if (v <= UINT32_MAX) {
        byte(a, AML_DWORD_PREFIX);
        le(a, v, 4);
    } else {
        byte(a, AML_QWORD_PREFIX);
        le(a, v, 8);
    }
}

void aml_string(struct aml *a, const char *s)
{
    byte(a, AML_STRING_PREFIX);
    put(a, s, strlen(s) + 1);
}

void aml_eisaid(struct aml *a, const char *id)
{
    uint8_t product[2];
    bool good = strlen(id) == 7 && hex_bytes(id + 3, "", product, sizeof(product));
    uint32_t v;

    assert(good);
    v = (id[0] & 0x1fu) << 26 | (id[1] & 0x1fu) << 21 | (id[2] & 0x1fu) << 16 |
        (uint32_t)product[0] << 8 | product[1];
    byte(a, AML_DWORD_PREFIX);
    le(a, __builtin_bswap32(v), 4);
}

void aml_buffer(struct aml *a, const void *p, size_t len)
{
    byte(a, AML_BUFFER);
    open_body(a);
    aml_int(a, len);
    put(a, p, len);
    aml_end(a);
}

void aml_uuid(struct aml *a, const char *text)
{
    /* Where each byte of the text stands in the buffer: the first three fields are little-endian.
     */
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    uint8_t said[16], raw[16];
    bool good = uuid_read(text, said);

    assert(good);
    for (unsigned i = 0; i < 16; i++)
        raw[order[i]] = said[i];
    aml_buffer(a, raw, sizeof(raw));
}

void aml_path(struct aml *a, const char *path)
{
    unsigned segs = 0;
    size_t len;

    while (*path == '\\' || *path == '^')
        byte(a, (unsigned char)*path++);
    for (const char *s = path; *s; s++)
        segs += *s == '.' || s == path;
    if (segs == 0)
        byte(a, AML_ZERO); /* the root itself */
    else if (segs == 2)
        byte(a, AML_DUAL_NAME);
    else if (segs > 2) {
        byte(a, AML_MULTI_NAME);
        byte(a, segs);
    }
    for (; segs; segs--) {
        char seg[5] = "____";

        len = strcspn(path, ".");
        assert(len >= 1 && len <= 4);
        memcpy(seg, path, len);
        put(a, seg, 4);
        path += len + (path[len] == '.');
    }
}

void aml_name(struct aml *a, const char *name)
{
    byte(a, AML_NAME);
    aml_path(a, name);
}

void aml_name_int(struct aml *a, const char *name, uint64_t v)
{
    aml_name(a, name);
    aml_int(a, v);
}

void aml_name_string(struct aml *a, const char *name, const char *v)
{
    aml_name(a, name);
    aml_string(a, v);
}

void aml_name_eisaid(struct aml *a, const char *name, const char *id)
{
    aml_name(a, name);
    aml_eisaid(a, id);
}

/* --- operators --- */

void aml_op(struct aml *a, enum aml_op op)
{
    if (op > 0xff)
        byte(a, op >> 8);
    byte(a, op);
}

void aml_local(struct aml *a, unsigned n)
{
    byte(a, AML_LOCAL0 + n);
}

void aml_arg(struct aml *a, unsigned n)
{
    byte(a, AML_ARG0 + n);
}

void aml_no_target(struct aml *a)
{
    byte(a, AML_ZERO);
}

void aml_mutex(struct aml *a, const char *name)
{
    ext(a, AML_EXT_MUTEX);
    aml_path(a, name);
    byte(a, 0);
}

void aml_acquire(struct aml *a, const char *name)
{
    aml_op(a, AML_ACQUIRE);
    aml_path(a, name);
    le(a, 0xffff, 2);
}

void aml_release(struct aml *a, const char *name)
{
    aml_op(a, AML_RELEASE);
    aml_path(a, name);
}

void aml_region(struct aml *a, const char *name, enum aml_space space, uint64_t at, uint64_t len)
{
    ext(a, AML_EXT_REGION);
    aml_path(a, name);
    byte(a, space);
    aml_int(a, at);
    aml_int(a, len);
}

void aml_field(struct aml *a, const char *region, enum aml_access access, bool preserve)
{
    ext(a, AML_EXT_FIELD);
    open_body(a);
    aml_path(a, region);
    byte(a, access | (preserve ? 0 : 0x40));
}

void aml_unit(struct aml *a, const char *name, unsigned bits)
{
    if (name)
        aml_path(a, name);
    else
        byte(a, 0);
    /* Encoded as a PkgLength, which here does not count itself. */
    if (bits < 64) {
        byte(a, bits);
    } else {
        assert(bits < 1 << 12);
        byte(a, 0x40 | (bits & 15));
        byte(a, bits >> 4);
    }
}

/* --- resources, chapter 6.4 --- */

enum { RES_PRODUCER = 0x00, RES_FIXED = 0x0c };

void aml_resources(struct aml *a, const char *name)
{
    if (name)
        aml_name(a, name);
    byte(a, AML_BUFFER);
    open_body(a);
    byte(a, AML_WORD_PREFIX); /* BufferSize, filled in at the end */
    a->res = a->len + 2;
    le(a, 0, 2);
}

void aml_resources_end(struct aml *a)
{
    byte(a, 0x79); /* end tag; checksum 0 means none */
    byte(a, 0);
    if (!a->failed)
        le16_put(a->p + a->res - 2, (uint16_t)(a->len - a->res));
    aml_end(a);
}

void aml_res_io(struct aml *a, uint16_t at, uint8_t len)
{
    byte(a, 0x47);
    byte(a, 1); /* 16 bits are decoded */
    le(a, at, 2);
    le(a, at, 2);
    byte(a, 1);
    byte(a, len);
}

void aml_res_irq(struct aml *a, unsigned irq)
{
    byte(a, 0x22);
    le(a, UINT64_C(1) << irq, 2);
}

void aml_res_dma(struct aml *a, unsigned channel)
{
    byte(a, 0x2a);
    byte(a, (uint8_t)(1u << channel));
    byte(a, 0x00); /* compatible timing, 8 bits */
}

void aml_res_gsi(struct aml *a, uint32_t gsi)
{
    byte(a, 0x89);
    le(a, 6, 2);
    byte(a, 0x09); /* consumer, shared; level, active high */
    byte(a, 1);
    le(a, gsi, 4);
}

void aml_res_memory32(struct aml *a, uint32_t at, uint32_t len, bool writable)
{
    byte(a, 0x86);
    le(a, 9, 2);
    byte(a, writable);
    le(a, at, 4);
    le(a, len, 4);
}

/* Address space descriptors of n-byte numbers. */
static void window(struct aml *a, unsigned tag, unsigned type, unsigned flags, uint64_t first,
                   uint64_t last, unsigned n)
{
    byte(a, tag);
    le(a, 3 + 5 * n, 2);
    byte(a, type);
    byte(a, RES_FIXED | RES_PRODUCER);
    byte(a, flags);
    le(a, 0, n); /* granularity */
    le(a, first, n);
    le(a, last, n);
    le(a, 0, n); /* no translation */
    le(a, last - first + 1, n);
}

void aml_res_bus_numbers(struct aml *a, uint16_t first, uint16_t last)
{
    window(a, 0x88, 2, 0, first, last, 2);
}

void aml_res_io_window(struct aml *a, uint16_t first, uint16_t last)
{
    window(a, 0x88, 1, 3, first, last, 2); /* the entire range */
}

void aml_res_mem_window(struct aml *a, uint32_t first, uint32_t last, bool cacheable)
{
    window(a, 0x87, 0, cacheable ? 3 : 1, first, last, 4);
}

void aml_res_mem64_window(struct aml *a, uint64_t first, uint64_t last, bool cacheable)
{
    window(a, 0x8a, 0, cacheable ? 3 : 1, first, last, 8);
}
