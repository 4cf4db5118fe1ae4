/* SPDX-License-Identifier: Apache-2.0 */
/* A cell from plan to record, on machines that are scripts: every status, and what a death leaves.
 */
#define _GNU_SOURCE
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/err.h"
#include "fake_vm.h"
#include "lab.h"
#include "unit.h"
#include "validation/cell.h"
#include "validation/sweep.h"

static struct lab lab;
static struct vrecord r;

static int set_up(void **state)
{
    vrecord_init(&r);
    lab_open(&lab, NULL, "");
    return 0;
}

static int tear_down(void **state)
{
    vrecord_free(&r);
    lab_close(&lab);
    return 0;
}

static enum vstatus status(const char *id)
{
    const struct vcheck *c = vrecord_check(&r, id);

    assert_non_null(c);
    return c->status;
}

/* Disks of cells are in memory, and ^C comes often. */
static void what_a_killed_cell_leaves_goes(void **state)
{
    char dir[V_PATH], work[V_PATH], file[V_PATH];
    struct sweeper s = {0};
    struct err e = {0};
    pid_t pid;

    (void)state;
    assert_int_equal(vtext_mktemp(dir, lab.dir, "dir", &e), 0);
    assert_int_equal(vtext_mktemp(work, lab.dir, "work", &e), 0);
    assert_int_equal(vpath(file, work, "disk.img", &e), 0);
    assert_int_equal(vtext_write(file, "x", 1, &e), 0);
    assert_int_equal(sweeper_begin(&s, (const char *const[]){dir}, 1, &e), 0);
    sweeper_end(&s); /* the cell has ended by itself */
    assert_int_equal(access(dir, F_OK), 0);
    sweeper_end(&s);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    pid = fork();
    if (pid == 0) {
        if (sweeper_begin(&s, (const char *const[]){dir, work}, 2, &e) == 0)
            raise(SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(waitpid(-1, NULL, 0) > 0); /* who swept, now that it is ours */
    assert_int_equal(access(dir, F_OK), -1);
    assert_int_equal(access(work, F_OK), -1);
}

static void all_that_passes_is_validated(void **state)
{
    struct err e = {0};
    char path[500], *log;
    size_t len;

    lab_run(&lab, 0, &r);
    assert_int_equal(r.verdict, V_PASS);
    assert_true(r.validated);
    assert_int_equal(vrecord_exit(&r), 0);
    assert_int_equal(r.checks, 5); /* a.long is of another level */
    assert_string_equal(r.cell, "linux.kvm.c1.m256.raw.user");
    assert_string_equal(r.end, "powered off");
    snprintf(path, sizeof(path), "%s/cells/%s/run.log", lab.out, r.cell);
    assert_int_equal(vtext_read(path, 1 << 20, &log, &len, &e), 0);
    assert_int_equal(vrecord_check_log(&r, log, len, &e), 0);
    assert_non_null(strstr(log, "| booting\n"));
    free(log);
}

static void a_second_run_finds_the_first(void **state)
{
    struct err e = {0};
    struct vrecord again;
    bool cached = false;

    lab_run(&lab, 1, &r);
    fake_starts = 0;
    assert_int_equal(runner_cell(&lab.cfg, 1, &again, &cached, &e), 0);
    assert_true(cached);
    assert_int_equal(fake_starts, 0);
    assert_string_equal(again.started, r.started);
    vrecord_free(&again);
    lab.cfg.again = true;
    memset(&again, 0xa5, sizeof(again)); /* what it was before does not matter */
    lab_run(&lab, 1, &again);
    assert_int_not_equal(fake_starts, 0);
    vrecord_free(&again);
}

static void a_pass_at_the_second_attempt_is_flaky(void **state)
{
    struct fake_answer a[] = {{"a.one", {"failure once", "success"}}, {NULL}};

    fake_answers = a;
    lab_run(&lab, 0, &r);
    assert_int_equal(status("a.one"), V_FLAKY);
    assert_int_equal(vrecord_check(&r, "a.one")->attempts, 2);
    assert_string_equal(vrecord_check(&r, "a.one")->attempt[0].why, "once");
    assert_int_equal(r.verdict, V_FLAKY);
    assert_true(r.validated);
}

static void a_failure_fails_and_the_rest_runs(void **state)
{
    struct fake_answer a[] = {{"a.one", {"failure it is wrong"}}, {NULL}};

    fake_answers = a;
    lab_run(&lab, 0, &r);
    assert_int_equal(status("a.one"), V_FAIL);
    assert_int_equal(status("a.two"), V_PASS);
    assert_false(r.validated);
    assert_int_equal(vrecord_exit(&r), 1);
}

static void a_death_makes_the_rest_a_miss(void **state)
{
    struct fake_answer a[] = {{"a.one", {"die"}}, {NULL}};

    fake_answers = a;
    lab_run(&lab, 0, &r);
    assert_int_equal(status("a.up"), V_PASS);
    assert_int_equal(status("a.one"), V_FAIL);
    assert_non_null(strstr(vrecord_check(&r, "a.one")->why, "something broke"));
    assert_int_equal(status("a.two"), V_MISS);
    assert_int_equal(status("a.off"), V_MISS);
    assert_int_equal(vrecord_check(&r, "a.two")->attempts, 0);
    assert_int_equal(r.verdict, V_FAIL);
    assert_false(r.validated);
    assert_int_equal(fake_starts, 2); /* once more for the second attempt */
}

static void a_host_that_dies_is_no_fault_of_the_guest(void **state)
{
    struct fake_answer a[] = {{"a.one", {"host"}}, {NULL}};

    fake_answers = a;
    lab_run(&lab, 0, &r);
    assert_int_equal(status("a.one"), V_ERROR);
    assert_int_equal(vrecord_exit(&r), 2);
}

static void a_guest_that_hangs_is_given_up(void **state)
{
    struct fake_answer a[] = {{"a.one", {"hang", "success"}}, {NULL}};

    fake_answers = a;
    lab_run(&lab, 0, &r);
    assert_int_equal(status("a.one"), V_FLAKY);
    assert_int_equal(status("a.two"), V_PASS);
}

static void a_hospes_that_does_not_answer_is_our_error(void **state)
{
    struct fake_answer a[] = {{"a.one", {"failure it waited for long"}}, {NULL}};
    const struct vcheck *v;
    struct err e = {0};
    char path[500], *text;
    size_t len;

    fake_answers = a;
    fake_stuck = true;
    lab_run(&lab, 0, &r);
    v = vrecord_check(&r, "a.one");
    assert_int_equal(v->status, V_ERROR);
    assert_string_equal(v->why, "hospes does not answer any more (it waited for long)");
    snprintf(path, sizeof(path), "%s/cells/%s/threads-a.one.txt", lab.out, r.cell);
    assert_int_equal(vtext_read(path, 1 << 20, &text, &len, &e), 0);
    assert_string_equal(text, "thread 1\ncomm: fake\n");
    free(text);
    assert_int_equal(vrecord_exit(&r), 2);
}

static void a_shell_without_a_verdict_is_our_error(void **state)
{
    struct fake_answer a[] = {{"a.one", {"mute"}}, {"a.two", {"reboot"}}, {NULL}};

    fake_answers = a;
    lab_run(&lab, 0, &r);
    assert_int_equal(status("a.one"), V_ERROR);
    assert_int_equal(status("a.two"), V_FAIL);
}

static void what_cannot_start_is_an_error(void **state)
{
    fake_start_code = 19;
    lab_run(&lab, 0, &r);
    assert_int_equal(status("a.up"), V_ERROR);
    assert_int_equal(status("a.one"), V_MISS);
    assert_int_equal(r.verdict, V_ERROR);
}

static void a_mandatory_check_that_was_skipped_prevents_validated(void **state)
{
    struct fake_answer a[] = {{"a.one", {"skip not here"}}, {NULL}};

    fake_answers = a;
    lab_run(&lab, 0, &r);
    assert_int_equal(status("a.one"), V_SKIP);
    assert_int_equal(r.verdict, V_PASS);
    assert_false(r.validated);
}

static void exceptions_know_their_cells(void **state)
{
    struct fake_answer a[] = {{"a.extra", {"failure as ever"}}, {NULL}};

    lab_close(&lab);
    lab_open(&lab, NULL,
             "known a.extra,issue=bug 7,persona=kvm\nskip a.two,why=no room,until=2999-01-01\n"
             "skip a.one,why=over,until=2001-01-01\n");
    fake_answers = a;
    lab_run(&lab, 0, &r);
    assert_int_equal(status("a.extra"), V_KNOWN);
    assert_string_equal(vrecord_check(&r, "a.extra")->issue, "bug 7");
    assert_int_equal(status("a.two"), V_SKIP);
    assert_int_equal(status("a.one"), V_PASS);
    assert_false(r.validated);
    assert_int_equal(vrecord_exit(&r), 0);
    vrecord_free(&r);
    lab_run(&lab, 1, &r); /* xen: not known there */
    assert_int_equal(status("a.extra"), V_FAIL);
}

static void another_plan_needs_another_folder(void **state)
{
    struct err e = {0};

    lab_run(&lab, 0, &r);
    lab.plan.text[0] = 'H';
    assert_true(runner_prepare(&lab.cfg, &e) < 0);
    assert_non_null(strstr(e.msg, "--out"));
    lab.plan.text[0] = 'h';
}

static void a_full_disk_leaves_nothing_half_written(void **state)
{
    struct err e = {0};
    char path[500];
    bool cached;

    /* A file where the folder of scratch files should be: nothing can be made there. */
    lab.cfg.scratch = lab.suite;
    assert_true(runner_cell(&lab.cfg, 0, &r, &cached, &e) < 0);
    snprintf(path, sizeof(path), "%s/cells/linux.kvm.c1.m256.raw.user", lab.out);
    assert_int_equal(access(path, F_OK), -1);
    assert_true(vtext_write("/dev/full/x", "x", 1, &e) < 0);
}

static void what_a_dead_host_left_is_not_taken(void **state)
{
    struct err e = {0};
    char dir[500], path[600];

    snprintf(dir, sizeof(dir), "%s/cells/.linux.kvm.c1.m256.raw.user.%d", lab.out, (int)getpid());
    assert_int_equal(vtext_mkdir(dir, &e), 0);
    snprintf(path, sizeof(path), "%s/stray", dir);
    assert_int_equal(vtext_write(path, "x", 1, &e), 0);
    lab_run(&lab, 0, &r);
    snprintf(path, sizeof(path), "%s/cells/%s/stray", lab.out, r.cell);
    assert_int_equal(access(path, F_OK), -1);
}

static void rules_look_at_facts(void **state)
{
    struct json_object *info = NULL;
    struct err e = {0};
    bool holds = false;
    struct fake_answer a[] = {{NULL}};

    fake_answers = a;
    fake_info =
        "{\"persona\":\"kvm\",\"guest\":[{\"id\":\"guest\",\"vmbus\":\"version 5.3\","
        "\"n\":4}],\"devices\":[{\"id\":\"d\",\"model\":\"virtio-blk\",\"driver\":\"yes\"}]}";
    assert_int_equal(vm_fake.info(NULL, &info, &e), 0);
    assert_int_equal(outside_rule("guest | vmbus | version *", info, &holds, &e), 0);
    assert_true(holds);
    assert_int_equal(outside_rule("guest | n | 4", info, &holds, &e), 0);
    assert_true(holds);
    assert_int_equal(outside_rule("devices:virtio-net | driver | *", info, &holds, &e), 0);
    assert_false(holds);
    assert_int_equal(outside_rule("! devices | guest faults | *", info, &holds, &e), 0);
    assert_true(holds);
    assert_int_equal(outside_rule("nothing | x | *", info, &holds, &e), 0);
    assert_false(holds);
    assert_true(outside_rule("no rule", info, &holds, &e) < 0);
    json_object_put(info);
}

/* The drift of a guest that says `says`, a minute after it said 100 s. */
static enum vstatus drift_after_a_minute(const char *says)
{
    struct fake_answer a[] = {{"clock.drift", {says}}, {NULL}};
    struct suite_check k = {.id = (char *)"clock.drift", .args = (char *)"drift 10 300"};
    struct cell_run c = {.cfg = &lab.cfg, .cell = &lab.plan.cell[0], .guest = &lab.plan.guest[0]};
    struct vm_spec spec = {.name = "this"};
    struct outcome out;
    struct err e = {0};

    fake_answers = a;
    c.s = (struct session){.ops = &vm_fake, .log = &c.log, .who = ""};
    assert_int_equal(session_start(&c.s, &spec, &e), 0);
    session_ready(&c.s, 1000, &out);
    c.mark = (struct clock_mark){.set = true, .guest = 100000, .host = clock_ms() - 60000};
    scenario_find(k.args)->run(&c, &k, 1000, &out);
    assert_false(c.mark.set);
    session_free(&c.s);
    vlog_free(&c.log);
    return out.status;
}

static void clocks_are_compared_since_the_start(void **state)
{
    assert_int_equal(drift_after_a_minute("uptime 160.10"), V_PASS);
    assert_int_equal(drift_after_a_minute("uptime 158.60"), V_PASS);
    assert_int_equal(drift_after_a_minute("uptime 158.00"), V_FAIL);
    assert_int_equal(drift_after_a_minute("uptime 162.00"), V_FAIL);
    assert_int_equal(drift_after_a_minute("uptime 3.00"), V_FAIL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_a_killed_cell_leaves_goes),
        TEST(all_that_passes_is_validated),
        TEST(a_second_run_finds_the_first),
        TEST(a_pass_at_the_second_attempt_is_flaky),
        TEST(a_failure_fails_and_the_rest_runs),
        TEST(a_death_makes_the_rest_a_miss),
        TEST(a_host_that_dies_is_no_fault_of_the_guest),
        TEST(a_guest_that_hangs_is_given_up),
        TEST(a_hospes_that_does_not_answer_is_our_error),
        TEST(a_shell_without_a_verdict_is_our_error),
        TEST(what_cannot_start_is_an_error),
        TEST(a_mandatory_check_that_was_skipped_prevents_validated),
        TEST(exceptions_know_their_cells),
        TEST(another_plan_needs_another_folder),
        TEST(a_full_disk_leaves_nothing_half_written),
        TEST(what_a_dead_host_left_is_not_taken),
        TEST(rules_look_at_facts),
        TEST(clocks_are_compared_since_the_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
