/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and offload words that make no sense: nothing outside the frame is touched, what is
 * finished stays finished, and segments hold every byte once. */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/csum.h"

struct tally {
    size_t frames, bytes, head, mtu;
};

static int count(void *arg, const uint8_t *f, size_t len)
{
    struct tally *t = arg;
    uint8_t last = f[len - 1];

    assert(len > t->head && len <= NET_FRAME_MAX);
    t->frames++;
    t->bytes += len - t->head;
    return t->frames > 2000 && last != f[len - 1];
}

static void finish_twice(uint8_t *f, size_t len)
{
    uint8_t *again = malloc(len);

    if (net_csum_all(f, len) == 0) {
        memcpy(again, f, len);
        assert(net_csum_all(f, len) == 0);
        assert(memcmp(again, f, len) == 0);
    }
    free(again);
}

static void cut(const uint8_t *f, size_t len, size_t size)
{
    static uint8_t room[NET_FRAME_MAX];
    struct net_layout o;
    struct tally t = {0};

    if (!net_layout(f, len, &o))
        return;
    assert(o.l3 < len && o.l4 <= len && o.payload <= len);
    t.head = o.payload;
    if (o.payload && net_segment(f, len, size, room, count, &t) == 0)
        assert(t.bytes == len - o.payload);
    t = (struct tally){.head = o.l3 + 20u};
    if (net_fragment(f, len, size, room, count, &t) == 0)
        assert(t.bytes + 60 >= len - o.l3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct net_meta m = {0};
    size_t len;
    uint8_t *f;

    if (size < 20 || size > NET_FRAME_MAX)
        return 0;
    len = size - 6;
    f = malloc(len);
    memcpy(f, data + 6, len);
    m.csum_start = (uint16_t)(data[0] << 8 | data[1]);
    m.csum_off = (uint16_t)(data[2] << 8 | data[3]);
    cut(f, len, (size_t)data[4] << 4 | data[5]);
    (void)!net_csum_fill(f, len, &m);
    (void)net_syn_window(f, len);
    if (net_mss_set(f, len, 9000))
        assert(net_mss_set(f, len, 1460) == 9000);
    finish_twice(f, len);
    m = (struct net_meta){0};
    if (net_csum_defer(f, len, &m) == 0)
        assert(net_csum_fill(f, len, &m) == 0);
    free(f);
    return 0;
}
