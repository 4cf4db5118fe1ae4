/* SPDX-License-Identifier: Apache-2.0 */
/* Plans as JSON: what is read can be written, and is then read as the same. */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "machine/plan.h"

static void there_and_back(const struct plan *p)
{
    struct plan *again = malloc(sizeof(*again));
    struct err e = {0};
    char *one, *two;

    if (!again || plan_to_json(p, &one, &e) < 0)
        abort();
    assert(plan_from_json(again, one, &e) == 0);
    if (plan_to_json(again, &two, &e) < 0)
        abort();
    assert(strcmp(one, two) == 0);
    plan_free(again);
    free(again);
    free(one);
    free(two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plan *p = malloc(sizeof(*p));
    char *text = malloc(size + 1);
    struct err e = {0};

    if (!p || !text)
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    if (plan_from_json(p, text, &e) == 0) {
        there_and_back(p);
        if (plan_check(p, &e) < 0)
            assert(e.code > 0 && e.msg[0]);
        plan_free(p);
    } else {
        assert(e.code > 0 && e.msg[0]);
    }
    free(text);
    free(p);
    return 0;
}
