/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses; the rest is a compressed stream for one of our own unpackers. */
#include <stdlib.h>

#include "fuzz.h"
#include "inspect/fs/btrfs.h"
#include "inspect/fs/ntfs.h"
#include "inspect/lzo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t room = 20000;
    uint8_t *out;

    if (size < 1)
        return 0;
    room = data[0] & 8 ? 4096 : room;
    out = calloc(1, room); /* of the right size, so that a sanitizer sees the end */
    if (!out)
        return 0;
    switch (data[0] % 8) {
    case 0:
    case 1:
        (void)!lzo1x_unpack(data + 1, size - 1, out, room);
        break;
    case 2:
    case 3:
        (void)!lznt1_unpack(data + 1, size - 1, out, room);
        break;
    default:
        (void)!btrfs_unpack(data[0] % 8 - 4, data + 1, size - 1, out, room, 4096);
    }
    free(out);
    return 0;
}
