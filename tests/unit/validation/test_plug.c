/* SPDX-License-Identifier: Apache-2.0 */
/* Checks in which disks, cables, memory and kernels come and go, on machines that are scripts; the
 * other end of a cable; programs that a guest is given. */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "core/err.h"
#include "core/usock.h"
#include "fake_vm.h"
#include "lab.h"
#include "unit.h"
#include "validation/cable.h"
#include "validation/cell.h"

#define DESCRIBED "#: purpose: p\n#: pass: r\n#: source: s\n#: seconds: 1\n"
static const char plug_suite[] =
    "#: name: plug\n#: version: 1\n#: owner: test\n"
    "#: check: p.disk\n" DESCRIBED "#: by: host hotplug 24M\n"
    "#: check: p.slot\n" DESCRIBED "#: by: host hotplug 24M function\n#: personas: kvm\n"
    "#: check: p.link\n" DESCRIBED "#: by: host link\n"
    "#: check: p.more\n" DESCRIBED "#: by: host grow 128M\n"
    "#: check: p.dump\n" DESCRIBED "#: by: host dump 768M 256M\n#: programs: true\n"
    "#: check: p.tool\n" DESCRIBED "#: by: guest\n#: programs: true no-such-program\n"
    "#: check: p.bad\n" DESCRIBED "#: by: host hotplug much\n"
    "#: check: p.after\n" DESCRIBED "#: by: host crash\n";

static struct lab lab;
static struct vrecord r;

static int set_up(void **state)
{
    vrecord_init(&r);
    lab_open(&lab, plug_suite, "");
    return 0;
}

static int tear_down(void **state)
{
    vrecord_free(&r);
    lab_close(&lab);
    return 0;
}

static const struct vcheck *check(const char *id)
{
    const struct vcheck *c = vrecord_check(&r, id);

    assert_non_null(c);
    return c;
}

/* --- scenarios --- */

static void what_comes_and_goes_passes(void **state)
{
    fake_disks = fake_memory = fake_dumps = true;
    lab_run(&lab, 0, &r);
    assert_int_equal(check("p.disk")->status, V_PASS);
    assert_int_equal(check("p.slot")->status, V_PASS);
    assert_int_equal(check("p.link")->status, V_PASS);
    assert_int_equal(check("p.more")->status, V_PASS);
    assert_int_equal(check("p.dump")->status, V_PASS);
    assert_string_equal(fake_plugged, "");
}

static void who_takes_no_disks_is_skipped(void **state)
{
    lab_run(&lab, 1, &r);
    assert_int_equal(check("p.disk")->status, V_SKIP);
    assert_string_equal(check("p.disk")->why, "no disks come here");
    assert_null(vrecord_check(&r, "p.slot"));
    assert_int_equal(check("p.bad")->status, V_ERROR);
}

static void a_disk_that_does_not_go_fails(void **state)
{
    struct fake_answer a[] = {{"p.disk", {"success", "failure it is there still"}}, {NULL}};

    fake_answers = a;
    fake_disks = true;
    lab_run(&lab, 1, &r); /* xen: both attempts are of p.disk */
    assert_int_equal(check("p.disk")->status, V_FAIL);
    assert_string_equal(check("p.disk")->why, "it is there still");
}

static void each_pull_of_the_cable_must_be_seen(void **state)
{
    struct fake_answer a[] = {
        {"p.link", {"success", "success", "success", "failure the link is up"}}, {NULL}};

    fake_answers = a;
    lab_run(&lab, 0, &r);
    assert_int_equal(check("p.link")->status, V_FAIL);
    assert_int_equal(check("p.link")->attempts, 2);
    assert_string_equal(check("p.link")->attempt[0].why, "the link is up");
}

static void memory_that_nobody_gives_fails(void **state)
{
    lab_run(&lab, 0, &r);
    assert_int_equal(check("p.more")->status, V_FAIL);
    assert_string_equal(check("p.more")->why, "no channel for memory");
}

/* The next check starts a machine of its own. */
static void a_crash_without_a_dump_fails_alone(void **state)
{
    lab_run(&lab, 0, &r);
    assert_int_equal(check("p.dump")->status, V_FAIL);
    assert_non_null(strstr(check("p.dump")->why, "crashed"));
    assert_int_equal(check("p.after")->status, V_PASS);
}

static void run_one(const char *args, const char *persona, struct outcome *out)
{
    struct suite_check k = {.id = (char *)"p.x", .args = (char *)args};
    struct cell_run c = {.cfg = &lab.cfg, .cell = &lab.plan.cell[0], .guest = &lab.plan.guest[0]};

    snprintf(c.persona, sizeof(c.persona), "%.15s", persona);
    snprintf(c.work, sizeof(c.work), "%s", lab.dir);
    snprintf(c.initrd, sizeof(c.initrd), "%s", lab.suite);
    snprintf(c.append, sizeof(c.append), "quiet");
    c.s = (struct session){.ops = &vm_fake, .log = &c.log, .who = ""};
    *out = (struct outcome){.status = V_PASS};
    scenario_find(args)->run(&c, &k, 1000, out);
    assert_null(c.s.vm);
    session_free(&c.s);
    vlog_free(&c.log);
}

static void each_has_the_machine_that_it_needs(void **state)
{
    struct outcome out;

    fake_disks = fake_memory = fake_dumps = true;
    run_one("hotplug 24M", "kvm", &out);
    assert_string_equal(fake_persona, "kvm,scsi");
    run_one("hotplug 24M function", "kvm", &out);
    assert_string_equal(fake_persona, "kvm,hotplug");
    free(lab.plan.persona[0]);
    lab.plan.persona[0] = strdup("kvm,modern,scsi");
    run_one("hotplug 24M", "kvm", &out);
    assert_string_equal(fake_persona, "kvm,modern,scsi");
    run_one("grow 128M", "kvm", &out);
    assert_string_equal(fake_persona, "kvm,modern,scsi,memory-max=402653184");
    run_one("dump 768M 256M", "kvm", &out);
    assert_string_equal(fake_append, "quiet crashkernel=256M");
    assert_int_equal(out.status, V_PASS);
    run_one("dump 768M", "kvm", &out);
    assert_int_equal(out.status, V_ERROR);
    run_one("grow", "kvm", &out);
    assert_int_equal(out.status, V_ERROR);
}

/* --- programs --- */

static void a_guest_gets_programs_with_their_libraries(void **state)
{
    const struct initrd_file file = {"crash/kernel", lab.suite};
    struct initrd_parts p = {.modules = lab.dir,
                             .persona = "kvm",
                             .suite = lab.plan.suite,
                             .suites = lab.plan.suites,
                             .file = &file,
                             .files = 1};
    char path[400], *text;
    struct err e = {0};
    size_t len;

    snprintf(path, sizeof(path), "%s/agent.cpio", lab.dir);
    assert_int_equal(initrd_write(path, &p, &e), 0);
    assert_int_equal(vtext_read(path, 64 << 20, &text, &len, &e), 0);
    assert_non_null(memmem(text, len, "bin/true", 9));
    assert_non_null(memmem(text, len, "/libc.so.6", 11));
    assert_non_null(memmem(text, len, "lib64/ld-linux-x86-64.so.2", 27));
    assert_non_null(memmem(text, len, "crash\0", 6));
    assert_non_null(memmem(text, len, "crash/kernel", 13));
    free(text);
}

static void a_program_that_is_not_here_is_a_reason(void **state)
{
    lab_run(&lab, 0, &r);
    assert_int_equal(check("p.tool")->status, V_SKIP);
    assert_string_equal(check("p.tool")->why,
                        "this machine has no no-such-program to give to the guest");
}

static void programs_have_no_folders(void **state)
{
    static const char *const bad[] = {"../sh", "/bin/sh", ".sh", "-x", "sh -x", "a .b", "$(id)"};
    struct err e = {0};
    char text[400];

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct suite s;
        int n = snprintf(text, sizeof(text),
                         "#: name: n\n#: version: 1\n#: owner: o\n#: check: a.b\n" DESCRIBED
                         "#: by: guest\n#: programs: %s\n",
                         bad[i]);

        assert_true(suite_parse(&s, text, (size_t)n, &e) < 0);
        assert_non_null(strstr(e.msg, "without folders"));
        suite_free(&s);
    }
}

/* --- the cable --- */

enum { PING = 14 + 20 + 8 + 3 };

static void put_ping(uint8_t *f)
{
    static const uint8_t ip[20] = {0x45, 0, 0,  PING - 14, 0, 0, 0,  0, 64, 1,
                                   0,    0, 10, 9,         0, 2, 10, 9, 0,  1};
    static const uint8_t icmp[11] = {8, 0, 0xf9, 0xfe, 0xfe, 0, 0, 0, 0, 0, 0};

    memset(f, 0xff, 6);
    memcpy(f + 6, "\2\0\0\0\0\7", 6);
    memcpy(f + 12, "\x08\x00", 2);
    memcpy(f + 14, ip, 20);
    memcpy(f + 34, icmp, 11);
}

static void send_frame(int fd, const uint8_t *f, size_t len)
{
    uint8_t head[4];

    be32_put(head, (uint32_t)len);
    assert_int_equal(send(fd, head, 4, MSG_NOSIGNAL), 4);
    assert_int_equal(send(fd, f, len, MSG_NOSIGNAL), len);
}

/* All of `len` bytes; false: the other end has closed. */
static bool get(int fd, uint8_t *data, size_t len)
{
    while (len > 0) {
        struct pollfd w = {.fd = fd, .events = POLLIN};
        ssize_t n;

        assert_int_equal(poll(&w, 1, 10000), 1);
        n = recv(fd, data, len, 0);
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static int accepted(int listener)
{
    struct pollfd w = {.fd = listener, .events = POLLIN};

    assert_int_equal(poll(&w, 1, 10000), 1);
    return usock_accept(listener);
}

struct plugged {
    char path[400];
    struct cable_end *c;
    int listener;
};

/* The guest's side of a cable with an end. */
static int plug(struct plugged *p)
{
    struct err e = {0};

    snprintf(p->path, sizeof(p->path), "%s/cable", lab.dir);
    assert_int_equal(usock_listen(p->path, &p->listener, &e), 0);
    assert_int_equal(cable_end_start(&p->c, p->path, &e), 0);
    return accepted(p->listener);
}

static void unplug(struct plugged *p, int fd)
{
    cable_end_stop(p->c);
    close(fd);
    usock_unlisten(p->listener, p->path);
}

static void a_cable_answers_until_it_is_pulled(void **state)
{
    uint8_t f[PING], got[4 + PING];
    struct plugged p = {.listener = -1};
    int fd;

    fd = plug(&p);
    /* What is not for it, and what is too short, is passed over. */
    put_ping(f);
    f[33] = 9;
    send_frame(fd, f, PING);
    put_ping(f);
    send_frame(fd, f, 30);
    send_frame(fd, f, 0);
    send_frame(fd, f, PING);
    assert_true(get(fd, got, sizeof(got)));
    assert_int_equal(be32_at(got), PING);
    assert_memory_equal(got + 4, "\2\0\0\0\0\7", 6);
    assert_memory_equal(got + 4 + 26, "\x0a\x09\0\1\x0a\x09\0\2\0\0\1\xff", 12);
    cable_end_pull(p.c, true);
    assert_false(get(fd, got, 1));
    close(fd);
    cable_end_pull(p.c, false);
    fd = accepted(p.listener);
    send_frame(fd, f, PING);
    assert_true(get(fd, got, sizeof(got)));
    /* A length that no frame has ends it, and another connection is made. */
    assert_int_equal(send(fd, "\xff\xff\xff\xff", 4, MSG_NOSIGNAL), 4);
    assert_false(get(fd, got, 1));
    close(fd);
    fd = accepted(p.listener);
    unplug(&p, fd);
}

static void a_cable_says_who_has_its_address(void **state)
{
    static const uint8_t ask[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,  7, 8, 6,
                                    0,    1,    8,    0,    6,    4,    0, 1, 2, 0, 0,  0, 0, 7,
                                    10,   9,    0,    2,    0,    0,    0, 0, 0, 0, 10, 9, 0, 1};
    static const uint8_t answer[42] = {2,  0, 0, 0, 0, 7, 2, 0, 0, 9, 0,  1, 8, 6,
                                       0,  1, 8, 0, 6, 4, 0, 2, 2, 0, 0,  9, 0, 1,
                                       10, 9, 0, 1, 2, 0, 0, 0, 0, 7, 10, 9, 0, 2};
    uint8_t got[46];
    struct plugged p = {.listener = -1};
    int fd;

    fd = plug(&p);
    send_frame(fd, ask, sizeof(ask));
    assert_true(get(fd, got, sizeof(got)));
    assert_memory_equal(got + 4, answer, sizeof(answer));
    unplug(&p, fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_comes_and_goes_passes),
        TEST(who_takes_no_disks_is_skipped),
        TEST(a_disk_that_does_not_go_fails),
        TEST(each_pull_of_the_cable_must_be_seen),
        TEST(memory_that_nobody_gives_fails),
        TEST(a_crash_without_a_dump_fails_alone),
        TEST(each_has_the_machine_that_it_needs),
        TEST(a_guest_gets_programs_with_their_libraries),
        TEST(a_program_that_is_not_here_is_a_reason),
        TEST(programs_have_no_folders),
        TEST(a_cable_answers_until_it_is_pulled),
        TEST(a_cable_says_who_has_its_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
