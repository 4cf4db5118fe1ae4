/* SPDX-License-Identifier: Apache-2.0 */
/* Lines for people: broken between words, and clean. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "core/fold.h"

static void folds(const char *line, unsigned width, unsigned indent, const char *wanted)
{
    char *got = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&got, &len);

    assert_non_null(f);
    fold_line(f, line, width, indent);
    fclose(f);
    assert_string_equal(got, wanted);
    free(got);
}

static void lines_break_between_words(void **state)
{
    (void)state;
    folds("kernel has one and two", 14, 3, "kernel has one\n   and two\n");
    folds("kernel has one and two", 13, 3, "kernel has\n   one and\n   two\n");
    folds("kernel has one and two", 0, 3, "kernel has one and two\n");
    folds("  a   b", 80, 2, "  a   b\n");
    folds("", 80, 2, "\n");
    folds("end ", 4, 2, "end \n");
}

static void a_long_word_stays_whole(void **state)
{
    (void)state;
    folds("see /a/very/long/path now", 10, 2, "see\n  /a/very/long/path\n  now\n");
    folds("  /a/very/long/path", 10, 2, "  /a/very/long/path\n");
}

static void characters_are_counted_and_controls_are_not_sent(void **state)
{
    (void)state;
    folds("\xe2\x9c\x94\xe2\x9c\x94\xe2\x9c\x94 \xc3\xa9\xc3\xa9", 6, 1,
          "\xe2\x9c\x94\xe2\x9c\x94\xe2\x9c\x94 \xc3\xa9\xc3\xa9\n");
    folds("a\033[2Jb\x7f"
          "c\nd",
          80, 0, "a [2Jb c d\n");
    folds("a\xc2\x9b"
          "2Jb\xc2\xa0",
          80, 0, "a 2Jb\xc2\xa0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_break_between_words),
        cmocka_unit_test(a_long_word_stays_whole),
        cmocka_unit_test(characters_are_counted_and_controls_are_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
