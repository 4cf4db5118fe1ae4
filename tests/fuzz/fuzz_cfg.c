/* SPDX-License-Identifier: Apache-2.0 */
/* Option texts: whatever they hold, each pair can be read back, set again and finished. */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/cfg.h"
#include "core/err.h"

static void read_all(struct cfg *c, struct err *e)
{
    const char *key, *value;
    uint64_t n = 0;

    for (size_t i = 0; cfg_at(c, i, &key, &value); i++) {
        assert(cfg_get(c, key));
        if (size_parse(value, &n) == 0 && cfg_size(c, key, &n, e) < 0)
            assert(e->code > 0);
        if (cfg_u64(c, key, 1, 100, &n, e) == 0)
            assert(n >= 1 && n <= 100);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    struct cfg *c;
    char *text = malloc(size + 1);

    if (!text || cfg_create(&c, &e) < 0)
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    if (cfg_parse(c, text, size % 2 ? "file" : NULL, &e) == 0) {
        read_all(c, &e);
        if (cfg_finish(c, "the fuzzer", &e) < 0)
            assert(e.code > 0);
    } else {
        assert(e.code > 0 && e.msg[0]);
    }
    cfg_destroy(c);
    free(text);
    return 0;
}
