/* SPDX-License-Identifier: Apache-2.0 */
/* Plans and suites: what they span, what is refused, and pairs. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/err.h"
#include "unit.h"
#include "validation/contract.h"
#include "validation/text.h"
#include "validation/vplan.h"

#define HEAD "hospes-validation 1\nname p\nsuite smp\npersona kvm\n"
#define GUEST "guest g,kernel=k,modules=m\n"

static struct vplan p;
static struct err e;

static int parse(const char *text)
{
    vplan_free(&p);
    memset(&e, 0, sizeof(e));
    return vplan_parse(&p, text, strlen(text), "dir", NULL, &e);
}

static int tear_down(void **state)
{
    vplan_free(&p);
    return 0;
}

static void cells_come_in_the_order_of_the_file(void **state)
{
    char id[VPLAN_CELL_ID];

    assert_int_equal(
        parse("hospes-validation 1\n# words\nname p\nsuite smp boot\npersona kvm xen,portable\n"
              "cpus 1 2\ndisk raw qcow2\nnetwork none\n" GUEST "guest h,image=/i,marker=login:\n"),
        0);
    assert_int_equal(p.cells, 16);
    vplan_cell_id(&p, &p.cell[0], id);
    assert_string_equal(id, "g.kvm.c1.m256.raw.none");
    vplan_cell_id(&p, &p.cell[15], id);
    assert_string_equal(id, "h.xen+portable.c2.m256.qcow2.none");
    assert_string_equal(p.guest[0].kernel, "dir/k");
    assert_string_equal(p.guest[1].image, "/i");
    assert_true(p.guest[1].outside);
    assert_int_equal(p.pairs, p.pairs_covered);
}

static void suites_of_a_folder_stand_for_others(void **state)
{
    static const char smp[] = "#: name: smp\n#: version: 77\n#: owner: o\n#: check: smp.x\n"
                              "#: purpose: p\n#: pass: r\n#: source: s\n#: by: guest\n";
    static const char text[] =
        "hospes-validation 1\nname p\nsuite ./x/smp.sh boot\npersona kvm\n" GUEST;
    char dir[64], path[100];

    snprintf(dir, sizeof(dir), "%s/suites-XXXXXX", P_tmpdir);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/smp.sh", dir);
    assert_int_equal(vtext_write(path, smp, strlen(smp), &e), 0);
    vplan_free(&p);
    assert_int_equal(vplan_parse(&p, text, strlen(text), "dir", dir, &e), 0);
    assert_int_equal(p.suites, 2);
    assert_int_equal(p.suite[0].version, 77);
    assert_string_equal(p.suite[1].name, "boot"); /* not there: this program's */
    vtext_remove(dir);
}

static void broken_plans_say_where(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "first line"},
        {"hospes-validation 2\n", "first line"},
        {HEAD, "guest"},
        {HEAD GUEST "level hard\n", "line 6"},
        {HEAD GUEST "cpus 0\n", "cpus"},
        {HEAD GUEST "cpus 2 2\n", "twice"},
        {HEAD GUEST "memory 1\n", "memory"},
        {HEAD GUEST "persona vbox\n", "vbox"},
        {HEAD GUEST "suite nothing\n", "nothing"},
        {HEAD GUEST "suite smp\n", "twice"},
        {HEAD GUEST GUEST, "twice"},
        {HEAD GUEST "frob 1\n", "frob"},
        {HEAD GUEST "attempts 0\n", "attempts"},
        {HEAD GUEST "known smp.nothing,issue=1\n", "smp.nothing"},
        {HEAD GUEST "skip smp.work\n", "why"},
        {HEAD GUEST "skip smp.work,why=x,until=tomorrow\n", "tomorrow"},
        {HEAD "guest g,kernel=k\n", "modules"},
        {HEAD "guest g,kernel=k,image=i\n", "either"},
        {HEAD "guest G,kernel=k,modules=m\n", "name"},
        {HEAD "guest g,kernel=k,modules=m,colour=red\n", "colour"},
        {HEAD GUEST "network tap\n", "network"},
        {HEAD GUEST "disk\n", "no value"},
        {HEAD GUEST "disk qcow9\n", "qcow9"},
        {HEAD GUEST "level full\nlevel smoke\n", "level is said twice"},
        {HEAD GUEST "name other\n", "name is said twice"},
        {HEAD GUEST "skip smp.work,why=x,persona=bare\n", "no persona"},
        {HEAD GUEST "skip smp.work,why=x,guest=h\n", "no guest"},
        {HEAD GUEST "skip smp.work,why=x,until=2027-02-29\n", "2027-02-29"},
        {"hospes-validation 1\nname a/b\nsuite smp\npersona kvm\n" GUEST, "name"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (parse(bad[i].text) == 0 || !strstr(e.msg, bad[i].says))
            fail_msg("%s: %s", bad[i].text, e.msg);
    }
    /* An editor of Windows breaks nothing. */
    assert_int_equal(parse("hospes-validation 1\r\nname p\r\nsuite smp\r\npersona kvm\r\n"
                           "guest g,kernel=k,modules=m\r\n"),
                     0);
}

static void pairs_are_covered_by_few_cells(void **state)
{
    static const unsigned n[VP_FACTORS] = {3, 5, 2, 2, 4, 2};
    uint64_t all, covered;
    struct vcell *c, *d;
    size_t cells, again;

    assert_int_equal(pairwise_choose(n, &c, &cells, &e), 0);
    pairwise_count(n, c, cells, &all, &covered);
    assert_int_equal(all, covered);
    assert_true(cells >= 20 && cells <= 30); /* 480 in full; 5 x 4 at least */
    assert_int_equal(pairwise_choose(n, &d, &again, &e), 0);
    assert_int_equal(again, cells);
    assert_memory_equal(c, d, cells * sizeof(*c));
    pairwise_count(n, c, 1, &all, &covered);
    assert_int_equal(covered, 15);
    free(c);
    free(d);
}

static void every_suite_of_the_program_is_good(void **state)
{
    size_t n = 0;

    for (; suite_builtin(n); n++) {
        struct suite s;

        if (suite_open(&s, suite_builtin(n), &e) < 0)
            fail_msg("%s: %s", suite_builtin(n), e.msg);
        assert_string_equal(s.name, suite_builtin(n));
        for (size_t i = 0; i < s.checks; i++) {
            char function[200];

            if (s.check[i].by != BY_GUEST)
                continue;
            snprintf(function, sizeof(function), "check_%s()", s.check[i].id);
            *strchr(function, '.') = '_';
            if (!strstr(s.text, function))
                fail_msg("%s has no %s", s.name, function);
        }
        suite_free(&s);
    }
    assert_true(n >= 13);
}

static void broken_suites_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "#: name: x\n#: version: 1\n#: owner: o\n",
        "#: name: x\n#: version: 0\n",
        "#: name x\n",
        "#: colour: red\n",
        "#: check: x\n",
        "#: check: a.b\n#: check: a.b\n",
        "#: check: a.b\n#: by: magic\n",
        "#: check: a.b\n#: by: outside\n",
        "#: check: a.b\n#: mandatory: perhaps\n",
        "#: check: a.b\n#: seconds: 0\n",
        "#: name: x\n#: version: 1\n#: owner: o\n#: check: a.b\n#: purpose: p\n",
    };
    struct suite s;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_true(suite_parse(&s, bad[i], strlen(bad[i]), &e) < 0);
        suite_free(&s);
    }
    assert_true(suite_parse(&s, "#: name: x\0", 11, &e) < 0);
    suite_free(&s);
}

static void note(void *arg, enum contract_change what, const struct contract_use *a,
                 const struct contract_use *b)
{
    char *out = arg;

    strcat(out, what == CONTRACT_GONE ? "-" : what == CONTRACT_NEW ? "+" : "~");
    strcat(out, a ? a->name : b->name);
}

static void contracts_differ_by_what_is_used(void **state)
{
    struct contract_use one[] = {{(char *)"channel", (char *)"net", (char *)"protocol 6.1", 9},
                                 {(char *)"msr", (char *)"0x1", NULL, 4},
                                 {(char *)"msr", (char *)"0x2", NULL, 1}};
    struct contract_use two[] = {{(char *)"channel", (char *)"net", (char *)"protocol 5.0", 1},
                                 {(char *)"msr", (char *)"0x1", NULL, 7},
                                 {(char *)"rpc", (char *)"r", NULL, 1}};
    struct contract a = {(char *)"c", (char *)"p", (char *)"g", one, 3},
                    b = {(char *)"c", (char *)"p", (char *)"g", two, 3}, back;
    char said[100] = "", *text;

    assert_int_equal(contract_diff(&a, &b, note, said), 3);
    assert_string_equal(said, "~net-0x2+r");
    assert_int_equal(contract_diff(&a, &a, note, said), 0);
    assert_int_equal(contract_to_json(&a, &text, &e), 0);
    assert_int_equal(contract_from_json(&back, text, strlen(text), &e), 0);
    assert_int_equal(contract_diff(&a, &back, note, said), 0);
    contract_free(&back);
    free(text);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(cells_come_in_the_order_of_the_file),
        TEST(suites_of_a_folder_stand_for_others),
        TEST(broken_plans_say_where),
        TEST(pairs_are_covered_by_few_cells),
        TEST(every_suite_of_the_program_is_good),
        TEST(broken_suites_are_refused),
        TEST(contracts_differ_by_what_is_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
