/* SPDX-License-Identifier: Apache-2.0 */
/* virtio.c - see virtio.h. */
#include "virtio.h"

#include <stdlib.h>
#include <string.h>

#include "core/gmem.h"
#include "core/loop.h"
#include "fakes/fake_pci.h"

enum {
    RAM = 1 << 20,
    DEVFN = 1 << 3,
    RINGS = 0x10000, /* queue i has its parts at RINGS + i * RING_STEP */
    RING_STEP = 0x1000,
    RING_SIZE = 16,
    OFF_DRIVER = 0x400,
    OFF_DEVICE = 0x800,
    STEPS = 400,
    ROUNDS = 20,
};
#define COMMON(field) __builtin_offsetof(struct virtio_pci_common_cfg, field)

uint64_t fuzz_take(struct fuzz_virtio *z, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes && z->size; i++, z->size--)
        v |= (uint64_t)*z->data++ << 8 * i;
    return v;
}

static void poke(struct fuzz_virtio *z, gpa_t at, unsigned size, uint64_t v)
{
    if (gmem_write(z->f.env.mem, at % RAM, &v, size) < 0)
        return;
}

static void run(struct fuzz_virtio *z)
{
    /* Bounded: a guest that gives itself work for ever only burns its own time. */
    for (unsigned i = 0; i < ROUNDS && loop_step(z->f.env.loop, 0) > 0; i++)
        continue;
}

static void set(struct fuzz_virtio *z, unsigned off, unsigned size, uint64_t v)
{
    fake_env_write(&z->f, z->bar[4] + off, size, v);
}

/* A proper start, from which the rest may go wrong. */
static void start(struct fuzz_virtio *z, unsigned queues)
{
    uint64_t features = fuzz_take(z, 8) | VIRTIO_F_VERSION_1, offered;

    set(z, COMMON(device_status), 1, 0);
    run(z);
    set(z, COMMON(device_status), 1, 3);
    set(z, COMMON(device_feature_select), 4, 0);
    offered = fake_env_read(&z->f, z->bar[4] + COMMON(device_feature), 4);
    set(z, COMMON(device_feature_select), 4, 1);
    offered |= fake_env_read(&z->f, z->bar[4] + COMMON(device_feature), 4) << 32;
    features &= offered;
    for (unsigned half = 0; half < 2; half++) {
        set(z, COMMON(driver_feature_select), 4, half);
        set(z, COMMON(driver_feature), 4, (uint32_t)(features >> 32 * half));
    }
    set(z, COMMON(device_status), 1, 11);
    for (unsigned i = 0; i < queues; i++) {
        set(z, COMMON(queue_select), 2, i);
        set(z, COMMON(queue_size), 2, RING_SIZE);
        set(z, COMMON(queue_desc), 4, RINGS + i * RING_STEP);
        set(z, COMMON(queue_driver), 4, RINGS + i * RING_STEP + OFF_DRIVER);
        set(z, COMMON(queue_device), 4, RINGS + i * RING_STEP + OFF_DEVICE);
        set(z, COMMON(queue_msix_vector), 2, i);
        set(z, COMMON(queue_enable), 2, 1);
    }
    set(z, COMMON(device_status), 1, 15);
    run(z);
}

/* A legacy guest's reset waits for what is in flight, by the clock where this is the loop's own
 * thread; so nothing is. test_blk.c has the wait itself. */
static void before_legacy(struct fuzz_virtio *z, const struct fuzz_virtio_target *t)
{
    if (t->let_go)
        t->let_go(z);
    run(z);
}

static void start_legacy(struct fuzz_virtio *z, unsigned queues)
{
    fake_env_out(&z->f, z->bar[0] + VIRTIO_PCI_STATUS, 1, 0);
    fake_env_out(&z->f, z->bar[0] + VIRTIO_PCI_STATUS, 1, 3);
    fake_env_out(&z->f, z->bar[0] + VIRTIO_PCI_GUEST_FEATURES, 4, fuzz_take(z, 4));
    for (unsigned i = 0; i < queues; i++) {
        fake_env_out(&z->f, z->bar[0] + VIRTIO_PCI_QUEUE_SEL, 2, i);
        fake_env_out(&z->f, z->bar[0] + VIRTIO_PCI_QUEUE_PFN, 4, 0x10 + 4 * i);
    }
    fake_env_out(&z->f, z->bar[0] + VIRTIO_PCI_STATUS, 1, 7);
    run(z);
}

/* A chain in the split ring whose shape is good and whose content is not. */
static void chain(struct fuzz_virtio *z, unsigned queue)
{
    gpa_t ring = RINGS + (gpa_t)queue * RING_STEP;
    unsigned head = (unsigned)fuzz_take(z, 1) % RING_SIZE, n = 1 + fuzz_take(z, 1) % 4;
    uint16_t avail = 0;

    for (unsigned i = 0; i < n; i++) {
        gpa_t d = ring + 16 * ((head + i) % RING_SIZE);
        uint16_t shape = (uint16_t)fuzz_take(z, 2);

        poke(z, d, 8, fuzz_take(z, 3) % (RAM + 0x1000));
        poke(z, d + 8, 4, shape & 0x1fff);
        poke(z, d + 12, 2, (i + 1 < n) | (shape >> 14 & 2) | (shape >> 12 & 4));
        poke(z, d + 14, 2, (head + i + 1) % RING_SIZE);
    }
    if (gmem_read(z->f.env.mem, ring + OFF_DRIVER + 2, &avail, 2) == 0) {
        poke(z, ring + OFF_DRIVER + 4 + 2 * (avail % RING_SIZE), 2, head);
        poke(z, ring + OFF_DRIVER + 2, 2, avail + 1);
    }
    fake_env_out(&z->f, z->bar[0] + VIRTIO_PCI_QUEUE_NOTIFY, 2, queue);
}

/* The same in a packed ring, at a slot that the input names. */
static void packed(struct fuzz_virtio *z, unsigned queue)
{
    gpa_t ring = RINGS + (gpa_t)queue * RING_STEP;
    unsigned at = (unsigned)fuzz_take(z, 1), n = 1 + at / RING_SIZE % 4;

    for (unsigned i = n; i-- > 0;) {
        gpa_t d = ring + 16 * ((at + i) % RING_SIZE);
        uint16_t shape = (uint16_t)fuzz_take(z, 2);

        poke(z, d, 8, fuzz_take(z, 3) % (RAM + 0x1000));
        poke(z, d + 8, 4, shape & 0xfff);
        poke(z, d + 12, 2, fuzz_take(z, 1));
        poke(z, d + 14, 2,
             (i + 1 < n) | (shape >> 14 & 2) | (shape >> 11 & 4) |
                 (shape & 0x1000 ? VIRTQ_DESC_F_USED : VIRTQ_DESC_F_AVAIL));
    }
    fake_env_out(&z->f, z->bar[0] + VIRTIO_PCI_QUEUE_NOTIFY, 2, queue);
}

static const uint8_t sizes[] = {1, 2, 4, 8};

/* Plain register accesses. */
static void step_register(struct fuzz_virtio *z, unsigned op, unsigned size)
{
    unsigned port_size = size % 8 ? size : 4;
    unsigned at = (unsigned)fuzz_take(z, op == 4 ? 2 : 1);

    switch (op) {
    case 2:
        fake_env_out(&z->f, z->bar[0] + VIRTIO_PCI_QUEUE_NOTIFY, 2, at);
        break;
    case 3:
        set(z, at % 64, size, fuzz_take(z, size));
        break;
    case 4:
        fake_env_read(&z->f, z->bar[4] + at % 4096, size);
        break;
    case 5:
        fake_env_out(&z->f, z->bar[0] + at % 128, port_size, fuzz_take(z, 4));
        break;
    case 6:
        fake_env_in(&z->f, z->bar[0] + at % 128, port_size);
        break;
    case 7:
        set(z, at & 0x80 ? 0x200 + at % 128 : 0x100 + at % 64, size,
            fuzz_take(z, size)); /* a doorbell or the configuration */
        break;
    case 8:
        fake_pci_write(&z->f, DEVFN, at & 0xfc, 4, (uint32_t)fuzz_take(z, 4));
        fake_pci_read(&z->f, DEVFN, at & 0xfc, 4);
        break;
    }
}

static void step(struct fuzz_virtio *z, const struct fuzz_virtio_target *t)
{
    unsigned op = (unsigned)fuzz_take(z, 1), queue = op / 16 % t->queues, size = sizes[op / 16 % 4];
    uint64_t at;

    switch (op % 16) {
    case 0:
        at = fuzz_take(z, 3);
        poke(z, at, size, fuzz_take(z, size));
        break;
    case 1: /* near a ring */
        at = fuzz_take(z, 2);
        poke(z, RINGS + at % (t->queues * RING_STEP), size, fuzz_take(z, size));
        break;
    case 9:
        start(z, t->queues);
        break;
    case 10:
        before_legacy(z, t);
        start_legacy(z, t->queues);
        break;
    case 5:
        before_legacy(z, t);
        step_register(z, 5, size);
        break;
    case 11:
        packed(z, queue);
        break;
    case 12:
    case 13:
        chain(z, queue);
        break;
    case 14:
        run(z);
        break;
    case 15:
        t->event(z);
        break;
    default:
        step_register(z, op % 16, size);
        break;
    }
}

void fuzz_virtio(const struct fuzz_virtio_target *t, const uint8_t *data, size_t size)
{
    struct virtio_options o = {.devfn = -1};
    struct fuzz_virtio z = {.data = data, .size = size};
    uint8_t how;

    fake_env_create(&z.f, RAM);
    how = (uint8_t)fuzz_take(&z, 1);
    o.packed = how & 1;
    o.modern_only = how & 2;
    o.indirect = how & 4;
    t->create(&z, &o);
    fake_pci_map(&z.f, DEVFN, z.bar);
    if (how & 8)
        fake_env_use_doorbells(&z.f);
    if (how & 16)
        fake_pci_msix(&z.f, DEVFN, z.bar, 0x4000);
    if (how & 32)
        start(&z, t->queues);
    for (unsigned i = 0; i < STEPS && z.size; i++)
        step(&z, t);
    run(&z);
    if (t->let_go)
        t->let_go(&z);
    if (t->before_end)
        t->before_end(&z);
    fake_env_destroy(&z.f);
}
