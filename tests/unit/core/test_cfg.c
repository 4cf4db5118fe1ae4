/* SPDX-License-Identifier: Apache-2.0 */
/* Options: commas, sizes, ranges, keys that nobody reads. */
#include "unit.h"

#include <errno.h>

#include "core/cfg.h"
#include "core/err.h"

static struct cfg *parse(const char *text, const char *first)
{
    struct cfg *c;
    struct err e;

    assert_int_equal(cfg_create(&c, &e), 0);
    assert_int_equal(cfg_parse(c, text, first, &e), 0);
    return c;
}

static void items_and_commas(void **state)
{
    struct cfg *c = parse("/tmp/a,,b=c.img,format=raw,readonly", "path");

    (void)state;
    assert_string_equal(cfg_get(c, "path"), "/tmp/a,b=c.img");
    assert_string_equal(cfg_get(c, "format"), "raw");
    assert_true(cfg_flag(c, "readonly"));
    assert_null(cfg_get(c, "snapshot"));
    cfg_destroy(c);
}

static void unread_keys_are_errors(void **state)
{
    struct cfg *c = parse("fromat=raw", NULL);
    struct err e = {0};

    (void)state;
    assert_int_equal(cfg_finish(c, "--disk", &e), -EINVAL);
    assert_int_equal(e.exit, EX_USAGE_);
    assert_non_null(strstr(e.msg, "fromat"));
    cfg_destroy(c);
}

static void sizes(void **state)
{
    static const char *const bad[] = {"", "-1", "1X", "K", "99999999999G", "1.5G", "2GG"};
    uint64_t v;

    (void)state;
    assert_int_equal(size_parse("512", &v), 0);
    assert_int_equal(v, 512);
    assert_int_equal(size_parse("2G", &v), 0);
    assert_int_equal(v, 2 * GiB);
    assert_int_equal(size_parse("4KiB", &v), 0);
    assert_int_equal(v, 4096);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(size_parse(bad[i], &v), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_and_commas),
        cmocka_unit_test(unread_keys_are_errors),
        cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
