/* SPDX-License-Identifier: Apache-2.0 */
/* Whole bundles: what was planted in its files is in none of its members, and false names agree. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "core/file.h"
#include "support/case.h"
#include "unit.h"
#include "validation/pack.h"
#include "validation/text.h"

enum { BUNDLE_MOST = 1 << 20 };

static const uint8_t key[REDACT_KEY] = {1, 2, 3};
static char dir[V_PATH];
static struct support_case *c;
static struct vmembers members;

static int set_up(void **state)
{
    struct err e = {0};

    members = (struct vmembers){.n = 0};
    assert_int_equal(vtext_mktemp(dir, file_tmp(), "case", &e), 0);
    assert_int_equal(case_create(key, &c, &e), 0);
    return 0;
}

static int tear_down(void **state)
{
    vmembers_free(&members);
    case_free(c);
    vtext_remove(dir);
    return 0;
}

static void add(const char *name, const char *text)
{
    struct err e = {0};

    assert_int_equal(case_add(c, name, "a test", text, strlen(text), &e), 0);
}

/* A file whose last `most` bytes are added. */
static void add_file(const char *name, const char *text, size_t most)
{
    char path[V_PATH];
    struct err e = {0};

    assert_int_equal(vpath(path, dir, name, &e), 0);
    assert_int_equal(vtext_write(path, text, strlen(text), &e), 0);
    assert_int_equal(case_add_file(c, name, "a test", path, most, &e), 0);
}

static void written(void)
{
    char path[V_PATH], *packed, *tar;
    size_t packed_len, len;
    struct err e = {0};

    assert_int_equal(vpath(path, dir, "case.tar.zst", &e), 0);
    assert_int_equal(case_write(c, path, &e), 0);
    assert_int_equal(vtext_read(path, BUNDLE_MOST, &packed, &packed_len, &e), 0);
    assert_int_equal(zst_unpack(packed, packed_len, BUNDLE_MOST, &tar, &len, &e), 0);
    assert_int_equal(tar_unpack(tar, len, &members, &e), 0);
    free(packed);
    free(tar);
}

static void nowhere(const char *word)
{
    for (size_t i = 0; i < members.n; i++) {
        if (strcasestr(members.m[i].data, word))
            fail_msg("%s has %s: %s", members.m[i].name, word, members.m[i].data);
    }
}

static const char *member(const char *name)
{
    const struct vmember *m = vmembers_find(&members, name);

    assert_non_null(m);
    return m->data;
}

static void what_was_planted_is_in_no_member(void **state)
{
    add("cmdline.txt",
        "root=/dev/vda1 luks.password=hunter2Secret api_token=hunter2Secret ip=10.1.2.3");
    add("urls.txt", "GET https://joe:hunter2Secret@git.example/x?sig=hunter2Secret\n"
                    "Authorization: Bearer hunter2Secret.hunter2Secret\n");
    add("user-data.txt",
        "#cloud-config\npassword: hunter2Secret\nchpasswd:\n  list: |\n"
        "    root:hunter2Secret\nssh_authorized_keys:\n"
        "  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIhunter2Secret joe@laptop.corp\n");
    add("key.txt", "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2Secret\n"
                   "-----END OPENSSH PRIVATE KEY-----\n");
    add_file("log.txt", "10.1.2.3 has 52:54:00:12:34:56\npassword=hunter2Secret\n", BUNDLE_MOST);
    written();
    nowhere("hunter2");
    nowhere("10.1.2.3");
    nowhere("52:54:00");
    nowhere("laptop.corp");
    assert_non_null(strstr(member("manifest.json"), "log.txt"));
}

static void one_value_has_one_name_in_all_members(void **state)
{
    char first[32];
    const char *at;

    add("a.txt", "from 10.1.2.3 on");
    add("b.txt", "10.1.2.3 and 10.1.2.4");
    written();
    at = strstr(member("a.txt"), "ip-");
    assert_non_null(at);
    snprintf(first, sizeof(first), "%.*s ", (int)strcspn(at, " "), at);
    assert_ptr_equal(strstr(member("b.txt"), first), member("b.txt"));
    assert_null(strstr(member("b.txt") + 1, first));
}

/* Of a long file the end is taken: what named the secret may be gone. */
static void a_cut_leaves_no_half_secret(void **state)
{
    static const char text[] = "password=hunter2Secret\nsecond line\n";

    char name[32];

    for (size_t most = sizeof("second line\n"); most < sizeof(text) - 1; most++) {
        snprintf(name, sizeof(name), "log-%zu.txt", most);
        add_file(name, text, most);
    }
    add_file("key.txt",
             "-----BEGIN RSA PRIVATE KEY-----\nhunter2Secret\nhunter2\n"
             "-----END RSA PRIVATE KEY-----\nbehind\n",
             70);
    written();
    nowhere("hunter");
    for (size_t most = sizeof("second line\n"); most < sizeof(text) - 1; most++) {
        snprintf(name, sizeof(name), "log-%zu.txt", most);
        assert_string_equal(member(name), "second line\n");
    }
    assert_string_equal(member("key.txt"), "behind\n");
}

/* Whoever names a log wants it in the bundle. */
static void a_file_that_is_not_there_is_an_error(void **state)
{
    struct err e = {0};

    assert_true(case_add_file(c, "log.txt", "a test", "/nowhere/at/all", 100, &e) < 0);
    assert_int_equal(e.exit, EX_MISSING);
    assert_true(case_add_file(c, "log.txt", "a test", dir, 100, &e) < 0);
    assert_int_equal(e.exit, EX_BAD_INPUT);
}

/* As `--log <(journalctl)` gives it. */
static void a_pipe_is_read_to_its_end(void **state)
{
    char path[32], first[64];
    struct err e = {0};
    FILE *out;
    int end[2];

    assert_int_equal(pipe(end), 0);
    out = fdopen(end[1], "w");
    assert_non_null(out);
    for (unsigned i = 0; i < 1000; i++)
        fprintf(out, "line %u password=hunter2Secret\n", i);
    fclose(out);
    snprintf(path, sizeof(path), "/dev/fd/%d", end[0]);
    assert_int_equal(case_add_file(c, "log.txt", "a test", path, 10000, &e), 0);
    close(end[0]);
    written();
    nowhere("hunter2");
    assert_non_null(strstr(member("log.txt"), "line 999 "));
    assert_null(strstr(member("log.txt"), "line 1 "));
    snprintf(first, sizeof(first), "%.5s", member("log.txt"));
    assert_string_equal(first, "line ");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_was_planted_is_in_no_member), TEST(one_value_has_one_name_in_all_members),
        TEST(a_cut_leaves_no_half_secret),      TEST(a_file_that_is_not_there_is_an_error),
        TEST(a_pipe_is_read_to_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
