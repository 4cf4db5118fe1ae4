/* SPDX-License-Identifier: Apache-2.0 */
/* The initramfs of the software host: which kernel, which modules, and the bytes of the archive. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cpio.h"
#include "core/err.h"
#include "softhost/image.h"
#include "unit.h"

static char folder[] = "/tmp/softhost-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int make_kernel(void **state)
{
    assert_non_null(mkdtemp(folder));
    put("vmlinuz", "kernel");
    put("lib/modules/6.0/modules.dep", "kernel/arch/x86/kvm/kvm-amd.ko: kernel/arch/x86/kvm/kvm.ko "
                                       "kernel/virt/bypass.ko\n"
                                       "kernel/arch/x86/kvm/kvm.ko: kernel/virt/bypass.ko\n"
                                       "kernel/virt/bypass.ko:\n"
                                       "kernel/fs/9p/9p.ko.xz:\n");
    put("lib/modules/6.0/kernel/arch/x86/kvm/kvm-amd.ko", "the amd module");
    put("lib/modules/6.0/kernel/arch/x86/kvm/kvm.ko", "the kvm module");
    put("lib/modules/6.0/kernel/virt/bypass.ko", "the bypass module");
    put("lib/modules/6.0/kernel/fs/9p/9p.ko.xz", "packed 9p");
    return 0;
}

static int remove_kernel(void **state)
{
    char command[600];

    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

static char *read_image(size_t *len)
{
    char path[512], *bytes = calloc(1, 16 << 20);
    FILE *f;

    snprintf(path, sizeof(path), "%s/image", folder);
    f = fopen(path, "r");
    assert_non_null(f);
    *len = fread(bytes, 1, 16 << 20, f);
    fclose(f);
    return bytes;
}

/* The data of a member, by the header of "newc"; NULL when there is none of that name. */
static const char *member(const char *bytes, size_t len, const char *name, size_t *size)
{
    for (size_t at = 0; at + 110 < len;) {
        char field[9] = "";
        size_t name_len, data;

        assert_memory_equal(bytes + at, "070701", 6);
        memcpy(field, bytes + at + 54, 8);
        *size = strtoul(field, NULL, 16);
        memcpy(field, bytes + at + 94, 8);
        name_len = strtoul(field, NULL, 16);
        data = (at + 110 + name_len + 3) & ~(size_t)3;
        if (strcmp(bytes + at + 110, name) == 0)
            return bytes + data;
        at = (data + *size + 3) & ~(size_t)3;
    }
    return NULL;
}

static void modules_come_after_what_they_need(void **state)
{
    struct soft_kernel k;
    struct err e;
    char path[512], *bytes;
    const char *data;
    size_t len, size;

    assert_int_equal(soft_kernel_find(folder, &k, &e), 0);
    snprintf(path, sizeof(path), "%s/image", folder);
    assert_int_equal(soft_image_write(&k, path, &e), 0);
    bytes = read_image(&len);
    data = member(bytes, len, "modules", &size);
    assert_non_null(data);
    assert_int_equal(size, strlen("mod/0.ko\nmod/1.ko\nmod/2.ko enable_vmware_backdoor=1\n"
                                  "mod/3.ko\n"));
    assert_memory_equal(data, "mod/0.ko\nmod/1.ko\nmod/2.ko enable_vmware_backdoor=1\nmod/3.ko\n",
                        size);
    data = member(bytes, len, "mod/0.ko", &size);
    assert_memory_equal(data, "packed 9p", size);
    data = member(bytes, len, "mod/1.ko", &size);
    assert_memory_equal(data, "the bypass module", size);
    data = member(bytes, len, "mod/3.ko", &size);
    assert_memory_equal(data, "the amd module", size);
    assert_non_null(member(bytes, len, "init", &size));
    assert_non_null(member(bytes, len, "TRAILER!!!", &size));
    free(bytes);
}

static void a_kernel_without_kvm_is_refused(void **state)
{
    struct soft_kernel k;
    struct err e;
    char path[512];

    assert_int_equal(soft_kernel_find(folder, &k, &e), 0);
    put("lib/modules/6.0/modules.dep", "kernel/fs/9p/9p.ko.xz:\n");
    snprintf(path, sizeof(path), "%s/image", folder);
    assert_true(soft_image_write(&k, path, &e) < 0);
    assert_int_equal(e.exit, EX_NO_HOST);
    assert_non_null(strstr(e.msg, "kvm_amd"));
}

static void a_folder_without_a_kernel_is_named(void **state)
{
    struct soft_kernel k;
    struct err e;

    assert_true(soft_kernel_find("/nonexistent", &k, &e) < 0);
    assert_int_equal(e.exit, EX_NO_HOST);
    assert_non_null(strstr(e.msg, "/nonexistent"));
}

static void a_full_disk_is_an_error(void **state)
{
    FILE *f = fopen("/dev/full", "w");
    struct cpio c = {f, 0};

    cpio_data(&c, "a", 0644, "text", 4);
    assert_true(cpio_end(&c) < 0);
    fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules_come_after_what_they_need),
        cmocka_unit_test(a_kernel_without_kvm_is_refused),
        cmocka_unit_test(a_folder_without_a_kernel_is_named),
        cmocka_unit_test(a_full_disk_is_an_error),
    };

    return cmocka_run_group_tests(tests, make_kernel, remove_kernel);
}
