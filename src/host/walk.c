/* SPDX-License-Identifier: Apache-2.0 */
/* walk.c - see walk.h. Document: AMD64 Architecture Programmer's Manual 2, section 5.3. */
#include "host/walk.h"

#include <errno.h>

enum { PRESENT = 1 << 0, LARGE = 1 << 7, LEVEL_BITS = 9, LARGE_LEVEL = 3 };
#define ADDRESS UINT64_C(0x000ffffffffff000)

int walk_long(struct gmem *m, uint64_t cr3, bool la57, uint64_t va, gpa_t *out)
{
    unsigned level = la57 ? 5 : 4, shift = 12 + LEVEL_BITS * level;
    uint64_t entry = cr3, span;

    if ((uint64_t)((int64_t)(va << (64 - shift)) >> (64 - shift)) != va)
        return -EFAULT;
    do {
        gpa_t table = entry & ADDRESS;

        shift -= LEVEL_BITS;
        if (gmem_read(m, table + (va >> shift & 511) * 8, &entry, sizeof(entry)) < 0 ||
            !(entry & PRESENT))
            return -EFAULT;
        if (level <= LARGE_LEVEL && entry & LARGE)
            break;
    } while (--level);
    span = UINT64_C(1) << shift;
    *out = (entry & ADDRESS & ~(span - 1)) | (va & (span - 1));
    return 0;
}
