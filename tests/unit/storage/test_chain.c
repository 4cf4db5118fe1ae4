/* SPDX-License-Identifier: Apache-2.0 */
/* Where what an image refers to may lie: its own directory, one above by leave, anywhere by more.
 */
#include "scratch.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cfg.h"
#include "storage/format/format.h"
#include "storage/image.h"

enum { BYTES = 2 << 20 };

/* An image; over is its parent's file, as the child will name it by `name`. */
static void made(const char *format, const char *path, const char *over, const char *name)
{
    struct image_make k = {.path = path, .bytes = BYTES, .backing = name};
    struct disk_cfg c = {.path = over, .readonly = true, .allow_outside = true};
    struct disk *parent = NULL;
    struct err e = {0};

    if (over && disk_open(&c, NULL, &parent, &e) < 0)
        fail_msg("%s", e.msg);
    k.parent = parent;
    assert_int_equal(cfg_create(&k.opts, &e), 0);
    if (image_create(format_by_name(format), &k, true, &e) < 0)
        fail_msg("%s", e.msg);
    cfg_destroy(k.opts);
    disk_close(parent);
}

/* Opens it and closes it again; what went wrong is in e. */
static int opened(const char *path, const char *within, bool outside, struct err *e)
{
    struct disk_cfg c = {
        .path = path, .readonly = true, .within = within, .allow_outside = outside};
    struct disk *d;
    int rc = disk_open(&c, NULL, &d, e);

    if (rc == 0)
        disk_close(d);
    return rc;
}

static void folders(void)
{
    mkdir(scratch_path("vm"), 0700);
    mkdir(scratch_path("vm/Snapshots"), 0700);
    mkdir(scratch_path("other"), 0700);
}

static void a_whole_name_may_lead_into_the_own_directory(void **state)
{
    struct err e = {0};

    (void)state;
    folders();
    made("qcow2", scratch_path("vm/base"), NULL, NULL);
    made("qcow2", scratch_path("vm/child"), scratch_path("vm/base"), scratch_path("vm/base"));
    made("qcow2", scratch_path("other/base"), NULL, NULL);
    made("qcow2", scratch_path("vm/bad"), scratch_path("other/base"), scratch_path("other/base"));
    made("qcow2", scratch_path("vm/bad2"), scratch_path("other/base"),
         scratch_path("vm/../other/base"));
    if (opened(scratch_path("vm/child"), NULL, false, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(opened(scratch_path("vm/bad"), NULL, false, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "outside its own directory"));
    assert_int_equal(opened(scratch_path("vm/bad2"), NULL, false, &e), -EINVAL);
    assert_int_equal(opened(scratch_path("vm/bad"), NULL, true, &e), 0);
}

static void a_directory_above_is_open_by_leave(void **state)
{
    const char *vm, *child, *deep;
    struct err e = {0};

    (void)state;
    folders();
    made("qcow2", scratch_path("vm/base"), NULL, NULL);
    made("qcow2", scratch_path("other/base"), NULL, NULL);
    made("qcow2", scratch_path("vm/Snapshots/child"), scratch_path("vm/base"), "../base");
    made("qcow2", scratch_path("vm/Snapshots/whole"), scratch_path("vm/base"),
         scratch_path("vm/base"));
    made("qcow2", scratch_path("vm/Snapshots/far"), scratch_path("other/base"), "../../other/base");
    vm = scratch_path("vm");
    child = scratch_path("vm/Snapshots/child");
    deep = scratch_path("vm/Snapshots/far");
    assert_int_equal(opened(child, NULL, false, &e), -EINVAL);
    assert_int_equal(opened(child, vm, false, &e), 0);
    assert_int_equal(opened(scratch_path("vm/Snapshots/whole"), vm, false, &e), 0);
    assert_int_equal(opened(deep, vm, false, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "outside its own directory"));
    assert_int_equal(opened(deep, NULL, true, &e), 0);
    /* It is no leave for an image that lies elsewhere. */
    made("qcow2", scratch_path("other/child"), scratch_path("vm/base"), "../vm/base");
    assert_int_equal(opened(scratch_path("other/child"), scratch_path("vm"), false, &e), -EINVAL);
}

static void no_link_leads_out_of_it(void **state)
{
    struct err e = {0};

    (void)state;
    folders();
    made("qcow2", scratch_path("other/base"), NULL, NULL);
    unlink(scratch_path("vm/link"));
    assert_int_equal(symlink("../other/base", scratch_path("vm/link")), 0);
    made("qcow2", scratch_path("vm/Snapshots/child"), scratch_path("vm/link"), "../link");
    assert_int_equal(opened(scratch_path("vm/Snapshots/child"), scratch_path("vm"), false, &e),
                     -EINVAL);
    assert_int_equal(opened(scratch_path("vm/Snapshots/child"), NULL, true, &e), 0);
}

/* VirtualBox's children name no file, and lie below the disk that they began with. */
static void a_child_by_id_finds_its_parent_above(void **state)
{
    static const char *const kinds[] = {"vdi", "vhd"};
    struct err e = {0};

    (void)state;
    folders();
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        char base[64], child[64], other[64];

        snprintf(base, sizeof(base), "vm/base.%s", kinds[i]);
        snprintf(other, sizeof(other), "vm/another.%s", kinds[i]);
        snprintf(child, sizeof(child), "vm/Snapshots/{1}.%s", kinds[i]);
        made(kinds[i], scratch_path(base), NULL, NULL);
        made(kinds[i], scratch_path(other), NULL, NULL);
        made(kinds[i], scratch_path(child), scratch_path(base), "gone");
        assert_int_equal(opened(scratch_path(child), NULL, false, &e), -ENOENT);
        if (opened(scratch_path(child), scratch_path("vm"), false, &e) < 0)
            fail_msg("%s", e.msg);
        if (opened(scratch_path(child), NULL, true, &e) < 0)
            fail_msg("%s", e.msg);
    }
}

/* A VMDK's hint is a whole name of the host where VirtualBox ran. */
static void a_hint_of_another_host_leads_above(void **state)
{
    struct err e = {0};

    (void)state;
    folders();
    made("vmdk", scratch_path("vm/base.vmdk"), NULL, NULL);
    made("vmdk", scratch_path("vm/Snapshots/{2}.vmdk"), scratch_path("vm/base.vmdk"),
         "/vms of another host/vm/base.vmdk");
    assert_true(opened(scratch_path("vm/Snapshots/{2}.vmdk"), NULL, false, &e) < 0);
    if (opened(scratch_path("vm/Snapshots/{2}.vmdk"), scratch_path("vm"), false, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(opened(scratch_path("vm/Snapshots/{2}.vmdk"), NULL, true, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_name_may_lead_into_the_own_directory),
        cmocka_unit_test(a_directory_above_is_open_by_leave),
        cmocka_unit_test(no_link_leads_out_of_it),
        cmocka_unit_test(a_child_by_id_finds_its_parent_above),
        cmocka_unit_test(a_hint_of_another_host_leads_above),
    };

    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
