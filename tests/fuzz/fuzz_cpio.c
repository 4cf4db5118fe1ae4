/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an initial RAM disk, plain or packed. */
#include <string.h>

#include "fuzz.h"
#include "inspect/look.h"

struct bytes {
    const uint8_t *data;
    size_t n;
};

static ssize_t from_bytes(void *arg, uint64_t off, void *buf, size_t len)
{
    const struct bytes *b = arg;

    if (off >= b->n)
        return 0;
    len = len < b->n - off ? len : b->n - (size_t)off;
    memcpy(buf, b->data + off, len);
    return (ssize_t)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes b = {data, size};
    uint64_t left = 1 << 20;
    struct initramfs r;

    look_initramfs(from_bytes, &b, &left, &r);
    return 0;
}
