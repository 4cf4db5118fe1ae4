/* SPDX-License-Identifier: Apache-2.0 */
/* Claims and notes from anyone: what is taken is written again in the same bytes. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "catalogue/claim.h"
#include "core/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct claim c;
    struct note n;
    struct err e = {0};
    char *again;

    if (claim_from_json(&c, (const char *)data, size, &e) == 0) {
        if (claim_to_json(&c, &again, &e) < 0 || strlen(again) != size ||
            memcmp(again, data, size) != 0)
            abort();
        free(again);
    }
    if (note_from_json(&n, (const char *)data, size, &e) == 0) {
        if (note_to_json(&n, &again, &e) < 0 || strlen(again) != size ||
            memcmp(again, data, size) != 0)
            abort();
        free(again);
        (void)note_concerns(&n, &c);
    }
    claim_free(&c);
    note_free(&n);
    return 0;
}
