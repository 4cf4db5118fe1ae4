/* SPDX-License-Identifier: Apache-2.0 */
/* .vmx files: what is kept, changed, dropped and refused. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "import/import.h"
#include "machine/plan.h"

static char dir[32];
static struct plan plan;
static struct import_report report;
static struct err e;

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/hospes-vmx-XXXXXX");
    assert_non_null(mkdtemp(dir));
    plan_init(&plan);
    report = (struct import_report){0};
    e = (struct err){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    plan_free(&plan);
    import_report_free(&report);
    return rmdir(dir);
}

static int read_text(const char *text)
{
    char path[64];
    FILE *f;
    int rc;

    snprintf(path, sizeof(path), "%s/m.vmx", dir);
    f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    plan_free(&plan);
    import_report_free(&report);
    plan_init(&plan);
    rc = import_read(path, NULL, &plan, &report, &e);
    unlink(path);
    return rc;
}

static const struct import_line *told(const char *key)
{
    for (size_t i = 0; i < report.count; i++) {
        if (strcasecmp(report.lines[i].key, key) == 0)
            return &report.lines[i];
    }
    return NULL;
}

#define HEAD ".encoding = \"UTF-8\"\nvirtualHW.version = \"8\"\n"

static void a_machine_is_read(void **state)
{
    (void)state;
    assert_int_equal(read_text(HEAD
                               "DisplayName = \"web |22one|22\"\nnumvcpus = \"4\"\n"
                               "memsize = \"2048\"\nfirmware = \"efi\"\n"
                               "uuid.bios = \"56 4d 17 83 79 92 52 5d-7e 16 32 9b 20 a5 b2 43\"\n"
                               "scsi0.present = \"TRUE\"\nscsi0.virtualDev = \"pvscsi\"\n"
                               "scsi0:3.present = \"TRUE\"\nscsi0:3.fileName = \"a.vmdk\"\n"
                               "ethernet0.present = \"true\"\nethernet0.virtualDev = \"vmxnet3\"\n"
                               "ethernet0.generatedAddress = \"00:0c:29:01:02:03\"\n"),
                     0);
    assert_string_equal(plan.persona, "vmware");
    assert_string_equal(plan.name, "web--one-");
    assert_string_equal(told("displayname")->value, "web \"one\"");
    assert_int_equal(plan.cpus, 4);
    assert_int_equal(plan.memory, 2 * GiB);
    assert_string_equal(plan.firmware, "uefi");
    assert_true(plan.uuid_said);
    assert_int_equal(plan.uuid[0], 0x56);
    assert_int_equal(plan.disks, 1);
    assert_string_equal(plan.disk[0].bus, "pvscsi");
    assert_int_equal(plan.disk[0].unit, 3);
    assert_non_null(strstr(plan.disk[0].path, "/a.vmdk"));
    assert_int_equal(plan.nics, 1);
    assert_true(plan.nic[0].mac_said);
    assert_int_equal(plan.nic[0].mac[5], 3);
}

/* As guests print it: in the order of the file, or in the tables' since hardware version 13. */
static void the_uuid_is_as_guests_saw_it(void **state)
{
#define UUID "uuid.bios = \"56 4d 17 83 79 92 52 5d-7e 16 32 9b 20 a5 b2 43\"\n"
    (void)state;
    assert_int_equal(read_text("virtualHW.version = \"8\"\n" UUID), 0);
    assert_int_equal(plan.uuid[0], 0x56);
    assert_string_equal(plan.smbios.serial,
                        "VMware-56 4d 17 83 79 92 52 5d-7e 16 32 9b 20 a5 b2 43");
    assert_int_equal(read_text("virtualHW.version = \"13\"\n" UUID), 0);
    assert_int_equal(plan.uuid[0], 0x83);
    assert_null(plan.smbios.serial); /* the persona's own is right */
}

static void nothing_is_lost_silently(void **state)
{
    unsigned keys = 0;
    static const char text[] = HEAD "displayname = \"x\"\nsvga.present = \"TRUE\"\n"
                                    "my.own = \"1\"\nethernet0.present = \"TRUE\"\n"
                                    "ethernet0.networkName = \"VM Network\"\n"
                                    "ethernet0.pciSlotNumber = \"192\"\n";

    (void)state;
    assert_int_equal(read_text(text), 0);
    for (const char *at = text; *at; at++)
        keys += *at == '\n';
    assert_int_equal(report.count, keys);
    assert_int_equal(told("my.own")->fate, IMPORT_DROPPED);
    assert_non_null(told("my.own")->why);
    assert_int_equal(told("ethernet0.networkname")->fate, IMPORT_CHANGED);
    assert_string_equal(told("ethernet0.networkname")->to, "user");
}

static void names_do_not_leave_the_folder(void **state)
{
    (void)state;
    assert_int_equal(read_text(HEAD "scsi0.present = \"TRUE\"\nscsi0:0.present = \"TRUE\"\n"
                                    "scsi0:0.fileName = \"../../etc/shadow\"\n"
                                    "scsi0:1.present = \"TRUE\"\n"
                                    "scsi0:1.fileName = \"/vmfs/volumes/x/b.vmdk\"\n"),
                     0);
    assert_non_null(strstr(plan.disk[0].path, dir));
    assert_null(strstr(plan.disk[0].path, ".."));
    assert_int_equal(told("scsi0:0.filename")->fate, IMPORT_CHANGED);
    assert_non_null(strstr(plan.disk[1].path, "/b.vmdk"));
    assert_int_equal(
        read_text(
            HEAD
            "scsi0.present = \"TRUE\"\nscsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"..\"\n"),
        -EINVAL);
}

static void what_cannot_run_is_refused_with_its_line(void **state)
{
    static const char *const bad[] = {
        HEAD "encryption.keySafe = \"vmware:key\"\n",
        HEAD "checkpoint.vmState = \"a.vmss\"\n",
        HEAD "memsize = \"many\"\n",
        HEAD "numvcpus = \"0\"\n",
        HEAD "uuid.bios = \"56 4d\"\n",
        HEAD
        "scsi0.present = \"TRUE\"\nscsi0:0.present = \"TRUE\"\nscsi0:0.deviceType = \"rawDisk\"\n"
        "scsi0:0.fileName = \"r.vmdk\"\n",
        HEAD "ethernet0.present = \"TRUE\"\nethernet0.address = \"zz\"\n",
        HEAD "displayname = \"no end\n",
        HEAD "just words\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(read_text(bad[i]), -EINVAL);
        assert_int_equal(e.exit, EX_BAD_INPUT);
        assert_non_null(strstr(e.msg, "line "));
    }
}

static void an_empty_drive_and_a_switched_off_disk_are_told(void **state)
{
    (void)state;
    assert_int_equal(
        read_text(HEAD "ide1:0.present = \"TRUE\"\nide1:0.deviceType = \"cdrom-image\"\n"
                       "ide1:0.fileName = \"\"\nscsi0:0.present = \"FALSE\"\n"
                       "scsi0:0.fileName = \"a.vmdk\"\nscsi1.present = \"TRUE\"\n"
                       "scsi1:0.present = \"TRUE\"\nscsi1:0.deviceType = \"scsi-passthru\"\n"
                       "scsi1:0.fileName = \"/vmfs/devices/cdrom/mpx.vmhba32:C0\"\n"),
        0);
    assert_int_equal(plan.disks, 1);
    assert_true(plan.disk[0].cdrom);
    assert_null(plan.disk[0].path);
    assert_int_equal(plan.disk[0].controller, 1);
    assert_int_equal(told("scsi1:0.filename")->fate, IMPORT_DROPPED);
    assert_int_equal(told("ide1:0.filename")->fate, IMPORT_KEPT);
    assert_int_equal(told("scsi0:0.filename")->fate, IMPORT_DROPPED);
}

/* What it held stays there, the drive comes along. */
static void the_hosts_drive_comes_without_its_disc(void **state)
{
    (void)state;
    assert_int_equal(read_text(HEAD
                               "ide1:0.present = \"TRUE\"\nide1:0.deviceType = \"cdrom-raw\"\n"
                               "ide1:0.fileName = \"/dev/cdrom\"\n"
                               "ide1:1.present = \"TRUE\"\nide1:1.deviceType = \"atapi-cdrom\"\n"),
                     0);
    assert_int_equal(plan.disks, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(plan.disk[i].cdrom);
        assert_null(plan.disk[i].path);
    }
    assert_int_equal(told("ide1:0.filename")->fate, IMPORT_CHANGED);
    assert_string_equal(told("ide1:0.filename")->to, "none");
}

static void other_files_are_not_taken(void **state)
{
    struct err other;

    (void)state;
    assert_int_equal(read_text("hello = world\n"), -EINVAL);
    assert_int_equal(import_read(dir, NULL, &plan, &report, &other), -EINVAL);
    assert_int_equal(import_read("/nonexistent.vmx", NULL, &plan, &report, &other), -ENOENT);
    assert_int_equal(other.exit, EX_MISSING);
}

/* Products write ddb.encoding into some. */
static void a_disks_descriptor_is_no_machine(void **state)
{
    static const char text[] = "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\nCID=1\n"
                               "parentCID=ffffffff\ncreateType=\"monolithicFlat\"\n"
                               "RW 20480 FLAT \"a-flat.vmdk\" 0\nddb.adapterType = \"ide\"\n"
                               "ddb.encoding = \"UTF-8\"\nddb.virtualHWVersion = \"7\"\n";
    char path[80];
    FILE *f;

    (void)state;
    snprintf(path, sizeof(path), "%s/a.vmdk", dir);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_false(import_knows(path));
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_machine_is_read),
        T(the_uuid_is_as_guests_saw_it),
        T(nothing_is_lost_silently),
        T(names_do_not_leave_the_folder),
        T(what_cannot_run_is_refused_with_its_line),
        T(an_empty_drive_and_a_switched_off_disk_are_told),
        T(the_hosts_drive_comes_without_its_disc),
        T(other_files_are_not_taken),
        T(a_disks_descriptor_is_no_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
