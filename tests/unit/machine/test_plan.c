/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: the command line's words, defaults, contradictions, JSON there and back. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/err.h"
#include "machine/plan.h"
#include "unit.h"

static struct plan plan;
static struct err e;

static int set_up(void **state)
{
    plan_init(&plan);
    memset(&e, 0, sizeof(e));
    return 0;
}

static int tear_down(void **state)
{
    plan_free(&plan);
    return 0;
}

static void a_disk_is_a_snapshot_unless_said(void **state)
{
    assert_int_equal(plan_add_disk(&plan, "a.raw", &e), 0);
    assert_int_equal(
        plan_add_disk(&plan, "b,,c.vhdx,format=vhdx,write,bus=scsi,loop=2,slot=7,unit=3,outside",
                      &e),
        0);
    assert_string_equal(plan.disk[0].path, "a.raw");
    assert_int_equal(plan.disk[0].write, PLAN_SNAPSHOT);
    assert_false(plan.disk[0].write_said);
    assert_int_equal(plan.disk[0].controller, -1);
    assert_string_equal(plan.disk[1].path, "b,c.vhdx");
    assert_string_equal(plan.disk[1].format, "vhdx");
    assert_string_equal(plan.disk[1].bus, "scsi");
    assert_string_equal(plan.disk[1].opts, "slot=7");
    assert_int_equal(plan.disk[1].write, PLAN_WRITE);
    assert_int_equal(plan.disk[1].loop, 2);
    assert_int_equal(plan.disk[1].unit, 3);
    assert_true(plan.disk[1].outside && !plan.disk[0].outside);
}

static void a_file_with_iso_9660_goes_into_a_cdrom_drive(void **state)
{
    char path[] = "/tmp/test-plan-XXXXXX", spec[64];
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(plan_add_file(&plan, path, &e), 0);
    assert_false(plan.disk[0].cdrom);
    assert_int_equal(pwrite(fd, "\1CD001\1", 7, 0x8000), 7);
    assert_int_equal(plan_add_file(&plan, path, &e), 0);
    assert_true(plan.disk[1].cdrom);
    assert_string_equal(plan.disk[1].path, path);
    snprintf(spec, sizeof(spec), "%s,format=raw", path);
    assert_int_equal(plan_add_file(&plan, spec, &e), 0);
    assert_false(plan.disk[2].cdrom);
    assert_int_equal(plan_add_file(&plan, "/nothing/is/here", &e), 0);
    assert_false(plan.disk[3].cdrom);
    assert_int_equal(plan_add_file(&plan, "a,boot=0", &e), -EINVAL);
    close(fd);
    unlink(path);
}

static void disks_and_nics_have_a_place_in_the_boot_order(void **state)
{
    assert_int_equal(plan_add_disk(&plan, "a,boot=2", &e), 0);
    assert_int_equal(plan_add_nic(&plan, "user,boot=1,forward=tcp::1-:2", &e), 0);
    assert_int_equal(plan.disk[0].boot, 2);
    assert_null(plan.disk[0].opts);
    assert_int_equal(plan.nic[0].boot, 1);
    assert_string_equal(plan.nic[0].backend, "user,forward=tcp::1-:2");
    assert_int_equal(plan_add_disk(&plan, "a,boot=0", &e), -EINVAL);
    assert_int_equal(plan_add_disk(&plan, "a,boot=first", &e), -EINVAL);
    assert_int_equal(plan_add_nic(&plan, "user,boot=1000", &e), -EINVAL);
}

static void a_tpm_has_a_version_and_a_place(void **state)
{
    assert_false(plan_tpm(&plan));
    assert_int_equal(plan_set_tpm(&plan, "2.0,state=/var/a,,b", &e), 0);
    assert_true(plan_tpm(&plan));
    assert_string_equal(plan.tpm_state, "/var/a,b");
    assert_int_equal(plan_set_tpm(&plan, "none", &e), 0);
    assert_false(plan_tpm(&plan));
    assert_int_equal(plan_set_tpm(&plan, "1.2", &e), -EINVAL);
    assert_int_equal(e.exit, EX_USAGE_);
    assert_int_equal(plan_set_tpm(&plan, "2.0,crb", &e), -EINVAL);
}

static void contradicting_disk_words_are_refused(void **state)
{
    assert_int_equal(plan_add_disk(&plan, "a,write,readonly", &e), -EINVAL);
    assert_int_equal(e.exit, EX_USAGE_);
    assert_int_equal(plan_add_disk(&plan, "format=raw", &e), -EINVAL);
    assert_int_equal(plan_add_disk(&plan, "", &e), -EINVAL);
    assert_int_equal(plan_add_disk(&plan, "a,loop=64", &e), -EINVAL);
}

static void a_module_has_a_file_and_a_text(void **state)
{
    assert_int_equal(plan_add_module(&plan, "/boot/a,,b,console=hvc0,x root=/dev/a", &e), 0);
    assert_int_equal(plan_add_module(&plan, "initrd", &e), 0);
    assert_string_equal(plan.module[0].path, "/boot/a,b");
    assert_string_equal(plan.module[0].append, "console=hvc0,x root=/dev/a");
    assert_null(plan.module[1].append);
    assert_int_equal(plan_add_module(&plan, ",text", &e), -EINVAL);
    assert_int_equal(e.exit, EX_USAGE_);
    while (plan.modules < PLAN_MAX_MODULES)
        assert_int_equal(plan_add_module(&plan, "m", &e), 0);
    assert_int_equal(plan_add_module(&plan, "m", &e), -EINVAL);
}

static void a_nic_keeps_what_its_network_reads(void **state)
{
    const uint8_t mac[] = {0x52, 0x54, 0, 0xab, 0xcd, 0xef};

    assert_int_equal(plan_add_nic(&plan,
                                  "user,forward=tcp::1-:2,forward=tcp::3-:4,"
                                  "mac=52:54:00:ab:cd:ef,model=e1000,slot=5",
                                  &e),
                     0);
    assert_string_equal(plan.nic[0].backend, "user,forward=tcp::1-:2,forward=tcp::3-:4,slot=5");
    assert_string_equal(plan.nic[0].model, "e1000");
    assert_memory_equal(plan.nic[0].mac, mac, 6);
    assert_int_equal(plan_add_nic(&plan, "none", &e), 0);
    assert_int_equal(plan.nics, 1);
}

static void odd_mac_addresses_are_refused(void **state)
{
    static const char *const bad[] = {"user,mac=52:54:00:ab:cd",
                                      "user,mac=52:54:00:ab:cd:ef:01",
                                      "user,mac=01:54:00:ab:cd:ef",
                                      "user,mac=gg:54:00:ab:cd:ef",
                                      "user,mac=52:54:-1:ab:cd:ef",
                                      "user,mac=52:54: 0:ab:cd:ef",
                                      "user,mac=",
                                      "mac=52:54:00:ab:cd:ef",
                                      ""};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        plan_free(&plan);
        if (plan_add_nic(&plan, bad[i], &e) != -EINVAL)
            fail_msg("%s is taken", bad[i]);
    }
}

static void defaults_are_filled_in(void **state)
{
    assert_int_equal(plan_add_disk(&plan, "a.raw", &e), 0);
    assert_int_equal(plan_check(&plan, &e), 0);
    assert_int_equal(plan.cpus, 1);
    assert_int_equal(plan.memory, GiB);
    assert_string_equal(plan.serial, "stdio");
    assert_int_equal(plan.nics, 1);
    assert_string_equal(plan.nic[0].backend, "user");
    assert_int_equal(plan.nic[0].mac[0], 0x52);
    assert_int_equal(plan.uuid[6] >> 4, 8);
}

static void the_same_machine_keeps_its_addresses(void **state)
{
    struct plan again, other;

    plan_init(&again);
    plan_init(&other);
    assert_int_equal(plan_add_disk(&plan, "a.raw", &e), 0);
    assert_int_equal(plan_add_disk(&again, "a.raw", &e), 0);
    assert_int_equal(plan_add_disk(&other, "b.raw", &e), 0);
    assert_int_equal(plan_check(&plan, &e), 0);
    assert_int_equal(plan_check(&again, &e), 0);
    assert_int_equal(plan_check(&other, &e), 0);
    assert_memory_equal(plan.uuid, again.uuid, 16);
    assert_memory_equal(plan.nic[0].mac, again.nic[0].mac, 6);
    assert_memory_not_equal(plan.uuid, other.uuid, 16);
    assert_memory_not_equal(plan.nic[0].mac, other.nic[0].mac, 6);
    plan_free(&again);
    plan_free(&other);
}

static int check_with(void (*edit)(struct plan *p))
{
    plan_free(&plan);
    assert_int_equal(plan_add_disk(&plan, "a.raw", &e), 0);
    edit(&plan);
    return plan_check(&plan, &e);
}

static void edit_nothing(struct plan *p)
{
}
static void edit_cpus(struct plan *p)
{
    p->cpus = PLAN_MAX_CPUS + 1;
}
static void edit_small(struct plan *p)
{
    p->memory = MiB;
}
static void edit_huge(struct plan *p)
{
    p->memory = UINT64_MAX & ~UINT64_C(4095);
}
static void edit_odd(struct plan *p)
{
    p->memory = GiB + 1;
}
static void edit_initrd(struct plan *p)
{
    p->initrd = strdup("x");
}
static void edit_firmware(struct plan *p)
{
    p->firmware = strdup("coreboot");
}
static void edit_both(struct plan *p)
{
    p->kernel = strdup("k");
    p->firmware = strdup("bios");
}
static void edit_display(struct plan *p)
{
    p->display = strdup("fax");
}
static void edit_name(struct plan *p)
{
    p->name = strdup("../../etc/passwd");
}

static void nonsense_is_refused(void **state)
{
    static void (*const edits[])(struct plan * p) = {edit_cpus, edit_small,   edit_huge,
                                                     edit_odd,  edit_initrd,  edit_firmware,
                                                     edit_both, edit_display, edit_name};

    assert_int_equal(check_with(edit_nothing), 0);
    for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
        if (check_with(edits[i]) != -EINVAL)
            fail_msg("edit %zu is taken", i);
        assert_int_equal(e.exit, EX_USAGE_);
    }
    plan_free(&plan);
    assert_int_equal(plan_check(&plan, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "nothing to start"));
}

static void a_plan_survives_json(void **state)
{
    struct plan back;
    char *one, *two;

    plan.name = strdup("web \"1\"/ü");
    plan.kernel = strdup("/boot/vmlinuz");
    plan.append = strdup("a=b c");
    plan.cpus = 4;
    plan.memory = 3 * GiB;
    plan.testdev = plan.hugepages = true;
    assert_int_equal(plan_add_module(&plan, "a,b c", &e), 0);
    plan.uuid_said = true;
    for (unsigned i = 0; i < 16; i++)
        plan.uuid[i] = (uint8_t)(i * 17);
    assert_int_equal(plan_add_disk(&plan, "a,format=raw,readonly,controller=1,x=y", &e), 0);
    assert_int_equal(plan_add_disk(&plan, "b", &e), 0);
    plan.disk[1].cdrom = plan.disk[1].outside = true;
    plan.disk[1].within = strdup("/vm");
    assert_int_equal(plan_add_nic(&plan, "user,mac=52:54:00:0a:0b:0c", &e), 0);
    assert_int_equal(plan_to_json(&plan, &one, &e), 0);
    if (plan_from_json(&back, one, &e) < 0)
        fail_msg("%s: %s", e.msg, one);
    assert_int_equal(plan_to_json(&back, &two, &e), 0);
    assert_string_equal(one, two);
    assert_string_equal(back.disk[0].opts, "x=y");
    assert_int_equal(back.disk[0].write, PLAN_READONLY);
    assert_int_equal(back.disk[0].controller, 1);
    assert_int_equal(back.disk[1].unit, -1);
    assert_string_equal(back.module[0].append, "b c");
    assert_string_equal(back.disk[1].within, "/vm");
    assert_true(back.disk[1].outside && !back.disk[0].outside);
    assert_true(back.disk[1].cdrom && back.testdev && back.hugepages && back.nics_said);
    assert_memory_equal(back.uuid, plan.uuid, 16);
    assert_memory_equal(back.nic[0].mac, plan.nic[0].mac, 6);
    plan_free(&back);
    free(one);
    free(two);
}

static void json_that_is_no_plan_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"hospes-plan\": 2}",
        "{\"hospes-plan\": \"1\"}",
        "{\"hospes-plan\": 1} x",
        "{\"hospes-plan\": 1, \"colour\": 3}",
        "{\"hospes-plan\": 1, \"cpus\": -1}",
        "{\"hospes-plan\": 1, \"cpus\": 1.5}",
        "{\"hospes-plan\": 1, \"cpus\": 65536}",
        "{\"hospes-plan\": 1, \"name\": 7}",
        "{\"hospes-plan\": 1, \"name\": \"a\\u0000b\"}",
        "{\"hospes-plan\": 1, \"testdev\": 1}",
        "{\"hospes-plan\": 1, \"uuid\": \"0\"}",
        "{\"hospes-plan\": 1, \"disks\": {}}",
        "{\"hospes-plan\": 1, \"disks\": [{}]}",
        "{\"hospes-plan\": 1, \"disks\": [3]}",
        "{\"hospes-plan\": 1, \"disks\": [{\"file\": \"a\", \"mode\": \"rw\"}]}",
        "{\"hospes-plan\": 1, \"disks\": [{\"file\": \"a\", \"unit\": 256}]}",
        "{\"hospes-plan\": 1, \"nics\": [{\"network\": \"user\", \"mac\": \"0\"}]}",
        "{\"hospes-plan\": 1, \"nics\": [null]}",
        "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]",
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (plan_from_json(&plan, bad[i], &e) != -EINVAL)
            fail_msg("taken: %s", bad[i]);
        assert_true(e.msg[0] != '\0');
    }
    assert_int_equal(plan_from_json(&plan, "{\"hospes-plan\": 1}", &e), 0);
}

static void too_many_disks_are_refused(void **state)
{
    char *json = NULL;
    size_t n;
    FILE *f = open_memstream(&json, &n);

    fputs("{\"hospes-plan\": 1, \"disks\": [", f);
    for (unsigned i = 0; i <= PLAN_MAX_DISKS; i++)
        fprintf(f, "%s{\"file\": \"a\"}", i ? "," : "");
    fputs("]}", f);
    fclose(f);
    assert_int_equal(plan_from_json(&plan, json, &e), -EINVAL);
    free(json);
    for (unsigned i = 0; i < PLAN_MAX_DISKS; i++)
        assert_int_equal(plan_add_disk(&plan, "a", &e), 0);
    assert_int_equal(plan_add_disk(&plan, "a", &e), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_disk_is_a_snapshot_unless_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_with_iso_9660_goes_into_a_cdrom_drive, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(disks_and_nics_have_a_place_in_the_boot_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_tpm_has_a_version_and_a_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(contradicting_disk_words_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_module_has_a_file_and_a_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_nic_keeps_what_its_network_reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(odd_mac_addresses_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(defaults_are_filled_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_machine_keeps_its_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_plan_survives_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_that_is_no_plan_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_disks_are_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
