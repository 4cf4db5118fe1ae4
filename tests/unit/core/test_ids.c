/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and UUIDs as text, read as people and as other products write them. */
#include "unit.h"

#include "core/ids.h"

static const uint8_t mac[6] = {0x52, 0x54, 0, 0xab, 0xcd, 0xef};
static const uint8_t uuid[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};

static void what_is_spelled_right_is_read(void **state)
{
    uint8_t got[16];

    (void)state;
    assert_true(mac_read("52:54:00:ab:CD:ef", got));
    assert_memory_equal(got, mac, 6);
    assert_true(uuid_read("01234567-89ab-cdef-0123-456789ABCDEF", got));
    assert_memory_equal(got, uuid, 16);
}

static void other_spellings_are_refused(void **state)
{
    static const char *const macs[] = {"",
                                       "52:54:00:ab:cd",
                                       "52:54:00:ab:cd:ef:01",
                                       "52-54-00-ab-cd-ef",
                                       "525400:ab:cd:ef::",
                                       "52:54: 0:ab:cd:ef",
                                       "52:54:-1:ab:cd:ef",
                                       "52:54:0x:ab:cd:ef",
                                       "52:54:00:ab:cd:e",
                                       "525400abcdef"};
    static const char *const uuids[] = {"",
                                        "0123456789abcdef0123456789abcdef",
                                        "01234567-89ab-cdef-0123-456789abcde",
                                        "01234567-89ab-cdef-0123-456789abcdefa",
                                        "01234567-89ab-cdef-01234-56789abcdef",
                                        "01234567-89ab-cdef-0123-456789abcdeg",
                                        "{1234567-89ab-cdef-0123-456789abcde}"};
    uint8_t got[16];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(macs); i++) {
        if (mac_read(macs[i], got))
            fail_msg("taken: %s", macs[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(uuids); i++) {
        if (uuid_read(uuids[i], got))
            fail_msg("taken: %s", uuids[i]);
    }
}

static void marks_may_stand_anywhere(void **state)
{
    uint8_t got[16];

    (void)state;
    assert_true(hex_bytes("52-54:00abCDEF", ":-", got, 6));
    assert_memory_equal(got, mac, 6);
    assert_true(hex_bytes("{01 23 45 67 89 ab cd ef-01 23 45 67 89 ab cd ef}", " -{}", got, 16));
    assert_memory_equal(got, uuid, 16);
    assert_false(hex_bytes("52:54:00:ab:cd:ef:01", ":", got, 6));
    assert_false(hex_bytes("52:54:00:ab:cd:e", ":", got, 6));
    assert_false(hex_bytes("52.54", ":", got, 2));
}

static void digits_have_values(void **state)
{
    (void)state;
    assert_int_equal(hex_digit('0'), 0);
    assert_int_equal(hex_digit('9'), 9);
    assert_int_equal(hex_digit('a'), 10);
    assert_int_equal(hex_digit('F'), 15);
    assert_int_equal(hex_digit('g'), -1);
    assert_int_equal(hex_digit(':'), -1);
    assert_int_equal(hex_digit('@'), -1);
    assert_int_equal(hex_digit(0x130), -1); /* of UTF-16 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_spelled_right_is_read),
        cmocka_unit_test(other_spellings_are_refused),
        cmocka_unit_test(marks_may_stand_anywhere),
        cmocka_unit_test(digits_have_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
