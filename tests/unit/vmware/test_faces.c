/* SPDX-License-Identifier: Apache-2.0 */
/* test_faces.c - the SATA controller that UEFI knows the vmware persona's disks by. */
#include "unit.h"

#include <errno.h>

#include "abi/pvscsi.h"
#include "core/err.h"
#include "fakes/fake_env.h"
#include "fakes/fake_mem_disk.h"
#include "fakes/fake_pci.h"
#include "personas/vmware/vmware.h"

enum { STATE = 0x10000, REQS = 0x11000, CMPS = 0x12000, SLOTS = 32 };
enum { ID_PVSCSI = 0x07c015ad, ID_AHCI = 0x29228086 };

static struct fake_env f;
static struct vmware w;
static uint64_t bar[6];

/* The slot of a card that the guest can see, -1: none. */
static int slot_of(uint32_t id)
{
    for (int slot = 0; slot < SLOTS; slot++) {
        fake_env_out(&f, 0xcf8, 4, UINT32_C(0x80000000) | (unsigned)slot << 11);
        if ((uint32_t)fake_env_in(&f, 0xcfc, 4) == id)
            return slot;
    }
    return -1;
}

static void add(const char *id)
{
    struct mem_disk *disk = mem_disk_create(f.env.loop, 1 * MiB);
    struct disk_spec s = {.disk = &disk->disk, .id = id, .controller = -1, .unit = -1};
    struct err e;

    assert_int_equal(vmware_add_disk(&w.p, &s, &e), 0);
}

static void start(bool uefi)
{
    fake_env_create(&f, 1 * MiB);
    w = (struct vmware){.p.env = {.dev = f.env, .firmware = true, .uefi = uefi}};
    vmware_tasks(&w);
    add("disk0");
    add("disk1");
    fake_pci_map(&f, (unsigned)slot_of(ID_PVSCSI) << 3, bar);
}

static void end(void)
{
    faces_gone(&w.faces);
    fake_env_run(&f);
    fake_env_destroy(&f);
}

static void driver_sets_up(void)
{
    struct pvscsi_setup_rings s = {.req_pages = le32_of(1),
                                   .cmp_pages = le32_of(1),
                                   .state_ppn = le64_of(STATE >> 12),
                                   .req_ppn = {le64_of(REQS >> 12)},
                                   .cmp_ppn = {le64_of(CMPS >> 12)}};

    fake_env_write(&f, bar[0] + PVSCSI_REG_OFFSET_COMMAND, 4, PVSCSI_CMD_ADAPTER_RESET);
    fake_env_write(&f, bar[0] + PVSCSI_REG_OFFSET_COMMAND, 4, PVSCSI_CMD_SETUP_RINGS);
    for (size_t i = 0; i < sizeof(s); i += 4)
        fake_env_write(&f, bar[0] + PVSCSI_REG_OFFSET_COMMAND_DATA, 4,
                       le32_at((const uint8_t *)&s + i));
    fake_env_run(&f);
}

static void a_guest_that_calls_sees_each_disk_once(void **state)
{
    struct err e;

    (void)state;
    start(true);
    assert_int_equal(w.faces.n, 2);
    assert_true(slot_of(ID_AHCI) >= 0);
    vmware_meet(&w);
    assert_int_equal(slot_of(ID_AHCI), -1);
    assert_true(slot_of(ID_PVSCSI) >= 0);
    assert_int_equal(vmware_unplug_disk(&w.p, "disk1", &e), -EBUSY);

    pci_bus_reset(f.env.pci);
    vmware_faces_reset(&w);
    assert_true(slot_of(ID_AHCI) >= 0);
    vmware_meet(&w);
    assert_int_equal(slot_of(ID_AHCI), -1);
    end();
}

/* Firmware that knows the controller sets it up, too. */
static void the_second_driver_is_no_firmware(void **state)
{
    (void)state;
    start(true);
    driver_sets_up();
    assert_true(slot_of(ID_AHCI) >= 0);
    driver_sets_up();
    assert_int_equal(slot_of(ID_AHCI), -1);
    end();
}

static void bios_knows_the_controllers(void **state)
{
    (void)state;
    start(false);
    assert_int_equal(slot_of(ID_AHCI), -1);
    vmware_meet(&w);
    driver_sets_up();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_that_calls_sees_each_disk_once),
        cmocka_unit_test(the_second_driver_is_no_firmware),
        cmocka_unit_test(bios_knows_the_controllers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
