/* SPDX-License-Identifier: Apache-2.0 */
/* xenstore under a hostile guest: whole messages, with a receiver that is full now and then. */
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "core/err.h"
#include "fuzz.h"
#include "personas/xen/xenstore.h"

enum { HEADER = 16, PAYLOAD_MAX = 4096 };

static bool full;

static bool sent(void *arg, const uint8_t *msg, size_t n)
{
    return !full;
}

static void changed(void *arg, const char *path)
{
}

/* The next message's length is in the input; its type and ids are small so that they meet. */
static size_t message(struct xs_client *c, const uint8_t *data, size_t size)
{
    static uint8_t msg[HEADER + PAYLOAD_MAX];
    size_t n = (size_t)min_u64(le16_at(data + 2) % (PAYLOAD_MAX + 1), size - 4);

    memset(msg, 0, HEADER);
    le32_put(msg, data[0] % 32);
    le32_put(msg + 4, data[1]);
    le32_put(msg + 8, data[1] >> 4);
    le32_put(msg + 12, (uint32_t)n);
    memcpy(msg + HEADER, data + 4, n);
    xs_client_message(c, msg, HEADER + n);
    return 4 + n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xenstore *s;
    struct xs_watch *w;
    struct xs_client *c;
    struct err e;

    full = false;
    if (xenstore_create(&s, &e) < 0 || xs_client_create(s, XS_GUEST, sent, NULL, &c, &e) < 0)
        abort();
    xs_put(s, "/local/domain/1/data", "%s", "");
    xs_guest_may(s, "/local/domain/1/data", true, 0);
    w = xs_watch(s, "/local/domain/1", changed, NULL);
    if (!w)
        abort();
    while (size >= 4) {
        uint8_t what = data[0];
        size_t n = message(c, data, size);

        data += n;
        size -= n;
        if (what & 0x80)
            full = !full;
        if (what & 0x40)
            xenstore_run(s);
        if (!full)
            xs_client_flush(c);
        if (what == 0x3f)
            xs_client_reset(c);
    }
    xenstore_run(s);
    xs_unwatch(s, w);
    xs_client_destroy(c);
    xenstore_destroy(s);
    return 0;
}
