/* SPDX-License-Identifier: Apache-2.0 */
/* The same machine without its persona: nothing that its guest needs to start is lost on the way.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/err.h"
#include "machine/plan.h"
#include "support/reproduce.h"

static struct plan plan;
static char *text;

static int setup(void **state)
{
    static const char *const disks[] = {"a b.vhd,format=vhd", "c.qcow2,format=qcow2", "d.raw",
                                        "e.raw", "f.raw"};
    struct err e = {0};

    (void)state;
    plan_init(&plan);
    plan.cpus = 2;
    plan.memory = 512 * MiB;
    plan.rtc_local = true;
    assert_int_equal(plan_set(&plan.firmware, "uefi", &e), 0);
    for (size_t i = 0; i < ARRAY_SIZE(disks); i++)
        assert_int_equal(plan_add_disk(&plan, disks[i], &e), 0);
    assert_int_equal(plan_add_disk(&plan, "x.img", &e), 0);
    assert_int_equal(plan_set(&plan.disk[5].bus, "floppy", &e), 0);
    assert_int_equal(plan_add_nic(&plan, "user,mac=52:54:00:00:00:01", &e), 0);
    assert_int_equal(plan_add_nic(&plan, "user,mac=52:54:00:00:00:02", &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    plan_free(&plan);
    free(text);
    text = NULL;
    return 0;
}

static void make(void (*how)(FILE *out, const struct plan *p))
{
    size_t n;
    FILE *f = open_memstream(&text, &n);

    assert_non_null(f);
    how(f, &plan);
    assert_int_equal(fclose(f), 0);
}

static void has(const char *words)
{
    if (!strstr(text, words))
        fail_msg("no %s in %s", words, text);
}

static void bare_has_all_that_starts_it(void **state)
{
    (void)state;
    make(reproduce_bare);
    has("--firmware uefi");
    has("--disk 'a b.vhd',format=vhd,snapshot");
    has("--floppy 'x.img'");
    has("--nic user,mac=52:54:00:00:00:01 --nic user,mac=52:54:00:00:00:02");
}

static void qemu_has_all_that_starts_it(void **state)
{
    (void)state;
    make(reproduce_qemu);
    has("-machine pc");
    has("-bios ");
    has("-rtc base=localtime");
    has("-drive if=ide,snapshot=on,media=disk,format=vpc,file='a b.vhd'");
    has("-device ahci,id=more -drive if=none,snapshot=on,id=d4,media=disk,file='f.raw' "
        "-device ide-hd,drive=d4,bus=more.0");
    has("-drive if=floppy,snapshot=on,format=raw,file='x.img'");
    has("model=e1000,mac=52:54:00:00:00:02");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(bare_has_all_that_starts_it),
        T(qemu_has_all_that_starts_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
