/* SPDX-License-Identifier: Apache-2.0 */
/* The letters in the names of disks. */
#include "unit.h"

#include "storage/letters.h"

static void numbers_and_letters_are_the_same(void **state)
{
    static const struct {
        unsigned n;
        const char *letters;
    } is[] = {{0, "a"},   {25, "z"},   {26, "aa"},   {51, "az"},
              {52, "ba"}, {701, "zz"}, {702, "aaa"}, {LETTERS_MOST, "all"}};
    char got[LETTERS_ROOM];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(is); i++) {
        letters_of(is[i].n, got);
        assert_string_equal(got, is[i].letters);
        assert_int_equal(letters_number(is[i].letters), is[i].n);
    }
    letters_of(UINT32_MAX, got);
    assert_string_equal(got, "mwlqkwv");
}

static void what_follows_the_letters_does_not_count(void **state)
{
    (void)state;
    assert_int_equal(letters_number("b1"), 1);
    assert_int_equal(letters_number("b,x"), 1);
    assert_int_equal(letters_number(""), -1);
    assert_int_equal(letters_number("1"), -1);
    assert_int_equal(letters_number("A"), -1);
    assert_int_equal(letters_number("alm"), -1);
    assert_int_equal(letters_number("zzzzzzzzzzzzzzzzzzzzzzzz"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_letters_are_the_same),
        cmocka_unit_test(what_follows_the_letters_does_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
