/* SPDX-License-Identifier: Apache-2.0 */
/* What a screen says of itself, by the document's own rules. */
#include "unit.h"

#include "console/edid.h"

static void a_block_is_whole(void **state)
{
    static const unsigned size[][2] = {
        {64, 64}, {640, 480}, {1280, 800}, {2560, 1600}, {4095, 4095}};

    for (size_t i = 0; i < ARRAY_SIZE(size); i++) {
        uint8_t e[EDID_SIZE], sum = 0;
        unsigned clock, total;

        edid_make(e, size[i][0], size[i][1], "MSH", "HyperVMon");
        for (unsigned k = 0; k < EDID_SIZE; k++)
            sum += e[k];
        assert_int_equal(sum, 0);
        assert_int_equal(e[54 + 2] | (e[54 + 4] >> 4) << 8, size[i][0]);
        assert_int_equal(e[54 + 5] | (e[54 + 7] >> 4) << 8, size[i][1]);
        clock = e[54] | e[55] << 8; /* 10 kHz; 655 MHz is all that the field holds */
        total = (size[i][0] + 160) * (size[i][1] + 23);
        if (size[i][0] < 2561)
            assert_in_range(clock * 10000 / total, 59, 60);
    }
}

static void maker_and_name_are_there(void **state)
{
    uint8_t e[EDID_SIZE];

    edid_make(e, 1280, 800, "MSH", "HyperVMon");
    assert_int_equal(e[8] << 8 | e[9], ('M' - 64) << 10 | ('S' - 64) << 5 | ('H' - 64));
    assert_memory_equal(e + 72 + 5, "HyperVMon\n   ", 13);
    edid_make(e, 1280, 800, "HSP", "a name much too long");
    assert_memory_equal(e + 72 + 5, "a name much \n", 13);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_whole),
        cmocka_unit_test(maker_and_name_are_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
