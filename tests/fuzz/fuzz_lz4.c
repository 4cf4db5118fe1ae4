/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_lz4.c - a block of LZ4 against a decoder that goes byte by byte.
 *
 * The first two bytes say how much room there is; buffers are of exactly the right size.
 */
#include <stdlib.h>
#include <string.h>

#include "board/boot/boot_priv.h"
#include "fuzz.h"

enum { ROOM_MAX = 256 << 10 };

static bool more(const uint8_t **in, const uint8_t *end, size_t *n)
{
    uint8_t b;

    do {
        if (*in == end)
            return false;
        b = *(*in)++;
        *n += b;
    } while (b == 255);
    return true;
}

/* -1, or the number of bytes made. */
static long plain(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
    const uint8_t *end = in + n;
    size_t at = 0;

    for (;;) {
        size_t literals, match, back;

        if (in == end)
            return -1;
        literals = *in >> 4;
        match = *in++ & 15;
        if (literals == 15 && !more(&in, end, &literals))
            return -1;
        if (literals > (size_t)(end - in) || literals > room - at)
            return -1;
        for (; literals; literals--)
            out[at++] = *in++;
        if (in == end)
            return (long)at;
        if (end - in < 2)
            return -1;
        back = in[0] | (size_t)in[1] << 8;
        in += 2;
        if (match == 15 && !more(&in, end, &match))
            return -1;
        match += 4;
        if (back == 0 || back > at || match > room - at)
            return -1;
        for (; match; match--, at++)
            out[at] = out[at - back];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t room, done;
    uint8_t *a, *b;
    long want;
    int rc;

    if (n < 2)
        return 0;
    room = ((data[0] | (size_t)data[1] << 8) * 8) % ROOM_MAX;
    a = malloc(room ? room : 1);
    b = malloc(room ? room : 1);
    if (!a || !b)
        abort();
    want = plain(data + 2, n - 2, a, room);
    rc = boot_lz4_block(data + 2, n - 2, b, room, &done);
    if (done > room || (rc == 0) != (want >= 0))
        abort();
    if (rc == 0 && (done != (size_t)want || memcmp(a, b, done) != 0))
        abort();
    free(a);
    free(b);
    return 0;
}
