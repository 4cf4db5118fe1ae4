/* SPDX-License-Identifier: Apache-2.0 */
/* Claims and notes: their one spelling, what is refused, and whom a note is about. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/claim.h"
#include "core/err.h"
#include "unit.h"

static void fill(struct claim *c, enum claim_kind kind)
{
    struct err e = {0};

    claim_init(c);
    c->kind = kind;
    c->level = LEVEL_PREVIEW;
    c->owner = OWNER_BOTH;
    c->max_cpus = 4;
    c->max_memory = GiB;
    assert_int_equal(vtext_set(&c->made, "2026-11-27T23:05:00Z", &e), 0);
    assert_int_equal(vtext_set(&c->persona, "xen", &e), 0);
    assert_int_equal(vtext_set(&c->firmware, "bios", &e), 0);
    assert_int_equal(vfacts_set(&c->host, "product", "hospes", &e), 0);
    assert_int_equal(vfacts_set(&c->host, "version", "0.2.0", &e), 0);
    assert_int_equal(vfacts_set(&c->guest, "vendor", "Debian", &e), 0);
    assert_int_equal(vfacts_set(&c->guest, "product", "Debian GNU/Linux", &e), 0);
    assert_int_equal(vfacts_set(&c->guest, "version", "12", &e), 0);
    if (kind == CLAIM_TESTED) {
        memset(c->bundle, 'a', 64);
        memset(c->record, 'b', 64);
        assert_int_equal(vtext_set(&c->cell, "one", &e), 0);
        c->verdict = V_PASS;
        c->validated = true;
    } else if (kind == CLAIM_INHERITED) {
        memset(c->from, 'c', 64);
        assert_int_equal(vtext_set(&c->rule, "a pass on 13 holds for 12", &e), 0);
    } else if (kind == CLAIM_VENDOR_STATED) {
        assert_int_equal(vtext_set(&c->url, "https://vendor.example/list", &e), 0);
        assert_int_equal(vtext_set(&c->seen, "2026-11-01", &e), 0);
        assert_int_equal(vtext_set(&c->quote, "works", &e), 0);
    } else if (kind == CLAIM_PLANNED) {
        assert_int_equal(vtext_set(&c->planned_for, "2027-01-01", &e), 0);
    }
}

static char *text_of(enum claim_kind kind)
{
    struct claim c;
    struct err e = {0};
    char *text;

    fill(&c, kind);
    assert_int_equal(claim_to_json(&c, &text, &e), 0);
    claim_free(&c);
    return text;
}

static int read_it(const char *text)
{
    struct claim c;
    struct err e = {0};
    int rc = claim_from_json(&c, text, strlen(text), &e);

    claim_free(&c);
    return rc;
}

static void every_kind_comes_back_as_it_was(void **state)
{
    for (unsigned k = 0; k < CLAIM_KINDS; k++) {
        char *text = text_of((enum claim_kind)k), *again;
        struct claim c;
        struct err e = {0};

        assert_int_equal(claim_from_json(&c, text, strlen(text), &e), 0);
        assert_int_equal(c.kind, k);
        assert_int_equal(claim_to_json(&c, &again, &e), 0);
        assert_string_equal(text, again);
        claim_free(&c);
        free(text);
        free(again);
    }
}

/* text with the first `from` replaced. */
static char *changed(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    char *out = NULL;

    if (!at)
        fail_msg("no %s in %s", from, text);
    else if (asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) < 0)
        fail_msg("no memory");
    return out;
}

static void another_spelling_is_refused(void **state)
{
    static const char *const change[][2] = {
        {"\"hospes-claim\":1", "\"hospes-claim\":2"},
        {"\"hospes-claim\":1", "\"hospes-claim\":1, \"x\":1"},
        {"\"tested\"", "\"proven\""},
        {"\"Tech preview\"", "\"tech preview\""},
        {"\"made\":\"2026", "\"made\":\"yesterday 2026"},
        {"  \"persona\"", " \"persona\""},
        {"\"persona\":\"xen\"", "\"persona\":null"},
        {"\"verdict\":\"PASS\"", "\"verdict\":\"GOOD\""},
        {"\"max-cpus\":4", "\"max-cpus\":0"},
        {"\"max-cpus\":4", "\"max-cpus\":-4"},
        {"\"validated\":true", "\"validated\":1"},
        {"\"product\":\"hospes\"", "\"maker\":\"hospes\""},
        {"\"notes\":[\n  ]", "\"notes\":[\n    1\n  ]"},
        {"bbbb", "bbbB"},
    };
    char *text = text_of(CLAIM_TESTED);

    assert_int_equal(read_it(text), 0);
    for (size_t i = 0; i < ARRAY_SIZE(change); i++) {
        char *bad = changed(text, change[i][0], change[i][1]);

        if (read_it(bad) == 0)
            fail_msg("%s was taken", change[i][1]);
        free(bad);
    }
    for (size_t n = 0; n < strlen(text); n += 7) {
        char *cut = strndup(text, n);

        assert_true(read_it(cut) < 0);
        free(cut);
    }
    free(text);
}

static void what_is_only_planned_or_a_preview_is_never_supported(void **state)
{
    char *text = text_of(CLAIM_PLANNED), *bad = changed(text, "Tech preview", "Supported");

    assert_true(read_it(bad) < 0);
    free(bad);
    free(text);
    text = text_of(CLAIM_TESTED);
    bad = changed(text, "\"notes\"", "\"preview\":true,\n  \"notes\"");
    assert_int_equal(read_it(bad), 0);
    free(text);
    text = changed(bad, "Tech preview", "Supported");
    assert_true(read_it(text) < 0);
    free(text);
    free(bad);
}

static void versions_are_compared_by_their_numbers(void **state)
{
    assert_true(claim_version_cmp("6.1.9", "6.1.10") < 0);
    assert_true(claim_version_cmp("6.1.10", "6.1.9") > 0);
    assert_int_equal(claim_version_cmp("0.1.0", "0.1.0"), 0);
    assert_true(claim_version_cmp("0.1", "0.1.1") < 0);
    assert_true(claim_version_cmp("1.0", "1.0a") < 0);
    assert_int_equal(claim_version_cmp("1.01", "1.1"), 0);
    assert_true(claim_version_cmp("", "0") < 0);
    assert_true(claim_version_cmp("18446744073709551616", "18446744073709551617") < 0);
}

static struct note note_for(const char *key, const char *value, const char *since,
                            const char *resolved)
{
    struct note n;
    struct err e = {0};

    note_init(&n);
    assert_int_equal(vtext_set(&n.id, "clock-drift", &e), 0);
    assert_int_equal(vtext_set(&n.made, "2026-11-27T23:05:00Z", &e), 0);
    assert_int_equal(vtext_set(&n.text, "The clock drifts.", &e), 0);
    assert_int_equal(vtext_set(&n.since, since, &e), 0);
    assert_int_equal(vtext_set(&n.resolved_in, resolved, &e), 0);
    n.erratum = true;
    if (key)
        assert_int_equal(vfacts_set(&n.scope, key, value, &e), 0);
    return n;
}

static bool concerns(struct note n, const struct claim *c)
{
    struct note again;
    struct err e = {0};
    char *text;
    bool yes;

    assert_int_equal(note_to_json(&n, &text, &e), 0);
    assert_int_equal(note_from_json(&again, text, strlen(text), &e), 0);
    yes = note_concerns(&again, c);
    note_free(&again);
    note_free(&n);
    free(text);
    return yes;
}

static void a_note_is_about_what_it_names(void **state)
{
    struct claim c;

    fill(&c, CLAIM_TESTED);
    assert_true(concerns(note_for("persona", "xen", NULL, NULL), &c));
    assert_false(concerns(note_for("persona", "kvm", NULL, NULL), &c));
    assert_true(concerns(note_for("guest-product", "Debian*", NULL, NULL), &c));
    assert_false(concerns(note_for("guest-edition", "x", NULL, NULL), &c));
    assert_true(concerns(note_for("persona", "xen", "0.1.0", "0.3.0"), &c));
    assert_false(concerns(note_for("persona", "xen", "0.3.0", NULL), &c));
    assert_false(concerns(note_for("persona", "xen", NULL, "0.2.0"), &c));
    assert_false(concerns(note_for(NULL, NULL, NULL, NULL), &c));
    c.note[0] = strdup("clock-drift");
    c.notes = 1;
    assert_true(concerns(note_for(NULL, NULL, NULL, NULL), &c));
    claim_free(&c);
}

static void a_note_with_a_bad_id_or_scope_is_refused(void **state)
{
    struct note n = note_for("persona", "xen", NULL, NULL), again;
    struct err e = {0};
    char *text, *bad;

    assert_int_equal(note_to_json(&n, &text, &e), 0);
    bad = changed(text, "clock-drift", "Clock Drift");
    assert_true(note_from_json(&again, bad, strlen(bad), &e) < 0);
    note_free(&again);
    free(bad);
    bad = changed(text, "\"persona\"", "\"anything\"");
    assert_true(note_from_json(&again, bad, strlen(bad), &e) < 0);
    note_free(&again);
    free(bad);
    free(text);
    note_free(&n);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_as_it_was),
        cmocka_unit_test(another_spelling_is_refused),
        cmocka_unit_test(what_is_only_planned_or_a_preview_is_never_supported),
        cmocka_unit_test(versions_are_compared_by_their_numbers),
        cmocka_unit_test(a_note_is_about_what_it_names),
        cmocka_unit_test(a_note_with_a_bad_id_or_scope_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
