/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes.h - wire integers as byte arrays.
 *
 * Alignment 1, so wire structs need no `packed`; not arithmetic types, so using a field without
 * converting it does not compile. Compilers turn each accessor into one load or store.
 */
#ifndef HOSPES_ABI_BYTES_H
#define HOSPES_ABI_BYTES_H

#include <stdint.h>

/* Size and offset of every wire struct are checked where it is defined. */
#define WIRE_SIZE(type, n) _Static_assert(sizeof(type) == (n), #type " has the wrong size")
#define WIRE_OFFSET(type, field, n)                                                                \
    _Static_assert(__builtin_offsetof(type, field) == (n), #type "." #field " is misplaced")

typedef struct {
    uint8_t b[2];
} le16;
typedef struct {
    uint8_t b[4];
} le32;
typedef struct {
    uint8_t b[8];
} le64;
typedef struct {
    uint8_t b[2];
} be16;
typedef struct {
    uint8_t b[4];
} be32;
typedef struct {
    uint8_t b[8];
} be64;

#define WIRE_ACCESSORS(type, ctype, swap)                                                          \
    static inline ctype type##_get(type v)                                                         \
    {                                                                                              \
        ctype x;                                                                                   \
        __builtin_memcpy(&x, v.b, sizeof(x));                                                      \
        return swap(x);                                                                            \
    }                                                                                              \
    static inline type type##_of(ctype v)                                                          \
    {                                                                                              \
        type w;                                                                                    \
        v = swap(v);                                                                               \
        __builtin_memcpy(w.b, &v, sizeof(v));                                                      \
        return w;                                                                                  \
    }                                                                                              \
    static inline ctype type##_at(const void *p)                                                   \
    {                                                                                              \
        type w;                                                                                    \
        __builtin_memcpy(&w, p, sizeof(w));                                                        \
        return type##_get(w);                                                                      \
    }                                                                                              \
    static inline void type##_put(void *p, ctype v)                                                \
    {                                                                                              \
        type w = type##_of(v);                                                                     \
        __builtin_memcpy(p, &w, sizeof(w));                                                        \
    }

#define WIRE_SAME(x) (x)
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "hospes runs x86 guests on x86 hosts"
#endif
WIRE_ACCESSORS(le16, uint16_t, WIRE_SAME)
WIRE_ACCESSORS(le32, uint32_t, WIRE_SAME)
WIRE_ACCESSORS(le64, uint64_t, WIRE_SAME)
WIRE_ACCESSORS(be16, uint16_t, __builtin_bswap16)
WIRE_ACCESSORS(be32, uint32_t, __builtin_bswap32)
WIRE_ACCESSORS(be64, uint64_t, __builtin_bswap64)

#endif
