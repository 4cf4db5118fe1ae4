/* SPDX-License-Identifier: Apache-2.0 */
/* Any text through the redactor and the triage; any agreements file. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "support/redact.h"
#include "support/route.h"
#include "support/triage.h"

static void each(void *arg, const struct route_answer *r)
{
    *(size_t *)arg += r->missing;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[REDACT_KEY] = {7};
    struct route_question q = {.cpus = 2, .on = "2009-03-01"};
    struct triage t = {.n = 0};
    struct vbuf out = {0};
    struct agreements *a;
    struct redactor *r;
    struct err e = {0};
    char *text;
    size_t missing = 0;

    if (size > 65536 || redactor_create(key, &r, &e) < 0)
        return 0;
    redact(r, (const char *)data, size, &out);
    redactor_free(r);
    vbuf_free(&out);
    text = strndup((const char *)data, size); /* ends in 0, as those that triage reads do */
    if (text)
        triage_text(&t, "log", text, strlen(text));
    free(text);
    if (agreements_parse((const char *)data, size, "fuzz", &a, &e) == 0) {
        if (vfacts_set(&q.host, "vendor", "Microsoft", &e) == 0 &&
            vfacts_set(&q.host, "product", "Hyper-V", &e) == 0 &&
            vfacts_set(&q.guest, "vendor", "Red Hat", &e) == 0 &&
            vfacts_set(&q.guest, "product", "Red Hat Enterprise Linux", &e) == 0)
            (void)route_each(a, &q, each, &missing);
        vfacts_free(&q.host);
        vfacts_free(&q.guest);
        agreements_free(a);
    }
    return 0;
}
