/* SPDX-License-Identifier: Apache-2.0 */
/* lznt1.c - LZNT1 as [MS-XCA] 2.5 has it: chunks of 4096 bytes, packed or plain. */
#include <errno.h>
#include <string.h>

#include "abi/bytes.h"
#include "inspect/fs/ntfs.h"

enum { CHUNK = 4096 };

/* One packed chunk. A match's split between length and distance moves with what is written. */
static ssize_t chunk_unpack(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
    size_t at = 0, done = 0;

    while (at < n) {
        unsigned flags = in[at++];

        for (unsigned bit = 0; bit < 8 && at < n; bit++, flags >>= 1) {
            unsigned v, shift = 12;
            size_t len, distance;

            if (!(flags & 1)) {
                if (done == room)
                    return -EIO;
                out[done++] = in[at++];
                continue;
            }
            if (at + 2 > n)
                return -EIO;
            v = le16_at(in + at);
            at += 2;
            for (size_t p = done > 0 ? done - 1 : 0; p >= 16; p >>= 1)
                shift--;
            len = (v & ((1U << shift) - 1)) + 3;
            distance = (v >> shift) + 1;
            if (distance > done || len > room - done)
                return -EIO;
            for (; len > 0; len--, done++)
                out[done] = out[done - distance];
        }
    }
    return (ssize_t)done;
}

ssize_t lznt1_unpack(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
    size_t at = 0, done = 0;

    while (at + 2 <= n && done < room) {
        uint16_t head = le16_at(in + at);
        size_t len = (head & 0xfffu) + 1u, space = (size_t)min_u64(room - done, CHUNK);
        ssize_t got;

        if (head == 0)
            break;
        at += 2;
        if (len > n - at)
            return -EIO;
        if (head & 0x8000) {
            got = chunk_unpack(in + at, len, out + done, space);
        } else {
            got = (ssize_t)min_u64(len, space);
            memcpy(out + done, in + at, (size_t)got);
        }
        if (got < 0)
            return got;
        /* A chunk that is short inside a unit ends in zeroes, which out has already. */
        done += space == CHUNK ? CHUNK : (size_t)got;
        at += len;
    }
    return (ssize_t)done;
}
