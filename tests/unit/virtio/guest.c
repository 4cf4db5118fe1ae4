/* SPDX-License-Identifier: Apache-2.0 */
/* guest.c - see guest.h. */
#include "unit.h"

#include "core/gmem.h"
#include "core/loop.h"
#include "virtio/guest.h"

enum { OFF_ISR = 0x80, OFF_DEVICE = 0x100, SLOT = 1 << 3 };
#define COMMON(field) __builtin_offsetof(struct virtio_pci_common_cfg, field)

void guest_open(struct guest *g)
{
    memset(g, 0, sizeof(*g));
    fake_env_create(&g->f, GUEST_RAM);
    g->brk = 0x10000;
}

void guest_close(struct guest *g)
{
    fake_env_destroy(&g->f);
}

void guest_find(struct guest *g, bool msix)
{
    g->devfn = SLOT;
    assert_int_equal(fake_pci_read(&g->f, g->devfn, 0, 2), VIRTIO_PCI_VENDOR);
    fake_pci_map(&g->f, g->devfn, g->bar);
    g->vectors = msix ? fake_pci_msix(&g->f, g->devfn, g->bar, GUEST_MSI) : 0;
}

gpa_t guest_alloc(struct guest *g, size_t bytes, size_t align)
{
    gpa_t at = align_up(g->brk, align);

    g->brk = at + bytes;
    assert_true(g->brk <= GUEST_RAM);
    assert_int_equal(gmem_fill(g->f.env.mem, at, 0, bytes), 0);
    return at;
}

uint64_t guest_peek(struct guest *g, gpa_t at, unsigned size)
{
    uint64_t v = 0;

    assert_int_equal(gmem_read(g->f.env.mem, at, &v, size), 0);
    return v;
}

void guest_poke(struct guest *g, gpa_t at, unsigned size, uint64_t v)
{
    assert_int_equal(gmem_write(g->f.env.mem, at, &v, size), 0);
}

/* --- registers --- */

uint64_t guest_common(struct guest *g, unsigned off, unsigned size)
{
    return fake_env_read(&g->f, g->bar[4] + off, size);
}

void guest_common_set(struct guest *g, unsigned off, unsigned size, uint64_t v)
{
    fake_env_write(&g->f, g->bar[4] + off, size, v);
}

uint64_t guest_config(struct guest *g, unsigned off, unsigned size)
{
    unsigned base = g->vectors ? VIRTIO_PCI_CONFIG_MSIX : VIRTIO_PCI_CONFIG_NO_MSIX;

    return g->legacy ? fake_env_in(&g->f, g->bar[0] + base + off, size)
                     : fake_env_read(&g->f, g->bar[4] + OFF_DEVICE + off, size);
}

void guest_config_set(struct guest *g, unsigned off, unsigned size, uint64_t v)
{
    unsigned base = g->vectors ? VIRTIO_PCI_CONFIG_MSIX : VIRTIO_PCI_CONFIG_NO_MSIX;

    if (g->legacy)
        fake_env_out(&g->f, g->bar[0] + base + off, size, v);
    else
        fake_env_write(&g->f, g->bar[4] + OFF_DEVICE + off, size, v);
}

uint8_t guest_status(struct guest *g)
{
    return (uint8_t)(g->legacy ? fake_env_in(&g->f, g->bar[0] + VIRTIO_PCI_STATUS, 1)
                               : guest_common(g, COMMON(device_status), 1));
}

void guest_status_set(struct guest *g, uint8_t v)
{
    if (g->legacy)
        fake_env_out(&g->f, g->bar[0] + VIRTIO_PCI_STATUS, 1, v);
    else
        guest_common_set(g, COMMON(device_status), 1, v);
}

uint8_t guest_isr(struct guest *g)
{
    return (uint8_t)(g->legacy ? fake_env_in(&g->f, g->bar[0] + VIRTIO_PCI_ISR, 1)
                               : fake_env_read(&g->f, g->bar[4] + OFF_ISR, 1));
}

uint64_t guest_offered(struct guest *g)
{
    uint64_t f;

    if (g->legacy)
        return fake_env_in(&g->f, g->bar[0] + VIRTIO_PCI_HOST_FEATURES, 4);
    guest_common_set(g, COMMON(device_feature_select), 4, 0);
    f = guest_common(g, COMMON(device_feature), 4);
    guest_common_set(g, COMMON(device_feature_select), 4, 1);
    return f | guest_common(g, COMMON(device_feature), 4) << 32;
}

bool guest_negotiate(struct guest *g, bool legacy, uint64_t want)
{
    uint8_t s = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

    g->legacy = legacy;
    memset(g->q, 0, sizeof(g->q));
    guest_status_set(g, 0);
    guest_status_set(g, VIRTIO_STATUS_ACKNOWLEDGE);
    guest_status_set(g, s);
    g->features = guest_offered(g) & want;
    if (legacy) {
        fake_env_out(&g->f, g->bar[0] + VIRTIO_PCI_GUEST_FEATURES, 4, g->features);
        return true;
    }
    guest_common_set(g, COMMON(driver_feature_select), 4, 0);
    guest_common_set(g, COMMON(driver_feature), 4, (uint32_t)g->features);
    guest_common_set(g, COMMON(driver_feature_select), 4, 1);
    guest_common_set(g, COMMON(driver_feature), 4, g->features >> 32);
    guest_status_set(g, s | VIRTIO_STATUS_FEATURES_OK);
    return guest_status(g) & VIRTIO_STATUS_FEATURES_OK;
}

static void queue_legacy(struct guest *g, struct guest_queue *q, unsigned i)
{
    size_t first;

    fake_env_out(&g->f, g->bar[0] + VIRTIO_PCI_QUEUE_SEL, 2, i);
    q->size = (uint16_t)fake_env_in(&g->f, g->bar[0] + VIRTIO_PCI_QUEUE_NUM, 2);
    assert_true(q->size > 0);
    first = align_up(16u * q->size + 6 + 2u * q->size, 4096);
    q->desc = guest_alloc(g, first + 6 + 8u * q->size, 4096);
    q->driver = q->desc + 16u * q->size;
    q->device = q->desc + first;
    fake_env_out(&g->f, g->bar[0] + VIRTIO_PCI_QUEUE_PFN, 4, q->desc >> 12);
    if (g->vectors)
        fake_env_out(&g->f, g->bar[0] + VIRTIO_MSI_QUEUE_VECTOR, 2, i + 1);
}

static void queue_modern(struct guest *g, struct guest_queue *q, unsigned i, uint16_t size)
{
    bool packed = g->features & VIRTIO_F_RING_PACKED;

    guest_common_set(g, COMMON(queue_select), 2, i);
    q->size = (uint16_t)guest_common(g, COMMON(queue_size), 2);
    assert_true(q->size >= size);
    if (size) {
        q->size = size;
        guest_common_set(g, COMMON(queue_size), 2, size);
    }
    q->desc = guest_alloc(g, 16u * q->size, 16);
    q->driver = guest_alloc(g, packed ? 4 : 6 + 2u * q->size, 4);
    q->device = guest_alloc(g, packed ? 4 : 6 + 8u * q->size, 4);
    for (unsigned half = 0; half < 2; half++) {
        unsigned shift = 32 * half, off = 4 * half;

        guest_common_set(g, COMMON(queue_desc) + off, 4, (uint32_t)(q->desc >> shift));
        guest_common_set(g, COMMON(queue_driver) + off, 4, (uint32_t)(q->driver >> shift));
        guest_common_set(g, COMMON(queue_device) + off, 4, (uint32_t)(q->device >> shift));
    }
    if (g->vectors)
        guest_common_set(g, COMMON(queue_msix_vector), 2, i + 1);
    guest_common_set(g, COMMON(queue_enable), 2, 1);
}

void guest_queue(struct guest *g, unsigned i, uint16_t size)
{
    struct guest_queue *q = &g->q[i];

    memset(q, 0, sizeof(*q));
    q->wrap = q->used_wrap = true;
    if (g->legacy)
        queue_legacy(g, q, i);
    else
        queue_modern(g, q, i, size);
}

void guest_driver_ok(struct guest *g)
{
    guest_status_set(g, guest_status(g) | VIRTIO_STATUS_DRIVER_OK);
    fake_env_run(&g->f);
}

void guest_start(struct guest *g, bool legacy, uint64_t want, unsigned queues)
{
    assert_true(guest_negotiate(g, legacy, want));
    for (unsigned i = 0; i < queues; i++)
        guest_queue(g, i, 0);
    guest_driver_ok(g);
    assert_true(guest_status(g) & VIRTIO_STATUS_DRIVER_OK);
    assert_false(guest_status(g) & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
}

/* --- rings --- */

static void put_desc(struct guest *g, gpa_t at, gpa_t addr, uint32_t len, uint16_t a, uint16_t b)
{
    guest_poke(g, at, 8, addr);
    guest_poke(g, at + 8, 4, len);
    guest_poke(g, at + 12, 2, a);
    guest_poke(g, at + 14, 2, b);
}

/* A table in guest memory; split tables link their entries, packed ones do not. */
static gpa_t put_table(struct guest *g, const struct guest_buf *b, unsigned n, bool packed)
{
    gpa_t t = guest_alloc(g, 16u * n, 16);

    for (unsigned i = 0; i < n; i++) {
        uint16_t flags = b[i].in ? VIRTQ_DESC_F_WRITE : 0;

        if (packed)
            put_desc(g, t + 16 * i, b[i].at, b[i].len, 0, flags);
        else
            put_desc(g, t + 16 * i, b[i].at, b[i].len,
                     (uint16_t)(flags | (i + 1 < n ? VIRTQ_DESC_F_NEXT : 0)), (uint16_t)(i + 1));
    }
    return t;
}

static uint16_t add_split(struct guest *g, struct guest_queue *q, const struct guest_buf *b,
                          unsigned n, gpa_t table)
{
    uint16_t head = q->next_free;

    for (unsigned i = 0; i < (table ? 1 : n); i++) {
        uint16_t at = q->next_free, next = (uint16_t)((at + 1) % q->size);
        uint16_t flags = b[i].in ? VIRTQ_DESC_F_WRITE : 0;

        if (table)
            put_desc(g, q->desc + 16u * at, table, 16 * n, VIRTQ_DESC_F_INDIRECT, 0);
        else
            put_desc(g, q->desc + 16u * at, b[i].at, b[i].len,
                     (uint16_t)(flags | (i + 1 < n ? VIRTQ_DESC_F_NEXT : 0)), next);
        q->next_free = next;
    }
    guest_poke(g, q->driver + 4 + 2u * (q->avail % q->size), 2, head);
    q->avail++;
    guest_poke(g, q->driver + 2, 2, q->avail);
    return head;
}

static uint16_t add_packed(struct guest *g, struct guest_queue *q, const struct guest_buf *b,
                           unsigned n, gpa_t table)
{
    uint16_t id = q->avail, first = q->avail, first_flags = 0;
    unsigned count = table ? 1 : n;

    q->slots[id] = (uint16_t)count;
    for (unsigned i = 0; i < count; i++) {
        uint16_t flags = q->wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;

        if (table)
            flags |= VIRTQ_DESC_F_INDIRECT;
        else
            flags |= (uint16_t)((b[i].in ? VIRTQ_DESC_F_WRITE : 0) |
                                (i + 1 < n ? VIRTQ_DESC_F_NEXT : 0));
        if (i == 0)
            first_flags = flags;
        /* The first descriptor becomes available last. */
        put_desc(g, q->desc + 16u * q->avail, table ? table : b[i].at, table ? 16 * n : b[i].len,
                 id, i == 0 ? (uint16_t)guest_peek(g, q->desc + 16u * q->avail + 14, 2) : flags);
        if (++q->avail == q->size) {
            q->avail = 0;
            q->wrap = !q->wrap;
        }
    }
    guest_poke(g, q->desc + 16u * first + 14, 2, first_flags);
    return id;
}

uint16_t guest_add(struct guest *g, unsigned i, const struct guest_buf *b, unsigned n,
                   bool indirect)
{
    bool packed = g->features & VIRTIO_F_RING_PACKED;
    gpa_t table = indirect ? put_table(g, b, n, packed) : 0;

    return packed ? add_packed(g, &g->q[i], b, n, table) : add_split(g, &g->q[i], b, n, table);
}

void guest_kick(struct guest *g, unsigned i)
{
    fake_env_out(&g->f, g->bar[0] + VIRTIO_PCI_QUEUE_NOTIFY, 2, i);
}

static bool used_split(struct guest *g, struct guest_queue *q, uint16_t *id, uint32_t *len)
{
    gpa_t e = q->device + 4 + 8u * (q->used % q->size);

    if ((uint16_t)guest_peek(g, q->device + 2, 2) == q->used)
        return false;
    *id = (uint16_t)guest_peek(g, e, 4);
    *len = (uint32_t)guest_peek(g, e + 4, 4);
    q->used++;
    if (g->features & VIRTIO_F_EVENT_IDX)
        guest_poke(g, q->driver + 4 + 2u * q->size, 2, q->used);
    return true;
}

static bool used_packed(struct guest *g, struct guest_queue *q, uint16_t *id, uint32_t *len)
{
    gpa_t e = q->desc + 16u * q->used;
    uint16_t flags = (uint16_t)guest_peek(g, e + 14, 2);
    unsigned next;

    if (!!(flags & VIRTQ_DESC_F_USED) != q->used_wrap ||
        !!(flags & VIRTQ_DESC_F_AVAIL) != q->used_wrap)
        return false;
    *len = (uint32_t)guest_peek(g, e + 8, 4);
    *id = (uint16_t)guest_peek(g, e + 12, 2);
    assert_true(*id < q->size);
    next = q->used + (unsigned)q->slots[*id];
    if (next >= q->size) {
        next -= q->size;
        q->used_wrap = !q->used_wrap;
    }
    q->used = (uint16_t)next;
    if (g->features & VIRTIO_F_EVENT_IDX) {
        guest_poke(g, q->driver, 2, (uint16_t)(q->used | q->used_wrap << 15));
        guest_poke(g, q->driver + 2, 2, RING_EVENT_FLAGS_DESC);
    }
    return true;
}

bool guest_used(struct guest *g, unsigned i, uint16_t *id, uint32_t *len)
{
    struct guest_queue *q = &g->q[i];

    return g->features & VIRTIO_F_RING_PACKED ? used_packed(g, q, id, len)
                                              : used_split(g, q, id, len);
}

unsigned guest_irqs(struct guest *g, unsigned i)
{
    return fake_irqs_take(&g->f.irqs, GUEST_MSI + i + 1);
}
