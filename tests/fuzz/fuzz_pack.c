/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_pack.c - what the compressors are given comes back from what they made.
 *
 * The first byte chooses how often the rest repeats, so that short inputs make long clusters.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "storage/pack.h"

enum { MOST = 65536 + 4096 };

static const struct tool {
    size_t (*pack)(const uint8_t *in, size_t n, uint8_t *out, size_t room, unsigned level);
    int (*unpack)(const uint8_t *in, size_t n, uint8_t *out, size_t len);
} tools[] = {{pack_zstd, unpack_zstd}, {pack_deflate, unpack_deflate}, {pack_zlib, unpack_zlib}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t out[MOST], back[MOST];
    size_t times, n, len;
    uint8_t *in;

    if (size < 2)
        return 0;
    times = (size_t)data[0] * data[0] + 1;
    n = min_u64((size - 1) * times, MOST);
    in = malloc(n); /* of exactly the right size */
    if (!in)
        return 0;
    for (size_t i = 0; i < n; i++)
        in[i] = (uint8_t)(data[1 + i % (size - 1)] + i / (size - 1) / 16);
    for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
        len = tools[i].pack(in, n, out, n, 0);
        if (len && (tools[i].unpack(out, len, back, n) < 0 || memcmp(back, in, n) != 0))
            abort();
    }
    free(in);
    return 0;
}
