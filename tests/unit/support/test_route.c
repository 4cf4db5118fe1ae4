/* SPDX-License-Identifier: Apache-2.0 */
/* Whom to call: the agreements of 2009 as data, and files that are not taken. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "support/route.h"
#include "support/triage.h"
#include "unit.h"
#include "validation/vjson.h"

static struct agreements *a;
static struct route_question q;
static struct route_answer got[16];
static size_t n;

static int set_up(void **state)
{
    struct err e = {0};

    if (agreements_read(NULL, &a, &e) < 0)
        fail_msg("%s", e.msg);
    q = (struct route_question){.on = "2009-06-01"};
    return 0;
}

static int tear_down(void **state)
{
    vfacts_free(&q.host);
    vfacts_free(&q.guest);
    agreements_free(a);
    return 0;
}

static void put(struct vfacts *f, const char *vendor, const char *product, const char *version)
{
    struct err e = {0};

    assert_int_equal(vfacts_set(f, "vendor", vendor, &e), 0);
    assert_int_equal(vfacts_set(f, "product", product, &e), 0);
    assert_int_equal(vfacts_set(f, "version", version, &e), 0);
    assert_int_equal(vfacts_set(f, "arch", "x86_64", &e), 0);
}

static void keep(void *arg, const struct route_answer *r)
{
    got[n++ % 16] = *r;
}

static void ask(void)
{
    size_t told;

    n = 0;
    told = route_each(a, &q, keep, NULL);
    assert_int_equal(told, n);
}

static void both_statements_on_one_pair_are_told(void **state)
{
    put(&q.host, "Microsoft", "Hyper-V 2008", "1");
    put(&q.guest, "Red Hat", "Red Hat Enterprise Linux Server", "5.3");
    ask();
    assert_int_equal(n, 2);
    assert_int_equal(got[0].cover, ROUTE_COVERED);
    assert_string_equal(got[0].first, "either");
    assert_string_equal(got[0].source_date, "2009-02-16");
    assert_int_equal(got[1].cover, ROUTE_COVERED);
    assert_string_equal(got[1].first, "host-vendor");
    q.cpus = 2;
    ask();
    assert_int_equal(got[0].cover, ROUTE_TOO_MANY);
    q.cpus = 1;
    q.on = "2009-01-01";
    ask();
    assert_int_equal(got[0].cover, ROUTE_NOT_YET);
}

static void another_version_is_not_covered_and_the_others_are_named(void **state)
{
    put(&q.host, "Microsoft", "Hyper-V 2008", "1");
    put(&q.guest, "Red Hat", "Red Hat Enterprise Linux Server", "5.1");
    ask();
    assert_int_equal(got[0].cover, ROUTE_OTHER);
    assert_string_equal(got[0].versions, "5.2, 5.3 (x86, x86_64)");
}

static void what_is_needed_is_held_against_what_is_had(void **state)
{
    struct vfacts have = {NULL, 0};
    struct err e = {0};

    put(&q.host, "microsoft", "hyper-v server", "1");
    put(&q.guest, "red hat", "red hat enterprise linux", "5.2");
    assert_int_equal(vfacts_set(&have, "Red Hat", "contract", &e), 0);
    q.have = &have;
    ask();
    assert_true(got[0].missing);
    assert_non_null(strstr(got[0].needs, "agreement of Microsoft, which is missing"));
    assert_int_equal(vfacts_set(&have, "Microsoft", "per-call", &e), 0);
    ask();
    assert_false(got[0].missing);
    assert_int_equal(vfacts_set(&have, "Microsoft", "a friend", &e), 0);
    ask();
    assert_true(got[0].missing);
    vfacts_free(&have);
}

static void what_is_had_may_end(void **state)
{
    struct vfacts have = {NULL, 0};
    struct err e = {0};

    put(&q.host, "microsoft", "hyper-v server", "1");
    put(&q.guest, "red hat", "red hat enterprise linux", "5.2");
    assert_int_equal(vfacts_set(&have, "Red Hat", "contract", &e), 0);
    assert_int_equal(vfacts_set(&have, "Microsoft", "per-call until 2010-06-30", &e), 0);
    q.have = &have;
    q.on = "2010-06-30";
    ask();
    assert_false(got[0].missing);
    assert_non_null(strstr(got[0].needs, "which you have as per-call until 2010-06-30"));
    q.on = "2010-07-01";
    ask();
    assert_true(got[0].missing);
    assert_non_null(strstr(got[0].needs, "agreement of Microsoft, which ended on 2010-06-30"));
    vfacts_free(&have);
}

static void a_bad_entitlement_is_refused(void **state)
{
    static const char *const bad[] = {
        "{\"have\":{\"A\":1}}",
        "{\"have\":{\"A\":\"\"}}",
        "{\"have\":{\"A\":\"contract until soon\"}}",
        "{\"have\":{\"A\":\"contract until 2027-01-31x\"}}",
        "{\"have\":{\"A\":\" until 2027-01-31\"}}",
        "{\"have\":{\"A\":\"contract until 2027-02-31\"}}",
        "{\"have\":[]}",
    };
    char path[] = "/tmp/hospes-have-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct vfacts have = {NULL, 0};
        struct err e = {0};

        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, bad[i], strlen(bad[i]), 0), (ssize_t)strlen(bad[i]));
        assert_true(entitlement_read(path, &have, &e) < 0);
        assert_non_null(strstr(e.msg, "have"));
        vfacts_free(&have);
    }
    close(fd);
    unlink(path);
}

static void what_nobody_agreed_on_is_not_known(void **state)
{
    put(&q.host, "Citrix", "XenServer", "5");
    put(&q.guest, "Red Hat", "Red Hat Enterprise Linux", "5.3");
    ask();
    assert_int_equal(n, 0);
}

static void the_other_direction_was_planned(void **state)
{
    put(&q.host, "Red Hat", "Red Hat Enterprise Linux 5", "5.4");
    put(&q.guest, "Microsoft", "Windows Server", "2008");
    ask();
    assert_int_equal(n, 3);
    assert_int_equal(got[0].cover, ROUTE_COVERED); /* the general rule */
    assert_string_equal(got[0].rule, "svvp-general");
    assert_int_equal(got[1].cover, ROUTE_PLANNED);
}

static void a_bad_file_is_refused_with_the_reason(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"hospes-agreements\":2,\"rules\":[]}",
        "{\"hospes-agreements\":1}",
        "{\"hospes-agreements\":1,\"rules\":[1]}",
        "{\"hospes-agreements\":1,\"sources\":[],\"rules\":[{\"id\":\"x\",\"first\":\"either\","
        "\"then\":\"y\","
        "\"host\":{},\"guest\":{},\"covered-from\":\"2009-01-01\",\"source\":\"s\"}]}",
        "{\"hospes-agreements\":1,\"sources\":[{\"id\":\"s\"}],\"rules\":[{\"id\":\"x\",\"first\":"
        "\"me\",\"then\":"
        "\"y\",\"host\":{},\"guest\":{},\"covered-from\":\"2009-01-01\",\"source\":\"s\"}]}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct agreements *b;
        struct err e = {0};

        assert_true(agreements_parse(bad[i], strlen(bad[i]), "bad.json", &b, &e) < 0);
        assert_true(strlen(e.msg) > 10);
    }
}

/* Who leaves the version out is not told that it is another one. */
static void what_is_not_said_is_asked_for(void **state)
{
    struct err e = {0};

    put(&q.host, "Microsoft", "Hyper-V", NULL);
    assert_int_equal(vfacts_set(&q.guest, "vendor", "Red Hat", &e), 0);
    assert_int_equal(vfacts_set(&q.guest, "product", "Red Hat Enterprise Linux", &e), 0);
    ask();
    assert_int_equal(got[0].cover, ROUTE_UNSAID);
    assert_int_equal(vfacts_set(&q.guest, "version", "5.3", &e), 0);
    ask();
    assert_int_equal(got[0].cover, ROUTE_UNSAID);
    assert_int_equal(vfacts_set(&q.guest, "arch", "s390x", &e), 0);
    ask();
    assert_int_equal(got[0].cover, ROUTE_OTHER);
}

static void days_are_those_of_the_calendar(void **state)
{
    assert_true(vday_good("2024-02-29"));
    assert_true(vday_good("2000-02-29"));
    assert_false(vday_good("2023-02-29"));
    assert_false(vday_good("1900-02-29"));
    assert_false(vday_good("2009-13-01"));
    assert_false(vday_good("2009-00-01"));
    assert_false(vday_good("2009-01-00"));
    assert_false(vday_good("2009-04-31"));
    assert_false(vday_good("2009-04-3"));
    assert_false(vday_good("2009-04-300"));
    assert_false(vday_good(""));
    assert_true(vtime_good("2026-11-29T23:59:60Z"));
    assert_false(vtime_good("2026-11-31T23:59:59Z"));
    assert_false(vtime_good("2026-11-29T24:00:00Z"));
}

static void logs_point_at_layers(void **state)
{
    static const struct {
        const char *text;
        enum triage_layer layer;
    } logs[] = {
        {"a\nKernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\nb",
         LAYER_GUEST},
        {"dracut-initqueue: Warning: dracut-initqueue timeout", LAYER_DRIVER},
        {"hospes: disk.vhdx: the image is damaged: its log has a bad checksum", LAYER_IMAGE},
        {"write /x.img: No space left on device", LAYER_HOST},
        {"KVM_EXIT_INTERNAL_ERROR suberror 1", LAYER_KVM},
        {"disk0 virtio-blk\n  guest faults  3\n", LAYER_DRIVER},
        {"vmware: unknown backdoor command 0x99", LAYER_PERSONA},
    };

    for (size_t i = 0; i < ARRAY_SIZE(logs); i++) {
        struct triage t = {.n = 0};
        enum triage_layer layer;
        unsigned sure;

        triage_text(&t, "log", logs[i].text, strlen(logs[i].text));
        assert_true(triage_verdict(&t, &layer, &sure));
        if (layer != logs[i].layer && i != 0) /* two findings for the first */
            fail_msg("%s points at %s", logs[i].text, triage_layers[layer]);
        assert_in_range(sure, 40, 95);
        assert_null(strchr(t.found[0].evidence, '\n'));
    }
}

/* A log may hold anything; what is told of it goes to terminals and into JSON. */
static void evidence_is_text(void **state)
{
    static const char log[] =
        "x\n\0\033[31m\xff\xc3\xa4 Kernel panic - not syncing \xed\xa0\x80\xe4\n";
    char text[400];
    struct triage t = {.n = 0};

    triage_text(&t, "log", log, sizeof(log) - 1);
    assert_int_equal(t.n, 1);
    assert_string_equal(t.found[0].evidence, "  [31m?\xc3\xa4 Kernel panic - not syncing ????");
    /* Cut between characters, not in one. */
    for (unsigned more = 0; more < 2; more++) {
        static const char said[] = "Kernel panic - not syncingx";
        size_t len = sizeof(said) - 2 + more;

        memcpy(text, said, len);
        for (; len < 300; len += 2)
            memcpy(text + len, "\xc3\xa4", 3);
        t.n = 0;
        triage_text(&t, "log", text, len);
        assert_int_equal((strlen(t.found[0].evidence) - more) % 2, 0);
    }
}

static void nothing_found_is_said_so(void **state)
{
    static const char not_ours[] = "Unknown kernel command line parameters \"a=b\", will be passed";
    struct triage t = {.n = 0};
    enum triage_layer layer;
    unsigned sure;

    triage_text(&t, "log", "all is well\n", 12);
    triage_text(&t, "log", not_ours, strlen(not_ours));
    triage_text(&t, "log", "", 0);
    assert_false(triage_verdict(&t, &layer, &sure));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(both_statements_on_one_pair_are_told),
        TEST(another_version_is_not_covered_and_the_others_are_named),
        TEST(what_is_needed_is_held_against_what_is_had),
        TEST(what_is_had_may_end),
        cmocka_unit_test(a_bad_entitlement_is_refused),
        TEST(what_nobody_agreed_on_is_not_known),
        TEST(what_is_not_said_is_asked_for),
        cmocka_unit_test(days_are_those_of_the_calendar),
        TEST(the_other_direction_was_planned),
        TEST(a_bad_file_is_refused_with_the_reason),
        cmocka_unit_test(logs_point_at_layers),
        cmocka_unit_test(evidence_is_text),
        cmocka_unit_test(nothing_found_is_said_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
