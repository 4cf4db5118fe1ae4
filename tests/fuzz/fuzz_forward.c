/* SPDX-License-Identifier: Apache-2.0 */
/* Port forwards as a user may write them: refused with a sentence, or with ports and addresses. */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "net/forward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct err e = {0};
    struct forward f;

    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    if (forward_parse(text, &f, &e) == 0) {
        assert(f.host.in.sin_port && f.guest.in.sin_port);
        assert(f.host.sa.sa_family == f.guest.sa.sa_family);
        assert(f.len == (f.host.sa.sa_family == AF_INET ? sizeof(f.host.in) : sizeof(f.host.in6)));
    } else {
        assert(e.exit == EX_USAGE_ && e.msg[0]);
    }
    free(text);
    return 0;
}
