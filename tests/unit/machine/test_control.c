/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: requests, events, garbage, huge lines, and clients that leave half-way. */
#define _GNU_SOURCE
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board/device.h"
#include "console/console.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/usock.h"
#include "machine/control.h"
#include "machine/runtime.h"

static struct loop *loop;
static struct control *ctl;
static struct console *con;
static char dir[64];
static char asked[64];
static uint64_t asked_value;
static unsigned stops;
static char got[300000];

static void fake_info(void *arg, struct info *out)
{
    struct dump *d;

    (void)arg;
    info_text(out, "persona", "kvm");
    info_number(out, "memory", UINT64_C(1) << 40);
    d = info_part(out, "devices", "disk0", "virtio-blk");
    dump_add(d, "requests", "%d", 77);
    dump_add(d, "serial", "%s", "007");
    d = info_part(out, "devices", "nic0", "virtio-net");
    dump_add(d, "mac", "%s", "52:54:00:12:34:56");
    dump_add(d, "id", "%s", "a guest's");
    dump_add(d, "id", "%s", "another");
}

static int fake_ask(void *arg, const char *what, uint64_t value, const char **how, struct err *e)
{
    (void)arg;
    snprintf(asked, sizeof(asked), "%s", what);
    asked_value = value;
    *how = "ACPI power button";
    return strcmp(what, "freeze") ? 0 : err_set(e, ENOTSUP, "this guest has no such channel");
}

static void fake_stop(void *arg)
{
    (void)arg;
    stops++;
}

static struct console *fake_console(void *arg)
{
    (void)arg;
    return con;
}

static int fake_data_set(void *arg, const char *key, const char *value, struct err *e)
{
    (void)arg;
    snprintf(asked, sizeof(asked), "%s=%s", key, value ? value : "(gone)");
    if (strncmp(key, "auto/", 5) == 0)
        return err_exit(e, EX_USAGE_, EINVAL, "%s is the guest's", key);
    return strncmp(key, "slow/", 5) == 0;
}

static int fake_data_list(void *arg, const char *prefix, control_data_fn *fn, void *fn_arg,
                          struct err *e)
{
    (void)arg;
    (void)e;
    if (!*prefix)
        fn(fn_arg, "auto/OSName", "Debian");
    fn(fn_arg, "host/a", prefix);
    return 0;
}

static int fake_attach(void *arg, const char *disk, const char **id, struct err *e)
{
    (void)arg;
    snprintf(asked, sizeof(asked), "+%s", disk);
    *id = "disk3";
    return strcmp(disk, "/missing") ? 0 : err_exit(e, EX_MISSING, ENOENT, "no %s", disk);
}

static int fake_attach_nic(void *arg, const char *nic, const char **id, struct err *e)
{
    (void)arg;
    (void)e;
    snprintf(asked, sizeof(asked), "+nic %s", nic);
    *id = "nic1";
    return 0;
}

static int fake_detach(void *arg, const char *id, struct err *e)
{
    (void)arg;
    snprintf(asked, sizeof(asked), "-%s", id);
    return strcmp(id, "disk0") ? 0 : err_exit(e, EX_USAGE_, ENOENT, "no %s", id);
}

static int fake_resize(void *arg, const char *id, uint64_t bytes, struct err *e)
{
    (void)arg;
    snprintf(asked, sizeof(asked), "%s=%llu", id, (unsigned long long)bytes);
    return strcmp(id, "disk0") ? 0 : err_exit(e, EX_USAGE_, ENOENT, "no %s", id);
}

static int fake_disc(void *arg, const char *drive, const char *disc, bool force, struct err *e)
{
    (void)arg;
    (void)e;
    snprintf(asked, sizeof(asked), "%s=%s%s", drive ? drive : "the only one", disc,
             force ? ", by force" : "");
    return 0;
}

static int fake_copy(void *arg, const char *file, const char *to, struct err *e)
{
    (void)arg;
    snprintf(asked, sizeof(asked), "%s to %s", file, to);
    return strcmp(file, "/missing") ? 0 : err_exit(e, EX_MISSING, ENOENT, "no %s", file);
}

static int fake_screenshot(void *arg, const char *file, unsigned *width, unsigned *height,
                           struct err *e)
{
    (void)arg;
    snprintf(asked, sizeof(asked), "picture %s", file);
    *width = 720;
    *height = 400;
    return strcmp(file, "/dark") ? 0 : err_set(e, ENOENT, "no screen is lit");
}

static int fake_screen_text(void *arg, char **out, struct err *e)
{
    (void)arg;
    *out = strdup("A:\\>\n");
    return *out ? 0 : err_set(e, ENOMEM, "no memory");
}

static int fake_type(void *arg, const char *text, struct err *e)
{
    (void)arg;
    snprintf(asked, sizeof(asked), "type %s", text);
    return strcmp(text, "\xe9") ? 0 : err_set(e, EINVAL, "no such key");
}

static const struct control_ops ops = {
    .info = fake_info,
    .ask = fake_ask,
    .data_set = fake_data_set,
    .data_list = fake_data_list,
    .copy = fake_copy,
    .attach = fake_attach,
    .attach_nic = fake_attach_nic,
    .detach = fake_detach,
    .resize = fake_resize,
    .disc = fake_disc,
    .screenshot = fake_screenshot,
    .screen_text = fake_screen_text,
    .type = fake_type,
    .stop = fake_stop,
    .console = fake_console,
};

static int set_up(void **state)
{
    struct err e;

    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/hospes-test-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    setenv("HOSPES_RUNTIME", dir, 1);
    *asked = '\0';
    stops = 0;
    return loop_create(&loop, &e) || console_open("none", loop, &con, &e) ||
           control_open("vm1", loop, &ops, NULL, &ctl, &e);
}

static int tear_down(void **state)
{
    (void)state;
    control_close(ctl, NULL, NULL);
    console_close(con);
    loop_destroy(loop);
    return rmdir(dir); /* the socket is gone */
}

static void turn(int rounds)
{
    while (rounds-- > 0)
        assert_true(loop_step(loop, 1000000) >= 0);
}

/* What the client can read now. */
static const char *hear(int fd)
{
    ssize_t n;

    turn(3);
    n = read(fd, got, sizeof(got) - 1);
    got[n > 0 ? n : 0] = '\0';
    return n == 0 ? NULL : got; /* NULL: cut off */
}

static int join(void)
{
    struct err e;
    int fd;

    assert_int_equal(usock_connect(control_path(ctl), &fd, &e), 0);
    assert_non_null(strstr(hear(fd), "\"protocol\":1,\"name\":\"vm1\",\"pid\":"));
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void info_gives_numbers_as_numbers(void **state)
{
    int fd = join();

    (void)state;
    say(fd, "{\"id\":5,\"do\":\"info\"}\n");
    hear(fd);
    assert_non_null(strstr(got, "{\"id\":5,\"ok\":true,\"result\":{\"name\":\"vm1\",\"pid\":"));
    assert_non_null(strstr(got, "\"memory\":1099511627776,\"devices\":[{\"id\":\"disk0\","
                                "\"model\":\"virtio-blk\",\"requests\":77,\"serial\":\"007\"},"));
    assert_non_null(strstr(got, "{\"id\":\"nic0\",\"model\":\"virtio-net\","));
    assert_non_null(strstr(got, "\"mac\":\"52:54:00:12:34:56\",\"id 2\":\"a guest's\","
                                "\"id 3\":\"another\"}]}}\n"));
    close(fd);
}

static void stop_asks_and_the_answer_is_an_event(void **state)
{
    int fd = join(), other = join();

    (void)state;
    say(fd, "{\"do\":\"stop\"}\n");
    assert_string_equal(hear(fd), "{\"ok\":true,\"how\":\"ACPI power button\"}\n");
    assert_string_equal(asked, "shutdown");
    control_event(ctl, "obeyed", NULL);
    assert_string_equal(hear(fd), "{\"event\":\"obeyed\"}\n");
    assert_string_equal(hear(other), ""); /* did not ask for events */
    say(other, "{\"do\":\"watch\"}\n");
    assert_string_equal(hear(other), "{\"ok\":true}\n");
    control_close(ctl, "poweroff", "good bye");
    ctl = NULL;
    assert_string_equal(hear(other),
                        "{\"event\":\"end\",\"how\":\"poweroff\",\"text\":\"good bye\"}\n");
    assert_non_null(strstr(hear(fd), "poweroff"));
    assert_null(hear(fd));
    close(fd);
    close(other);
}

static void stop_now_pulls_the_plug(void **state)
{
    int fd = join();

    (void)state;
    say(fd, "{\"do\":\"stop\",\"now\":true}\n");
    assert_string_equal(hear(fd), "{\"ok\":true}\n");
    assert_int_equal(stops, 1);
    assert_string_equal(asked, "");
    close(fd);
}

static void requests_that_mean_nothing_are_refused(void **state)
{
    static const char *const bad[] = {
        "{}\n",
        "{\"do\":7}\n",
        "{\"do\":\"dance\"}\n",
        "{\"do\":\"ask\"}\n",
        "{\"do\":\"data-set\"}\n",
        "{\"do\":\"data-set\",\"key\":\"\"}\n",
        "{\"do\":\"data-set\",\"key\":\"auto/x\",\"value\":\"y\"}\n",
        "{\"do\":\"copy\",\"file\":\"/x\"}\n",
        "{\"do\":\"attach\"}\n",
        "{\"do\":\"resize\",\"bytes\":5}\n",
        "{\"do\":\"resize\",\"disk\":\"disk1\"}\n",
        "{\"do\":\"resize\",\"disk\":\"disk1\",\"bytes\":-5}\n",
        "{\"do\":\"detach\",\"disk\":7}\n",
        "{\"do\":\"detach\",\"disk\":\"disk0\"}\n",
        "{\"do\":\"screenshot\"}\n",
        "{\"do\":\"screenshot\",\"file\":\"here.png\"}\n",
        "{\"do\":\"type\"}\n",
        "{\"do\":\"ask\",\"what\":\"sing\"}\n",
        "{\"do\":\"ask\",\"what\":\"memory\"}\n",
        "{\"do\":\"ask\",\"what\":\"memory\",\"value\":-5}\n",
        "{\"do\":\"ask\",\"what\":\"memory\",\"value\":\"1G\"}\n",
        "[1,2]\n",
        "info\n",
        "{\"do\":\"info\"} {\"do\":\"info\"}\n",
        "{\"do\":\"info\"\n",
        "\xff\xfe\n",
        "{\"a\":[[[[[[[[[[[[[[]]]]]]]]]]]]]]}\n",
    };
    int fd = join();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        say(fd, bad[i]);
        hear(fd);
        assert_non_null(strstr(got, "\"ok\":false,\"error\":\""));
        assert_non_null(strstr(got, "\"exit\":64}\n"));
    }
    say(fd, "{\"do\":\"ask\",\"what\":\"freeze\"}\n");
    assert_non_null(strstr(hear(fd), "no such channel"));
    say(fd, "{\"do\":\"ask\",\"what\":\"wake\"}\n");
    hear(fd);
    assert_string_equal(asked, "wake");
    say(fd, "{\"do\":\"ask\",\"what\":\"memory\",\"value\":1073741824}\n");
    hear(fd);
    assert_int_equal(asked_value, 1073741824);
    close(fd);
}

static void data_are_listed_and_set(void **state)
{
    int fd = join();

    (void)state;
    say(fd, "{\"do\":\"data\"}\n");
    assert_non_null(strstr(hear(fd), "\"result\":{\"auto/OSName\":\"Debian\",\"host/a\":\"\"}"));
    say(fd, "{\"do\":\"data\",\"prefix\":\"host/\"}\n");
    assert_non_null(strstr(hear(fd), "\"result\":{\"host/a\":\"host/\"}"));
    say(fd, "{\"do\":\"data-set\",\"key\":\"host/a\",\"value\":\"b=c\"}\n");
    assert_non_null(strstr(hear(fd), "\"ok\":true,\"done\":true"));
    assert_string_equal(asked, "host/a=b=c");
    control_event(ctl, "obeyed", "nobody waits");
    say(fd, "{\"do\":\"data-set\",\"key\":\"slow/a\"}\n");
    assert_non_null(strstr(hear(fd), "\"ok\":true,\"done\":false"));
    assert_string_equal(asked, "slow/a=(gone)");
    control_event(ctl, "obeyed", "slow/a is set");
    assert_non_null(strstr(hear(fd), "slow/a is set"));
    close(fd);
}

static void a_file_is_copied_and_its_end_told(void **state)
{
    int fd = join();

    (void)state;
    say(fd, "{\"do\":\"copy\",\"file\":\"/missing\",\"to\":\"/x\"}\n");
    assert_non_null(strstr(hear(fd), "\"exit\":66"));
    say(fd, "{\"do\":\"copy\",\"file\":\"/a\",\"to\":\"/b\"}\n");
    assert_non_null(strstr(hear(fd), "\"ok\":true"));
    assert_string_equal(asked, "/a to /b");
    control_event(ctl, "refused", "the disk is full");
    assert_non_null(strstr(hear(fd), "\"event\":\"refused\",\"text\":\"the disk is full\""));
    close(fd);
}

static void the_screen_is_taken_and_text_is_typed(void **state)
{
    int fd = join();

    (void)state;
    say(fd, "{\"do\":\"screenshot\",\"file\":\"/dark\"}\n");
    assert_non_null(strstr(hear(fd), "no screen is lit"));
    say(fd, "{\"do\":\"screenshot\",\"file\":\"/a.png\"}\n");
    assert_non_null(strstr(hear(fd), "\"width\":720,\"height\":400"));
    assert_string_equal(asked, "picture /a.png");
    say(fd, "{\"do\":\"screen-text\"}\n");
    assert_non_null(strstr(hear(fd), "\"text\":\"A:\\\\>\\n\""));
    say(fd, "{\"do\":\"type\",\"text\":\"ls\\n\"}\n");
    assert_non_null(strstr(hear(fd), "\"ok\":true"));
    assert_string_equal(asked, "type ls\n");
    control_event(ctl, "obeyed", "typed");
    assert_non_null(strstr(hear(fd), "\"event\":\"obeyed\",\"text\":\"typed\""));
    close(fd);
}

static void disks_come_and_go(void **state)
{
    int fd = join();

    (void)state;
    say(fd, "{\"do\":\"attach\",\"disk\":\"/missing\"}\n");
    assert_non_null(strstr(hear(fd), "\"exit\":66"));
    say(fd, "{\"do\":\"attach\",\"disk\":\"/a,write\"}\n");
    assert_non_null(strstr(hear(fd), "\"result\":\"disk3\""));
    assert_string_equal(asked, "+/a,write");
    say(fd, "{\"do\":\"attach\",\"nic\":\"user\"}\n");
    assert_non_null(strstr(hear(fd), "\"result\":\"nic1\""));
    assert_string_equal(asked, "+nic user");
    say(fd, "{\"do\":\"attach\",\"nic\":\"user\",\"disk\":\"/a\"}\n");
    assert_non_null(strstr(hear(fd), "\"exit\":64"));
    say(fd, "{\"do\":\"detach\",\"disk\":\"disk3\"}\n");
    assert_non_null(strstr(hear(fd), "\"ok\":true"));
    assert_string_equal(asked, "-disk3");
    close(fd);
}

static void who_asked_hears_when_the_disk_has_grown(void **state)
{
    int fd = join(), other = join();
    struct err e;

    (void)state;
    say(fd, "{\"do\":\"resize\",\"disk\":\"disk0\",\"bytes\":4096}\n");
    assert_non_null(strstr(hear(fd), "\"exit\":64"));
    say(fd, "{\"id\":3,\"do\":\"resize\",\"disk\":\"disk1\",\"bytes\":9999999999}\n");
    assert_string_equal(hear(fd), "");
    assert_string_equal(asked, "disk1=9999999999");
    control_done(ctl, true, NULL);
    assert_string_equal(hear(fd), "{\"id\":3,\"ok\":true,\"result\":\"told\"}\n");
    say(fd, "{\"do\":\"resize\",\"disk\":\"disk1\",\"bytes\":512}\n");
    turn(3);
    (void)err_exit(&e, EX_HOST_IO, ENOSPC, "the disk is full");
    control_done(ctl, false, &e);
    assert_non_null(strstr(hear(fd), "\"error\":\"the disk is full\""));
    say(fd, "{\"do\":\"resize\",\"disk\":\"disk1\",\"bytes\":512}\n");
    turn(3);
    close(fd);
    turn(3);
    control_done(ctl, false, NULL); /* nobody is there any more */
    assert_string_equal(hear(other), "");
    close(other);
}

static void a_drive_gets_another_disc(void **state)
{
    int fd = join();

    (void)state;
    say(fd, "{\"do\":\"disc\",\"drive\":\"cdrom0\"}\n");
    assert_non_null(strstr(hear(fd), "\"exit\":64"));
    say(fd, "{\"id\":4,\"do\":\"disc\",\"disc\":\"/a.iso\"}\n");
    assert_string_equal(hear(fd), "");
    assert_string_equal(asked, "the only one=/a.iso");
    control_done(ctl, true, NULL);
    assert_string_equal(hear(fd), "{\"id\":4,\"ok\":true,\"result\":\"told\"}\n");
    say(fd, "{\"do\":\"disc\",\"drive\":\"cdrom1\",\"disc\":\"none\",\"force\":true}\n");
    turn(3);
    assert_string_equal(asked, "cdrom1=none, by force");
    control_done(ctl, true, NULL);
    assert_non_null(strstr(hear(fd), "\"ok\":true"));
    close(fd);
}

static void lines_may_come_in_pieces_and_together(void **state)
{
    static const char text[] = "{\"do\":\"watch\",\"id\":1}\n\n{\"do\":\"watch\",\"id\":2}\n{\"do";
    int fd = join();

    (void)state;
    for (const char *p = text; *p; p++) {
        assert_int_equal(send(fd, p, 1, MSG_NOSIGNAL), 1);
        turn(1);
    }
    assert_string_equal(hear(fd), "{\"id\":1,\"ok\":true}\n{\"id\":2,\"ok\":true}\n");
    close(fd); /* half a request: nothing happens */
    turn(3);
    fd = join();
    say(fd, "{\"do\":\"watch\",\"id\":1}\n{\"do\":\"watch\",\"id\":[2]}\n");
    assert_string_equal(hear(fd), "{\"id\":1,\"ok\":true}\n{\"id\":[2],\"ok\":true}\n");
    close(fd);
}

static void a_line_too_long_ends_the_connection(void **state)
{
    static char block[40000];
    int fd = join();

    (void)state;
    memset(block, 'x', sizeof(block));
    assert_int_equal(send(fd, block, sizeof(block), MSG_NOSIGNAL), sizeof(block));
    turn(3);
    (void)!send(fd, block, sizeof(block), MSG_NOSIGNAL);
    turn(3);
    assert_non_null(strstr(hear(fd), "longer than 65536"));
    while (hear(fd))
        assert_string_equal(got, "");
    close(fd);
    close(join()); /* others are served */
}

static void a_client_that_does_not_read_is_cut_off(void **state)
{
    int fd = join(), n = 0;

    (void)state;
    while (n < 200000 && send(fd, "{\"do\":\"info\"}\n", 14, MSG_NOSIGNAL | MSG_DONTWAIT) == 14) {
        if (++n % 100 == 0)
            turn(1);
    }
    assert_in_range(n, 1000, 199999);
    close(fd);
    close(join());
}

static void the_connection_becomes_the_console(void **state)
{
    int fd = join();

    (void)state;
    console_write(con, (const uint8_t *)"login: ", 7);
    say(fd, "{\"do\":\"console\",\"id\":9}\n");
    assert_string_equal(hear(fd), "{\"id\":9,\"ok\":true}\nlogin: ");
    console_write(con, (const uint8_t *)"\xff\x01\n", 3);
    assert_string_equal(hear(fd), "\xff\x01\n");
    close(fd);
    turn(4);
}

static void many_clients_wait_their_turn(void **state)
{
    int fd[60];
    struct err e;

    (void)state;
    for (int i = 0; i < 30; i++)
        fd[i] = join();
    for (int i = 30; i < 40; i++) {
        assert_int_equal(usock_connect(control_path(ctl), &fd[i], &e), 0);
        turn(1);
    }
    assert_string_equal(hear(fd[39]), "");
    for (int i = 0; i < 30; i++)
        close(fd[i]);
    turn(20);
    assert_non_null(strstr(hear(fd[39]), "protocol"));
    for (int i = 30; i < 40; i++)
        close(fd[i]);
}

static void a_name_is_taken_while_its_machine_runs(void **state)
{
    struct control *two;
    char pid[32], path[128];
    struct err e;
    int fd;

    (void)state;
    snprintf(pid, sizeof(pid), "process %d", (int)getpid());
    assert_int_equal(control_open("vm1", loop, &ops, NULL, &two, &e), -EBUSY);
    assert_int_equal(e.exit, EX_IN_USE);
    assert_non_null(strstr(e.msg, pid));
    snprintf(path, sizeof(path), "%s/stale.sock", dir);
    assert_int_equal(usock_listen(path, &fd, &e), 0);
    close(fd);
    assert_int_equal(control_open("stale", loop, &ops, NULL, &two, &e), 0);
    control_close(two, NULL, NULL);
}

static void names_and_folders_are_checked(void **state)
{
    static const char *const bad[] = {
        "",    ".x",
        "-x",  "a/b",
        "a b", "\xc3\xa9",
        "..",  "0123456789012345678901234567890123456789012345678901234567890123456789"};
    char path[RUNTIME_PATH_MAX];
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(runtime_socket(bad[i], false, path, &e), -EINVAL);
        assert_int_equal(e.exit, EX_USAGE_);
    }
    assert_int_equal(runtime_socket("a.b_c-1", false, path, &e), 0);
    chmod(dir, 0777);
    assert_int_equal(runtime_dir(true, path, &e), -EPERM);
    chmod(dir, 0700);
    setenv("HOSPES_RUNTIME", "/nowhere/at/all", 1);
    assert_int_equal(runtime_dir(true, path, &e), -ENOENT);
    setenv("HOSPES_RUNTIME", "/etc/passwd", 1);
    assert_true(runtime_dir(true, path, &e) < 0);
    setenv("HOSPES_RUNTIME", "", 1);
    setenv("XDG_RUNTIME_DIR", dir, 1);
    assert_int_equal(runtime_dir(true, path, &e), 0);
    assert_memory_equal(path, dir, strlen(dir));
    rmdir(path);
    unsetenv("XDG_RUNTIME_DIR");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(info_gives_numbers_as_numbers),
        TEST(stop_asks_and_the_answer_is_an_event),
        TEST(stop_now_pulls_the_plug),
        TEST(requests_that_mean_nothing_are_refused),
        TEST(data_are_listed_and_set),
        TEST(a_file_is_copied_and_its_end_told),
        TEST(disks_come_and_go),
        TEST(who_asked_hears_when_the_disk_has_grown),
        TEST(a_drive_gets_another_disc),
        TEST(the_screen_is_taken_and_text_is_typed),
        TEST(lines_may_come_in_pieces_and_together),
        TEST(a_line_too_long_ends_the_connection),
        TEST(a_client_that_does_not_read_is_cut_off),
        TEST(the_connection_becomes_the_console),
        TEST(many_clients_wait_their_turn),
        TEST(a_name_is_taken_while_its_machine_runs),
        TEST(names_and_folders_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
