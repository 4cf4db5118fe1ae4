/* SPDX-License-Identifier: Apache-2.0 */
/* Records: there and back, one form only, and no verdict that does not follow. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/err.h"
#include "unit.h"
#include "validation/record.h"
#include "validation/report.h"

static const char sha[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static struct err e;
static struct vrecord r;

static void set(char **at, const char *value)
{
    assert_int_equal(vtext_set(at, value, &e), 0);
}

static int set_up(void **state)
{
    struct vcheck *c;

    memset(&e, 0, sizeof(e));
    vrecord_init(&r);
    set(&r.cell, "g.kvm.c1");
    set(&r.plan, "p");
    memcpy(r.plan_sha256, sha, sizeof(sha));
    set(&r.started, "2026-11-27T23:05:00Z");
    set(&r.end, "powered off");
    set(&r.persona, "kvm");
    set(&r.firmware, "none");
    set(&r.disk, "raw");
    set(&r.network, "user");
    set(&r.level, "smoke");
    set(&r.command, "hospes validate run-cell p 1");
    r.number = r.cpus = 1;
    r.memory = 256 * MiB;
    assert_int_equal(vfacts_set(&r.host, "product", "hospes", &e), 0);
    assert_int_equal(vfacts_set(&r.guest, "name", "g", &e), 0);
    assert_int_equal(vrecord_add_suite(&r, "s", 1, "o", sha, &e), 0);
    assert_int_equal(vfiles_add(&r.inputs, "kernel", "vmlinuz", 5, sha, &e), 0);
    assert_int_equal(vrecord_add_check(&r, "s", "a.b", true, &c, &e), 0);
    c->status = V_FLAKY;
    assert_int_equal(vcheck_add_attempt(c, V_FAIL, 5, "why <&>", 1, 3, &e), 0);
    assert_int_equal(vcheck_add_attempt(c, V_PASS, 6, NULL, 4, 6, &e), 0);
    assert_int_equal(vrecord_add_check(&r, "s", "a.c", false, &c, &e), 0);
    c->status = V_KNOWN;
    set(&c->issue, "bug #7");
    vrecord_judge(&r);
    return 0;
}

static int tear_down(void **state)
{
    vrecord_free(&r);
    return 0;
}

/* Not inlined: gcc 12 then takes its result for the address of a local. */
static __attribute__((noinline)) char *text_of(void)
{
    char *text;

    assert_int_equal(vrecord_to_json(&r, &text, &e), 0);
    return text;
}

static int back(const char *text)
{
    struct vrecord again;
    int rc = vrecord_from_json(&again, text, strlen(text), &e);

    vrecord_free(&again);
    return rc;
}

static void a_record_comes_back(void **state)
{
    char *text = text_of(), *two;
    struct vrecord again;

    assert_int_equal(r.verdict, V_KNOWN);
    assert_true(r.validated);
    assert_int_equal(vrecord_from_json(&again, text, strlen(text), &e), 0);
    assert_int_equal(vrecord_to_json(&again, &two, &e), 0);
    assert_string_equal(text, two);
    vrecord_free(&again);
    free(text);
    free(two);
}

/* Replaces the first `from` by `to` and reads. */
static int changed(const char *from, const char *to)
{
    char *text = text_of(), *at = strstr(text, from), *out;
    int rc;

    assert_non_null(at);
    assert_true(asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
    rc = back(out);
    free(out);
    free(text);
    return rc;
}

static void nothing_else_is_taken(void **state)
{
    static const struct {
        const char *from, *to;
    } bad[] = {
        {"\"hospes-result\":1", "\"hospes-result\":2"},
        {"\"hospes-result\":1", "\"hospes-result\":1,\n  \"more\":1"},
        {"\"number\":1", "\"number\":-1"},
        {"\"number\":1", "\"number\":1.0"},
        {"\"number\":1", "\"number\":null"},
        {"\"number\":1", "\"number\": 1"},
        {"\"verdict\":\"KNOWN\"", "\"verdict\":\"PASS\""},
        {"\"validated\":true", "\"validated\":false"},
        {"\"FLAKY\"", "\"PASS\""},
        {"\"FLAKY\"", "\"FINE\""},
        {"\"persona\":\"kvm\"", "\"persona\":\"kv\\u006d\""},
        {"2026-11", "2026/11"},
        {"\"sha256\":\"0", "\"sha256\":\"X"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (changed(bad[i].from, bad[i].to) == 0)
            fail_msg("%s was taken", bad[i].to);
    }
    assert_true(back("") < 0);
    assert_true(back("{}") < 0);
    assert_true(back("[]") < 0);
}

static void a_pass_needs_its_lines(void **state)
{
    static const char good[] =
        "# a.b attempt 1\n| x\n# a.b FAIL why\n# a.b attempt 2\n| y\n# a.b PASS\n";
    static const char forged[] =
        "# a.b attempt 1\n| x\n# a.b FAIL why\n# a.b attempt 2\n| y\n| # a.b PASS\n";

    assert_int_equal(vrecord_check_log(&r, good, strlen(good), &e), 0);
    assert_true(vrecord_check_log(&r, forged, strlen(forged), &e) < 0);
    assert_true(vrecord_check_log(&r, good, strlen(good) - 12, &e) < 0);
    assert_true(vrecord_check_log(&r, "", 0, &e) < 0);
}

static void other_programs_get_the_same_verdicts(void **state)
{
    struct vbuf junit = {0}, tap = {0};

    report_junit(&r, 1, &junit);
    vbuf_add(&junit, "", 1);
    report_tap(&r, 1, &tap);
    vbuf_add(&tap, "", 1);
    assert_non_null(strstr(junit.data, "tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"1\""));
    assert_non_null(strstr(junit.data, "FLAKY, passed at attempt 2"));
    assert_non_null(strstr(tap.data, "1..2\nok 1 - g.kvm.c1 a.b (FLAKY)"));
    assert_non_null(strstr(tap.data, "ok 2 - g.kvm.c1 a.c # TO"
                                     "DO bug -7"));
    vbuf_free(&junit);
    vbuf_free(&tap);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_record_comes_back),
        TEST(nothing_else_is_taken),
        TEST(a_pass_needs_its_lines),
        TEST(other_programs_get_the_same_verdicts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
