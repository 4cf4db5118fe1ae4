/* SPDX-License-Identifier: Apache-2.0 */
/* Rings that break the rules, registers in the wrong order, features that were not offered. */
#include "unit.h"

#include <stdlib.h>

#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "personas/kvm/devices.h"
#include "virtio/guest.h"
#include "virtio/memdisk.h"

#define ALL UINT64_MAX
#define SPLIT (~(VIRTIO_F_RING_PACKED))
#define COMMON(field) __builtin_offsetof(struct virtio_pci_common_cfg, field)

static void open_device(struct guest *g)
{
    struct virtio_options o = {.packed = true, .indirect = true, .devfn = -1};
    struct disk_spec s = {.id = "disk0"};
    struct err e = {0};

    guest_open(g);
    s.disk = &memdisk_create(g->f.env.loop, 1 << 20)->d;
    assert_int_equal(blk_create(&g->f.env, &o, &s, 1, &e), 0);
    guest_find(g, true);
}

static void put_desc(struct guest *g, unsigned at, gpa_t addr, uint32_t len, uint16_t a, uint16_t b)
{
    guest_poke(g, g->q[0].desc + 16 * at, 8, addr);
    guest_poke(g, g->q[0].desc + 16 * at + 8, 4, len);
    guest_poke(g, g->q[0].desc + 16 * at + 12, 2, a);
    guest_poke(g, g->q[0].desc + 16 * at + 14, 2, b);
}

static void make_available(struct guest *g, uint16_t head)
{
    guest_poke(g, g->q[0].driver + 4, 2, head);
    guest_poke(g, g->q[0].driver + 2, 2, 1);
    guest_kick(g, 0);
    fake_env_run(&g->f);
}

static void assert_broken_then_cured(struct guest *g)
{
    assert_true(guest_status(g) & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    guest_kick(g, 0); /* nothing happens any more */
    fake_env_run(&g->f);
    assert_int_equal(guest_peek(g, g->q[0].device + 2, 2), 0);
    guest_status_set(g, 0);
    assert_int_equal(guest_status(g), 0);
}

enum { NEXT = VIRTQ_DESC_F_NEXT, WRITE = VIRTQ_DESC_F_WRITE, INDIRECT = VIRTQ_DESC_F_INDIRECT };

static void broken_split_rings_need_a_reset(void **state)
{
    /* One descriptor that is wrong by itself. */
    static const struct {
        gpa_t addr;
        uint32_t len;
        uint16_t flags, next;
    } bad[] = {
        {0x1000, 16, NEXT, 256}, /* next outside the table */
        {0x1000, 16, NEXT, 65535},
        {0x1000, 16, NEXT, 0},      /* loop */
        {GUEST_RAM, 16, NEXT, 1},   /* outside memory */
        {GUEST_RAM - 8, 16, 0, 0},  /* runs out of memory */
        {UINT64_MAX - 4, 16, 0, 0}, /* wraps */
        {0x1000, UINT32_MAX, 0, 0},
        {0x1000, 16, INDIRECT | NEXT, 1},         /* not together */
        {0x1000, 0, INDIRECT, 0},                 /* empty table */
        {0x1000, 17, INDIRECT, 0},                /* not whole entries */
        {0x1000, UINT32_MAX & ~15u, INDIRECT, 0}, /* too long */
        {GUEST_RAM - 16, 32, INDIRECT, 0},        /* outside memory */
        {0x1000, 16, 0, 0},                       /* no status */
        {0x1000, 16, WRITE, 0},                   /* no header */
        {0x1000, 0, 0, 0},                        /* nothing at all */
    };
    struct guest g;

    open_device(&g);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        guest_start(&g, false, SPLIT, 1);
        put_desc(&g, 0, bad[i].addr, bad[i].len, bad[i].flags, bad[i].next);
        make_available(&g, 0);
        assert_broken_then_cured(&g);
    }
    guest_start(&g, false, SPLIT, 1);
    make_available(&g, 256); /* head outside the table */
    assert_broken_then_cured(&g);
    guest_start(&g, false, SPLIT, 1);
    guest_poke(&g, g.q[0].driver + 2, 2, 257); /* more than the ring has */
    guest_kick(&g, 0);
    assert_broken_then_cured(&g);
    guest_close(&g);
}

static void a_table_inside_a_table_is_refused(void **state)
{
    struct guest g;

    open_device(&g);
    guest_start(&g, false, SPLIT, 1);
    put_desc(&g, 0, 0x1000, 16, INDIRECT, 0);
    guest_poke(&g, 0x1000, 8, 0x2000);
    guest_poke(&g, 0x1008, 4, 16);
    guest_poke(&g, 0x100c, 2, INDIRECT);
    make_available(&g, 0);
    assert_broken_then_cured(&g);
    /* A loop inside a table. */
    guest_start(&g, false, SPLIT, 1);
    put_desc(&g, 0, 0x1000, 32, INDIRECT, 0);
    guest_poke(&g, 0x100c, 2, NEXT);
    guest_poke(&g, 0x100e, 2, 0);
    make_available(&g, 0);
    assert_broken_then_cured(&g);
    guest_close(&g);
}

static void readable_after_writable_is_refused(void **state)
{
    struct guest g;
    struct guest_buf b[] = {{0x1000, 16, true}, {0x2000, 16, false}};

    open_device(&g);
    guest_start(&g, false, SPLIT, 1);
    guest_add(&g, 0, b, 2, false);
    guest_kick(&g, 0);
    assert_broken_then_cured(&g);
    guest_close(&g);
}

static void indirect_tables_must_be_negotiated(void **state)
{
    struct guest g;
    struct guest_buf b[] = {{0x1000, 16, false}, {0x2000, 1, true}};

    open_device(&g);
    for (int packed = 0; packed < 2; packed++) {
        guest_start(&g, false, VIRTIO_F_VERSION_1 | (packed ? VIRTIO_F_RING_PACKED : 0), 1);
        guest_add(&g, 0, b, 2, true);
        guest_kick(&g, 0);
        assert_true(guest_status(&g) & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    }
    guest_close(&g);
}

static void a_packed_chain_without_an_end_is_refused(void **state)
{
    struct guest g;

    open_device(&g);
    guest_start(&g, false, ALL, 1);
    for (unsigned i = 0; i < g.q[0].size; i++)
        put_desc(&g, i, 0x1000, 1, 0, NEXT | VIRTQ_DESC_F_AVAIL);
    guest_kick(&g, 0);
    assert_true(guest_status(&g) & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    guest_close(&g);
}

static void overlapping_buffers_are_only_bytes(void **state)
{
    struct guest g;
    struct guest_buf b[] = {{0x1000, 16, false}, {0x1000, 512, true}, {0x1004, 1, true}};
    uint32_t len;
    uint16_t id;

    open_device(&g);
    guest_start(&g, false, SPLIT, 1);
    guest_add(&g, 0, b, 3, false);
    guest_kick(&g, 0);
    fake_env_run(&g.f);
    assert_true(guest_used(&g, 0, &id, &len));
    guest_close(&g);
}

static void rings_outside_memory_need_a_reset(void **state)
{
    static const uint64_t bad[] = {GUEST_RAM, GUEST_RAM - 16, UINT64_MAX & ~15ull, 8};
    struct guest g;

    open_device(&g);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_true(guest_negotiate(&g, false, SPLIT));
        guest_common_set(&g, COMMON(queue_desc), 8, bad[i]);
        guest_common_set(&g, COMMON(queue_enable), 2, 1);
        guest_driver_ok(&g);
        assert_true(guest_status(&g) & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    }
    guest_close(&g);
}

static void features_that_were_not_offered_do_not_stick(void **state)
{
    struct guest g;

    open_device(&g);
    guest_status_set(&g, 3);
    guest_common_set(&g, COMMON(driver_feature_select), 4, 1);
    guest_common_set(&g, COMMON(driver_feature), 4, 0x80000001);
    guest_status_set(&g, 11);
    assert_int_equal(guest_status(&g), 3);
    /* Nor does a modern driver without VERSION_1. */
    assert_false(guest_negotiate(&g, false, SPLIT & ~VIRTIO_F_VERSION_1));
    /* DRIVER_OK without FEATURES_OK starts nothing. */
    guest_status_set(&g, 7);
    assert_int_equal(guest_status(&g) & VIRTIO_STATUS_DRIVER_OK, 0);
    assert_true(guest_status(&g) & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    guest_close(&g);
}

/* The modern registers stay reachable while a driver speaks through the legacy header. */
static void a_legacy_driver_gets_no_modern_features(void **state)
{
    struct guest g;

    (void)state;
    open_device(&g);
    guest_status_set(&g, 0);
    guest_common_set(&g, COMMON(driver_feature), 4, UINT32_MAX);
    guest_common_set(&g, COMMON(driver_feature_select), 4, 1);
    guest_common_set(&g, COMMON(driver_feature), 4, UINT32_MAX);
    g.legacy = true;
    guest_status_set(&g, VIRTIO_STATUS_ACKNOWLEDGE);
    assert_int_equal(guest_common(&g, COMMON(driver_feature), 4), 0);
    assert_int_equal(fake_env_in(&g.f, g.bar[0] + VIRTIO_PCI_GUEST_FEATURES, 4), guest_offered(&g));
    guest_start(&g, true, 0, 1);
    guest_common_set(&g, COMMON(driver_feature_select), 4, 0);
    guest_common_set(&g, COMMON(driver_feature), 4, UINT32_MAX);
    assert_int_equal(guest_common(&g, COMMON(driver_feature), 4), 0);
    guest_close(&g);
}

/* What a back end finishes late belongs to the ring it was taken from. */
static void a_chain_of_an_earlier_ring_is_dropped(void **state)
{
    struct iovec iov[4];
    struct vq_chain c = {.iov = iov, .max = 4};
    struct vq q = {.size = 8, .desc = 0x1000, .driver = 0x2000, .device = 0x3000};
    struct fake_env f;

    (void)state;
    fake_env_create(&f, 1 << 20);
    for (unsigned i = 0; i < 8; i++) { /* a chain over the whole ring */
        uint16_t flags = VIRTQ_DESC_F_AVAIL | (i < 7 ? VIRTQ_DESC_F_NEXT : 0);

        assert_int_equal(gmem_write(f.env.mem, 0x1000 + 16 * i + 14, &flags, 2), 0);
    }
    assert_int_equal(vq_start(&q, f.env.mem, VIRTIO_F_RING_PACKED), 0);
    assert_int_equal(vq_pop(&q, &c), 1);
    assert_int_equal(c.slots, 8);
    vq_stop(&q);
    q.size = 2;
    assert_int_equal(vq_start(&q, f.env.mem, VIRTIO_F_RING_PACKED), 0);
    vq_push(&q, &c, 0);
    assert_int_equal(q.next_used, 0);
    assert_int_equal(q.inflight, 0);
    assert_false(vq_flush(&q));
    vq_stop(&q);
    fake_env_destroy(&f);
}

static void queue_registers_hold_still_while_in_use(void **state)
{
    struct guest g;
    gpa_t desc;

    open_device(&g);
    guest_start(&g, false, SPLIT, 1);
    desc = guest_common(&g, COMMON(queue_desc), 8);
    guest_common_set(&g, COMMON(queue_desc), 8, 0x5000);
    guest_common_set(&g, COMMON(queue_size), 2, 2);
    guest_common_set(&g, COMMON(queue_enable), 2, 0);
    assert_int_equal(guest_common(&g, COMMON(queue_desc), 8), desc);
    assert_int_equal(guest_common(&g, COMMON(queue_size), 2), 256);
    assert_int_equal(guest_common(&g, COMMON(queue_enable), 2), 1);
    /* Queues that do not exist read as nothing. */
    guest_common_set(&g, COMMON(queue_select), 2, 1);
    assert_int_equal(guest_common(&g, COMMON(queue_size), 2), 0);
    guest_common_set(&g, COMMON(queue_select), 2, 65535);
    guest_common_set(&g, COMMON(queue_enable), 2, 1);
    assert_int_equal(guest_common(&g, COMMON(queue_enable), 2), 0);
    guest_close(&g);
}

static void queue_sizes_are_bounded(void **state)
{
    struct guest g;

    open_device(&g);
    assert_true(guest_negotiate(&g, false, SPLIT));
    guest_common_set(&g, COMMON(queue_size), 2, 512);
    assert_int_equal(guest_common(&g, COMMON(queue_size), 2), 256);
    guest_common_set(&g, COMMON(queue_size), 2, 0);
    assert_int_equal(guest_common(&g, COMMON(queue_size), 2), 256);
    guest_common_set(&g, COMMON(queue_size), 2, 100); /* not a power of two */
    guest_common_set(&g, COMMON(queue_enable), 2, 1);
    guest_driver_ok(&g);
    assert_true(guest_status(&g) & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    guest_close(&g);
}

static void vectors_that_do_not_exist_read_as_none(void **state)
{
    struct guest g;

    open_device(&g);
    guest_common_set(&g, COMMON(config_msix_vector), 2, 2);
    assert_int_equal(guest_common(&g, COMMON(config_msix_vector), 2), VIRTIO_MSI_NO_VECTOR);
    guest_common_set(&g, COMMON(config_msix_vector), 2, 1);
    assert_int_equal(guest_common(&g, COMMON(config_msix_vector), 2), 1);
    guest_common_set(&g, COMMON(queue_msix_vector), 2, 9);
    assert_int_equal(guest_common(&g, COMMON(queue_msix_vector), 2), VIRTIO_MSI_NO_VECTOR);
    guest_close(&g);
}

static void the_configuration_window_reaches_the_bars(void **state)
{
    unsigned cap = 0;
    struct guest g;

    open_device(&g);
    for (unsigned n = 0; fake_pci_cap(&g.f, g.devfn, VIRTIO_PCI_CAP_ID, n); n++) {
        unsigned at = fake_pci_cap(&g.f, g.devfn, VIRTIO_PCI_CAP_ID, n);

        if (fake_pci_read(&g.f, g.devfn, at + 3, 1) == VIRTIO_PCI_CAP_PCI_CFG)
            cap = at;
    }
    assert_int_not_equal(cap, 0);
    fake_pci_write(&g.f, g.devfn, cap + 4, 1, 4);                     /* bar */
    fake_pci_write(&g.f, g.devfn, cap + 8, 4, COMMON(device_status)); /* offset */
    fake_pci_write(&g.f, g.devfn, cap + 12, 4, 1);                    /* length */
    fake_pci_write(&g.f, g.devfn, cap + 16, 1, VIRTIO_STATUS_ACKNOWLEDGE);
    assert_int_equal(guest_status(&g), VIRTIO_STATUS_ACKNOWLEDGE);
    guest_status_set(&g, 3);
    assert_int_equal(fake_pci_read(&g.f, g.devfn, cap + 16, 1), 3);
    fake_pci_write(&g.f, g.devfn, cap + 8, 4, 4094); /* outside */
    fake_pci_write(&g.f, g.devfn, cap + 12, 4, 4);
    fake_pci_write(&g.f, g.devfn, cap + 16, 4, 0);
    fake_pci_write(&g.f, g.devfn, cap + 4, 1, 77);
    fake_pci_write(&g.f, g.devfn, cap + 16, 4, 0);
    assert_int_equal(guest_status(&g), 3);
    guest_close(&g);
}

static void the_generation_moves_with_the_configuration(void **state)
{
    struct guest g;

    open_device(&g);
    guest_start(&g, false, SPLIT, 1);
    guest_common_set(&g, COMMON(config_msix_vector), 2, 0);
    put_desc(&g, 0, 0, 0, 0, 0);
    make_available(&g, 999);
    assert_int_equal(guest_common(&g, COMMON(config_generation), 1), 1);
    assert_int_equal(fake_irqs_take(&g.f.irqs, GUEST_MSI), 1);
    guest_close(&g);
}

static void interrupts_keep_quiet_when_asked(void **state)
{
    struct guest_buf b[] = {{0x1000, 16, false}, {0x2000, 1, true}};
    struct guest g;

    open_device(&g);
    guest_start(&g, false, VIRTIO_F_VERSION_1, 1);
    guest_poke(&g, 0x1000, 4, 99);
    guest_irqs(&g, 0);
    guest_poke(&g, g.q[0].driver, 2, VIRTQ_AVAIL_F_NO_INTERRUPT);
    guest_add(&g, 0, b, 2, false);
    guest_kick(&g, 0);
    assert_int_equal(guest_irqs(&g, 0), 0);
    guest_poke(&g, g.q[0].driver, 2, 0);
    guest_add(&g, 0, b, 2, false);
    guest_kick(&g, 0);
    assert_int_equal(guest_irqs(&g, 0), 1);
    /* Event index: the interrupt comes with the third buffer only. */
    guest_start(&g, false, SPLIT, 1);
    guest_irqs(&g, 0);
    guest_poke(&g, g.q[0].driver + 4 + 2 * 256, 2, 2);
    for (unsigned i = 0; i < 3; i++) {
        guest_add(&g, 0, b, 2, false);
        guest_kick(&g, 0);
        assert_int_equal(guest_irqs(&g, 0), i == 2);
    }
    guest_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_split_rings_need_a_reset),
        cmocka_unit_test(a_table_inside_a_table_is_refused),
        cmocka_unit_test(readable_after_writable_is_refused),
        cmocka_unit_test(indirect_tables_must_be_negotiated),
        cmocka_unit_test(a_packed_chain_without_an_end_is_refused),
        cmocka_unit_test(overlapping_buffers_are_only_bytes),
        cmocka_unit_test(rings_outside_memory_need_a_reset),
        cmocka_unit_test(features_that_were_not_offered_do_not_stick),
        cmocka_unit_test(a_legacy_driver_gets_no_modern_features),
        cmocka_unit_test(a_chain_of_an_earlier_ring_is_dropped),
        cmocka_unit_test(queue_registers_hold_still_while_in_use),
        cmocka_unit_test(queue_sizes_are_bounded),
        cmocka_unit_test(vectors_that_do_not_exist_read_as_none),
        cmocka_unit_test(the_configuration_window_reaches_the_bars),
        cmocka_unit_test(the_generation_moves_with_the_configuration),
        cmocka_unit_test(interrupts_keep_quiet_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
