/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h - the names every header may use. No behaviour here.
 *
 * Handles keep one name everywhere: m (gmem), l (loop), d (device or disk), p (persona),
 * r (request), e (err).
 */
#ifndef HOSPES_CORE_CORE_H
#define HOSPES_CORE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct err;
struct gmem;
struct loop;
struct cfg;
struct bus;
struct irq;
struct device;
struct pci_bus;
struct persona;
struct host;
struct disk;
struct netif;
struct console;

typedef uint64_t gpa_t; /* guest-physical address; never a pointer */

enum access { ACC_READ, ACC_WRITE };

#define MUST __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))

/* Refuses pointers: their element count is not known here. */
#define ARRAY_SIZE(a)                                                                              \
    (sizeof(a) / sizeof((a)[0]) +                                                                  \
     0 * sizeof(struct {                                                                           \
         _Static_assert(!__builtin_types_compatible_p(__typeof__(a), __typeof__(&(a)[0])),         \
                        "ARRAY_SIZE of a pointer");                                                \
         int unused;                                                                               \
     }))

/* Built with a sanitizer: slower, and its shadow takes terabytes of address space. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Reads, and writes, a word whole that other threads read or write meanwhile. Says nothing of
 * order. */
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELAXED)

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define KiB (UINT64_C(1) << 10)
#define MiB (UINT64_C(1) << 20)
#define GiB (UINT64_C(1) << 30)

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* align is a power of two. align_up wraps at 2^64: check with add_overflows first. */
static inline uint64_t align_down(uint64_t v, uint64_t align)
{
    return v & ~(align - 1);
}

static inline uint64_t align_up(uint64_t v, uint64_t align)
{
    return align_down(v + align - 1, align);
}

static inline bool is_pow2(uint64_t v)
{
    return v != 0 && (v & (v - 1)) == 0;
}

/* true when the sum (product) does not fit; *out is then unspecified. */
static inline bool add_overflows(uint64_t a, uint64_t b, uint64_t *out)
{
    return __builtin_add_overflow(a, b, out);
}

static inline bool mul_overflows(uint64_t a, uint64_t b, uint64_t *out)
{
    return __builtin_mul_overflow(a, b, out);
}

/* The one door for an index that a guest or a file supplies. false: out of range, *out is 0. */
MUST static inline bool idx_in(uint64_t v, size_t limit, size_t *out)
{
    *out = v < limit ? (size_t)v : 0;
    return v < limit;
}

/* true when [off, off+len) lies inside [0, size), without wrapping. */
MUST static inline bool range_in(uint64_t off, uint64_t len, uint64_t size)
{
    return off <= size && len <= size - off;
}

#endif
