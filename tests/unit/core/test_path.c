/* SPDX-License-Identifier: Apache-2.0 */
/* What the words of a file's name say of where it leads. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/path.h"

static void below(const char *dir, const char *name, const char *want)
{
    const char *got = path_below(dir, name);

    if (want ? !got || strcmp(got, want) != 0 : got != NULL)
        fail_msg("%s below %s is %s", name, dir, got ? got : "nothing");
}

static void folder(const char *name, const char *want)
{
    char *got = path_folder(name);

    assert_string_equal(got, want);
    free(got);
}

static void a_name_is_a_folder_and_the_rest(void **state)
{
    (void)state;
    assert_string_equal(path_last("a/b/c"), "c");
    assert_string_equal(path_last("/c"), "c");
    assert_string_equal(path_last("c"), "c");
    assert_string_equal(path_last("a/"), "");
    folder("a/b/c", "a/b");
    folder("/b/c", "/b");
    folder("/c", "/");
    folder("c", ".");
    folder("a/", "a");
    folder("", ".");
}

static void a_suffix_is_what_follows_the_last_dot(void **state)
{
    (void)state;
    assert_string_equal(path_suffix("a/b.tar.gz"), ".gz");
    assert_string_equal(path_suffix("a.b/c"), "");
    assert_string_equal(path_suffix("a/.img"), "");
    assert_string_equal(path_suffix("a."), ".");
    assert_string_equal(path_suffix(""), "");
    assert_true(path_has_suffix("a.vhd", ".vhdx .vhd"));
    assert_true(path_has_suffix("a.VHDX", ".vhdx .vhd"));
    assert_true(path_has_suffix("a.vhdx", " .vhd .vhdx "));
    assert_false(path_has_suffix("a.vh", ".vhdx .vhd"));
    assert_false(path_has_suffix("a.vhdx", ".vhd"));
    assert_false(path_has_suffix("a.", ".vhdx .vhd"));
    assert_false(path_has_suffix("a", ".vhdx"));
    assert_false(path_has_suffix("a.vhd/b", ".vhd"));
    assert_false(path_has_suffix(".vhd", ".vhd"));
    assert_false(path_has_suffix("a.vhd", ""));
    assert_false(path_has_suffix("a.vhd", NULL));
}

static void from_windows(const char *name, const char *want)
{
    char got[32];

    snprintf(got, sizeof(got), "%s", name);
    path_from_windows(got);
    assert_string_equal(got, want);
}

static void other_spellings_become_plain(void **state)
{
    (void)state;
    assert_string_equal(path_undotted("./a"), "a");
    assert_string_equal(path_undotted("././/a/./b"), "a/./b");
    assert_string_equal(path_undotted("../a"), "../a");
    assert_string_equal(path_undotted(".a"), ".a");
    assert_string_equal(path_undotted("./"), "");
    from_windows(".\\a\\b", "a/b");
    from_windows("..\\a", "../a");
    from_windows("C:\\a/b", "C:/a/b");
    from_windows("", "");
}

static void dots_are_counted(void **state)
{
    static const char *const stay[] = {"",       "a",         ".",           "./a",  "a/..",
                                       "a/../b", "a/b/../..", "a//../b/./c", "..a",  "a..",
                                       "...",    "a/..b/c",   "./a/./..",    "/a/.."};
    static const char *const leave[] = {"..",       "../a", "a/../..", "a/../../b", "./..",
                                        "a//../..", "/..",  "../",     "a/./../.."};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(stay); i++) {
        if (path_leads_above(stay[i]))
            fail_msg("'%s' does not lead above", stay[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(leave); i++) {
        if (!path_leads_above(leave[i]))
            fail_msg("'%s' leads above", leave[i]);
    }
}

static void names_are_found_below_a_folder(void **state)
{
    (void)state;
    below("/vm", "/vm/disk", "disk");
    below("/vm/", "/vm/disk", "disk");
    below("/vm", "/vm//a/disk", "a/disk");
    below("/", "/vm/disk", "vm/disk");
    below("/vm", "/vm/a/../disk", "a/../disk");
    below(".", "./disk", "disk");
    below("vm/web", "vm/web/disk", "disk");
}

static void other_names_are_not(void **state)
{
    (void)state;
    below("/vm", "/vms/disk", NULL);
    below("/vm", "/other/disk", NULL);
    below("/vm", "/vm", NULL);
    below("/vm", "/vm/", NULL);
    below("/vm", "/vm/../other/disk", NULL);
    below("/vm", "/vm/a/../../other", NULL);
    below("/vm", "disk", NULL);
    below("vm", "/vm/disk", NULL);
    below("/vm", "vm/disk", NULL);
    below("/", "disk", NULL);
    below("/", "/", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_a_folder_and_the_rest),
        cmocka_unit_test(a_suffix_is_what_follows_the_last_dot),
        cmocka_unit_test(other_spellings_become_plain),
        cmocka_unit_test(dots_are_counted),
        cmocka_unit_test(names_are_found_below_a_folder),
        cmocka_unit_test(other_names_are_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
