/* SPDX-License-Identifier: Apache-2.0 */
/* test_genid.c - the generation id: what a guest reads, and that it cannot change it. */
#include "unit.h"

#include <stdio.h>

#include "board/chipset/chipset.h"
#include "board/layout.h"
#include "core/err.h"
#include "fakes/fake_env.h"

static const uint8_t id[16] = {0x83, 0x17, 0x4d, 0x56, 0x92, 0x79, 0x5d, 0x52,
                               0x7e, 0x16, 0x32, 0x9b, 0x20, 0xa5, 0xb2, 0x43};

static struct fake_env f;
static struct device *genid;

static int setup(void **state)
{
    struct err e;

    (void)state;
    fake_env_create(&f, 64 * KiB);
    assert_int_equal(genid_create(&f.env, id, &genid, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    genid->ops->destroy(genid);
    fake_env_destroy(&f);
    return 0;
}

static void its_bytes_lie_in_memory_as_they_were_given(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(id); i++)
        assert_int_equal(fake_env_read(&f, LAYOUT_GENID + i, 1), id[i]);
    assert_int_equal(fake_env_read(&f, LAYOUT_GENID, 8), 0x525d7992564d1783);
    assert_int_equal(fake_env_read(&f, LAYOUT_GENID + 8, 8), 0x43b2a5209b32167e);
    assert_int_equal(fake_env_read(&f, LAYOUT_GENID + 14, 4), 0x43b2);
    assert_int_equal(fake_env_read(&f, LAYOUT_GENID + 16, 8), 0);
}

static void a_write_is_the_guests_fault(void **state)
{
    (void)state;
    fake_env_write(&f, LAYOUT_GENID, 8, 0);
    assert_int_equal(genid->fault_count, 1);
    assert_int_equal(fake_env_read(&f, LAYOUT_GENID, 1), id[0]);
}

static char said[64];

static void keep(struct dump *out, const char *key, const char *value)
{
    (void)out;
    assert_string_equal(key, "id");
    snprintf(said, sizeof(said), "%s", value);
}

static void info_shows_it_as_a_guid_is_written(void **state)
{
    struct dump out = {.add = keep};

    (void)state;
    device_describe(genid, &out);
    assert_string_equal(said, "564d1783-7992-525d-7e16-329b20a5b243");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(its_bytes_lie_in_memory_as_they_were_given, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_write_is_the_guests_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(info_shows_it_as_a_guid_is_written, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
