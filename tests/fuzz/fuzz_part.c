/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a disk with partitions; those of a GPT get their checksums right, or few would pass.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "abi/bytes.h"
#include "fuzz.h"
#include "inspect/part.h"

static void mend(uint8_t *b, size_t n)
{
    uint64_t table, bytes;

    if (n < 1536 || memcmp(b + 512, "EFI PART", 8) != 0)
        return;
    table = le64_at(b + 512 + 72);
    bytes = (uint64_t)le32_at(b + 512 + 80) * le32_at(b + 512 + 84);
    if (table < n / 512 && bytes <= n - table * 512)
        le32_put(b + 512 + 88, (uint32_t)crc32(0, b + table * 512, (unsigned)bytes));
    le32_put(b + 512 + 12, 92);
    le32_put(b + 512 + 16, 0);
    le32_put(b + 512 + 16, (uint32_t)crc32(0, b + 512, 92));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct work work;
    struct part_table t;
    struct vol v;
    uint8_t *b = malloc(size ? size : 1);

    if (!b)
        return 0;
    memcpy(b, data, size);
    mend(b, size);
    work.calls = 10000;
    work.bytes = 8 << 20;
    vol_mem(&v, b, size, &work);
    part_read(&v, &t);
    for (size_t i = 0; i < t.parts; i++) {
        if (!range_in(t.part[i].off, t.part[i].len, size))
            abort();
    }
    free(b);
    return 0;
}
