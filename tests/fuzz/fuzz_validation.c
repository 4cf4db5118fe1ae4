/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that validation reads: the first byte chooses what. What is taken is written again in
 * the same bytes; what is refused is refused with a sentence.
 */
#include "fuzz.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "core/err.h"
#include "validation/bundle.h"
#include "validation/cell.h"
#include "validation/contract.h"
#include "validation/pack.h"
#include "validation/trust.h"

static void same(const char *text, size_t len, char *again)
{
    assert(strlen(again) == len && memcmp(text, again, len) == 0);
    free(again);
}

static int of_record(const char *text, size_t len, struct err *e)
{
    struct vrecord r;
    int rc = vrecord_from_json(&r, text, len, e);
    struct vbuf b = {0};
    char *again;

    if (rc == 0 && vrecord_to_json(&r, &again, e) == 0)
        same(text, len, again);
    if (rc == 0) {
        (void)!vrecord_check_log(&r, text, len, e);
        memset(e, 0, sizeof(*e));
    }
    vbuf_free(&b);
    vrecord_free(&r);
    return rc;
}

static int of_envelope(const char *text, size_t len, struct err *e)
{
    static const struct pubkey key = {.id = "0"};
    struct dsse d;
    int rc = dsse_from_json(&d, text, len, e);

    if (rc == 0)
        assert(!dsse_signed_by(&d, &key));
    dsse_free(&d);
    return rc;
}

static int of_contract(const char *text, size_t len, struct err *e)
{
    struct contract c;
    int rc = contract_from_json(&c, text, len, e);

    contract_free(&c);
    return rc;
}

static int of_trust(const char *text, size_t len, struct err *e)
{
    struct trust t;
    int rc = trust_from_json(&t, text, len, e);

    trust_free(&t);
    return rc;
}

static int of_plan(const char *text, size_t len, struct err *e)
{
    struct vplan *p = malloc(sizeof(*p));
    int rc = vplan_parse(p, text, len, "fuzz", NULL, e);

    for (size_t i = 0; rc == 0 && i < p->cells; i++) {
        char id[VPLAN_CELL_ID];
        unsigned checks;

        vplan_cell_id(p, &p->cell[i], id);
        (void)vplan_cell_cost(p, &p->cell[i], &checks);
    }
    vplan_free(p);
    free(p);
    return rc;
}

static int of_suite(const char *text, size_t len, struct err *e)
{
    struct suite s;
    int rc = suite_parse(&s, text, len, e);

    suite_free(&s);
    return rc;
}

static int of_archive(const char *data, size_t len, struct err *e)
{
    struct vmembers l = {0};
    int rc = tar_unpack(data, len, &l, e);
    size_t n;
    char *again;

    if (rc == 0 && tar_pack(&l, &again, &n, e) == 0) {
        assert(n == len && memcmp(again, data, n) == 0);
        free(again);
    }
    vmembers_free(&l);
    return rc;
}

/* The archive of a bundle, without the compression that would hide it from the fuzzer. */
static int of_bundle(const char *data, size_t len, struct err *e)
{
    struct bundle *b;
    size_t n;
    char *zst;
    int rc = zst_pack(data, len, &zst, &n, e);

    if (rc == 0)
        rc = bundle_parse(zst, n, "fuzz", &b, e);
    if (rc == 0)
        bundle_free(b);
    free(zst);
    return rc;
}

static int of_frame(const char *data, size_t len, struct err *e)
{
    struct bundle *b;
    int rc = bundle_parse(data, len, "fuzz", &b, e);

    if (rc == 0)
        bundle_free(b);
    return rc;
}

/* A rule on the first line, facts behind it; and a contract of those facts. */
static int of_rule(const char *text, size_t len, struct err *e)
{
    const char *feed = strchr(text, '\n');
    struct json_object *info = feed ? json_tokener_parse(feed + 1) : NULL;
    char rule[300];
    struct contract c = {0};
    bool holds;
    int rc;

    if (feed)
        snprintf(rule, sizeof(rule), "%.*s", (int)(feed - text), text);
    if (!info || !json_object_is_type(info, json_type_object)) {
        json_object_put(info);
        return err_set(e, EINVAL, "no facts");
    }
    rc = outside_rule(rule, info, &holds, e);
    (void)!contract_of_info(&c, info, "c", "g", e);
    contract_free(&c);
    json_object_put(info);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int (*const kinds[])(const char *, size_t, struct err *) = {
        of_record, of_envelope, of_contract, of_trust, of_plan,
        of_suite,  of_archive,  of_bundle,   of_frame, of_rule};
    struct err e = {0};
    char *text;

    if (size < 1)
        return 0;
    text = malloc(size);
    if (!text)
        abort();
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (kinds[data[0] % ARRAY_SIZE(kinds)](text, size - 1, &e) < 0)
        assert(e.code > 0 && e.msg[0]);
    free(text);
    return 0;
}
