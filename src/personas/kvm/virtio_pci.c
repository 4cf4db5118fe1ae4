/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_pci.c - the registers of a virtio PCI function (VIRTIO 1.2, 4.1), modern and legacy.
 *
 * BAR 0 (I/O) is the legacy header. Its queue notify register is also what the first of two notify
 * capabilities points at, with a multiplier of 0: a port write leaves the guest at half the cost of
 * a memory write. The other is for drivers that know doorbells in memory alone: 4.1.4 has a driver
 * take the first that it can use, and those which look no closer take the last. BAR 1 holds the
 * MSI-X table. BAR 4 (memory) holds the modern structures:
 *
 *     0x000 common configuration    0x080 ISR    0x100 device configuration    0x200 doorbells
 *
 * Not modelled: VIRTIO_F_NOTIFICATION_DATA, shared memory regions, SR-IOV.
 */
#include <errno.h>
#include <string.h>

#include "core/err.h"
#include "virtio.h"

enum {
    BAR_LEGACY = 0,
    BAR_MSIX = 1,
    BAR_MODERN = 4,
    LEGACY_BYTES = 128,
    MODERN_BYTES = 4096,
    OFF_COMMON = 0,
    OFF_ISR = 0x80,
    OFF_DEVICE = 0x100,
    OFF_NOTIFY = 0x200,
    NOTIFY_STEP = 4,
    LEGACY_FEATURES = 0, /* word 0 of the feature bits */
};

static struct virtio_queue *selected(struct virtio *v)
{
    return v->queue_select < v->queues ? &v->q[v->queue_select] : NULL;
}

static uint16_t vector_check(const struct virtio *v, uint64_t vector)
{
    return vector <= v->queues ? (uint16_t)vector : VIRTIO_MSI_NO_VECTOR;
}

static uint8_t isr_take(struct virtio *v)
{
    uint8_t isr = v->isr;

    v->isr = 0;
    if (isr)
        pci_intx(&v->pci, false);
    return isr;
}

/* --- device configuration: plain bytes --- */

static uint64_t config_read(const struct virtio *v, uint64_t off, unsigned size)
{
    uint64_t val = 0;

    if (range_in(off, size, v->config_len))
        memcpy(&val, v->config + off, size);
    return val;
}

static void config_write(struct virtio *v, uint64_t off, unsigned size, uint64_t val)
{
    bool any = false;

    if (!range_in(off, size, v->config_len))
        return;
    for (unsigned i = 0; i < size; i++) {
        uint8_t mask = v->config_mask[off + i];

        any |= mask;
        v->config[off + i] = (uint8_t)((v->config[off + i] & ~mask) | ((val >> 8 * i) & mask));
    }
    if (any && v->cls->config_written)
        v->cls->config_written(v, (unsigned)off, size);
}

/* --- modern --- */

static uint32_t feature_word(uint64_t f, uint32_t select)
{
    return select < 2 ? (uint32_t)(f >> 32 * select) : 0;
}

static void common_fill(struct virtio *v, struct virtio_pci_common_cfg *c)
{
    const struct virtio_queue *q = selected(v);

    memset(c, 0, sizeof(*c));
    c->device_feature_select = le32_of(v->device_feature_select);
    c->device_feature = le32_of(feature_word(v->offered, v->device_feature_select));
    c->driver_feature_select = le32_of(v->driver_feature_select);
    c->driver_feature = le32_of(feature_word(v->features, v->driver_feature_select));
    c->config_msix_vector = le16_of(v->config_vector);
    c->num_queues = le16_of((uint16_t)v->queues);
    c->device_status = v->status;
    c->config_generation = v->generation;
    c->queue_select = le16_of(v->queue_select);
    c->queue_msix_vector = le16_of(VIRTIO_MSI_NO_VECTOR);
    if (!q)
        return;
    c->queue_size = le16_of(q->vq.size);
    c->queue_msix_vector = le16_of(q->vector);
    c->queue_enable = le16_of(q->enabled);
    c->queue_notify_off = le16_of((uint16_t)q->index);
    c->queue_desc = le64_of(q->vq.desc);
    c->queue_driver = le64_of(q->vq.driver);
    c->queue_device = le64_of(q->vq.device);
    c->queue_reset = le16_of(q->resetting);
}

static uint64_t common_read(struct virtio *v, uint64_t off, unsigned size)
{
    struct virtio_pci_common_cfg c;
    uint64_t val = 0;

    if (!range_in(off, size, sizeof(c)))
        return 0;
    common_fill(v, &c);
    memcpy(&val, (const uint8_t *)&c + off, size);
    return val;
}

static void feature_write(struct virtio *v, uint32_t val)
{
    unsigned shift = 32 * v->driver_feature_select;

    if (v->driver_feature_select > 1 || v->legacy || v->status & VIRTIO_STATUS_FEATURES_OK)
        return;
    v->features = (v->features & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)val << shift;
}

static void half_put(gpa_t *at, bool high, uint64_t val, unsigned size)
{
    if (size == 8)
        *at = val;
    else if (high)
        *at = (*at & 0xffffffff) | (val & 0xffffffff) << 32;
    else
        *at = (*at & ~UINT64_C(0xffffffff)) | (val & 0xffffffff);
}

#define COMMON(field) __builtin_offsetof(struct virtio_pci_common_cfg, field)

/* Registers of the selected queue. */
static void queue_write(struct virtio *v, uint64_t off, unsigned size, uint64_t val)
{
    struct virtio_queue *q = selected(v);

    if (!q)
        return;
    if (off == COMMON(queue_msix_vector)) {
        q->vector = vector_check(v, val);
    } else if (off == COMMON(queue_enable)) {
        if (val == 1)
            virtio_queue_enable(v, q);
    } else if (off == COMMON(queue_reset)) {
        if (val == 1 && virtio_has(v, VIRTIO_F_RING_RESET))
            virtio_queue_reset(v, q);
    } else if (q->enabled) {
        guest_fault(&v->pci.dev, "queue %u is in use: write to register %#x refused", q->index,
                    (unsigned)off);
    } else if (off == COMMON(queue_size)) {
        if (val == 0 || val > q->max)
            guest_fault(&v->pci.dev, "queue %u cannot have %u entries", q->index, (unsigned)val);
        else
            q->vq.size = (uint16_t)val;
    } else if (off >= COMMON(queue_desc) && off < COMMON(queue_notify_data) && size >= 4) {
        gpa_t *at[] = {&q->vq.desc, &q->vq.driver, &q->vq.device};

        half_put(at[(off - COMMON(queue_desc)) / 8], off % 8 == 4, val, size);
    }
}

static void common_write(struct virtio *v, uint64_t off, unsigned size, uint64_t val)
{
    switch (off) {
    case COMMON(device_feature_select):
        v->device_feature_select = (uint32_t)val;
        break;
    case COMMON(driver_feature_select):
        v->driver_feature_select = (uint32_t)val;
        break;
    case COMMON(driver_feature):
        feature_write(v, (uint32_t)val);
        break;
    case COMMON(config_msix_vector):
        v->config_vector = vector_check(v, val);
        break;
    case COMMON(device_status):
        virtio_set_status(v, (uint8_t)val);
        break;
    case COMMON(queue_select):
        v->queue_select = (uint16_t)val;
        break;
    default:
        if (!v->resetting)
            queue_write(v, off, size, val);
    }
}

static void notify(struct virtio *v, uint64_t queue)
{
    size_t i;

    if (idx_in(queue, v->queues, &i))
        virtio_kick(v, &v->q[i]);
}

static void modern_io(struct virtio *v, uint64_t off, unsigned size, enum access dir, uint64_t *val)
{
    uint64_t bits = size == 8 ? *val : *val & ((UINT64_C(1) << 8 * size) - 1);

    if (off >= OFF_NOTIFY && dir == ACC_READ)
        *val = 0;
    else if (off >= OFF_NOTIFY)
        notify(v, (off - OFF_NOTIFY) / NOTIFY_STEP);
    else if (off >= OFF_DEVICE && dir == ACC_READ)
        *val = config_read(v, off - OFF_DEVICE, size);
    else if (off >= OFF_DEVICE)
        config_write(v, off - OFF_DEVICE, size, bits);
    else if (off >= OFF_ISR)
        *val = off == OFF_ISR && dir == ACC_READ ? isr_take(v) : 0;
    else if (dir == ACC_READ)
        *val = common_read(v, off - OFF_COMMON, size);
    else
        common_write(v, off - OFF_COMMON, size, bits);
}

/* --- legacy --- */

static unsigned legacy_config_at(const struct virtio *v)
{
    return pci_msix_enabled(&v->pci) ? VIRTIO_PCI_CONFIG_MSIX : VIRTIO_PCI_CONFIG_NO_MSIX;
}

/* The ring is one piece of memory at a page; the device part starts on a page of its own. */
static void legacy_pfn(struct virtio *v, struct virtio_queue *q, uint32_t pfn)
{
    uint64_t at = (uint64_t)pfn << VIRTIO_PCI_QUEUE_ADDR_SHIFT;

    if (pfn == 0) {
        virtio_queue_reset(v, q);
        virtio_wait_idle(v);
        return;
    }
    if (q->enabled || q->resetting)
        return;
    q->vq.size = q->max;
    q->vq.desc = at;
    q->vq.driver = at + vq_desc_bytes(q->max);
    q->vq.device = align_up(q->vq.driver + vq_driver_bytes(q->max, false), VIRTIO_PCI_VRING_ALIGN);
    virtio_queue_enable(v, q);
}

static uint64_t legacy_read(struct virtio *v, uint64_t off, unsigned size)
{
    const struct virtio_queue *q = selected(v);

    if (off >= legacy_config_at(v))
        return config_read(v, off - legacy_config_at(v), size);
    switch (off) {
    case VIRTIO_PCI_HOST_FEATURES:
        return feature_word(v->offered, LEGACY_FEATURES);
    case VIRTIO_PCI_GUEST_FEATURES:
        return feature_word(v->features, LEGACY_FEATURES);
    case VIRTIO_PCI_QUEUE_PFN:
        return q && q->enabled ? q->vq.desc >> VIRTIO_PCI_QUEUE_ADDR_SHIFT : 0;
    case VIRTIO_PCI_QUEUE_NUM:
        return q ? q->max : 0;
    case VIRTIO_PCI_QUEUE_SEL:
        return v->queue_select;
    case VIRTIO_PCI_STATUS:
        return v->status;
    case VIRTIO_PCI_ISR:
        return isr_take(v);
    case VIRTIO_MSI_CONFIG_VECTOR:
        return v->config_vector;
    case VIRTIO_MSI_QUEUE_VECTOR:
        return q ? q->vector : VIRTIO_MSI_NO_VECTOR;
    default:
        return 0;
    }
}

static void legacy_write(struct virtio *v, uint64_t off, unsigned size, uint64_t val)
{
    struct virtio_queue *q = selected(v);

    if (off >= legacy_config_at(v)) {
        config_write(v, off - legacy_config_at(v), size, val);
        return;
    }
    if (off == VIRTIO_PCI_STATUS) {
        if ((val & 0xff) && !v->resetting && !(v->status & VIRTIO_STATUS_FEATURES_OK)) {
            v->legacy = true; /* from here on the legacy rules hold, until the next reset */
            v->features &= v->offered & 0xffffffff;
        }
        virtio_set_status(v, (uint8_t)val);
        if (v->resetting)
            virtio_wait_idle(v);
        return;
    }
    if (off == VIRTIO_PCI_QUEUE_SEL) {
        v->queue_select = (uint16_t)val;
        return;
    }
    if (v->resetting || !v->legacy)
        return;
    if (off == VIRTIO_PCI_GUEST_FEATURES)
        v->features = v->running ? v->features : val & v->offered & 0xffffffff;
    else if (off == VIRTIO_MSI_CONFIG_VECTOR)
        v->config_vector = vector_check(v, val);
    else if (q && off == VIRTIO_MSI_QUEUE_VECTOR)
        q->vector = vector_check(v, val);
    else if (q && off == VIRTIO_PCI_QUEUE_PFN)
        legacy_pfn(v, q, (uint32_t)val);
}

static bool has_legacy(const struct virtio *v)
{
    return v->offered & VIRTIO_F_ANY_LAYOUT;
}

void virtio_pci_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                   uint64_t *val)
{
    struct virtio *v = container_of(d, struct virtio, pci.dev);

    if (region == BAR_MODERN) {
        modern_io(v, off, size, dir, val);
    } else if (region != BAR_LEGACY) {
        return;
    } else if (off == VIRTIO_PCI_QUEUE_NOTIFY && dir == ACC_WRITE) {
        notify(v, *val & 0xffff);
    } else if (has_legacy(v) && dir == ACC_READ) {
        *val = legacy_read(v, off, size);
    } else if (has_legacy(v)) {
        legacy_write(v, off, size, *val & (size >= 4 ? 0xffffffff : (1u << 8 * size) - 1));
    }
}

/* --- capabilities --- */

/* 4.1.4.9: the bytes cfg_data are a window at (bar, offset, length) that the driver chose. */
static bool cfg_window(struct virtio *v, unsigned off, unsigned size, uint8_t *bar, uint32_t *at,
                       unsigned *len)
{
    struct virtio_pci_cfg_cap c;
    unsigned data = v->cfg_cap + __builtin_offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);

    if (off >= data + 4 || off + size <= data)
        return false;
    memcpy(&c, v->pci.config + v->cfg_cap, sizeof(c));
    *bar = c.cap.bar;
    *at = le32_get(c.cap.offset);
    *len = le32_get(c.cap.length);
    return (*len == 1 || *len == 2 || *len == 4) && *at % *len == 0 &&
           (*bar == BAR_LEGACY || *bar == BAR_MODERN) && range_in(*at, *len, v->pci.bar[*bar].size);
}

static void cfg_access(struct pci_dev *p, unsigned off, unsigned size, enum access dir)
{
    struct virtio *v = container_of(p, struct virtio, pci);
    uint64_t val = 0;
    uint8_t bar, *data;
    uint32_t at;
    unsigned len;

    if (!cfg_window(v, off, size, &bar, &at, &len))
        return;
    data = p->config + v->cfg_cap + __builtin_offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
    if (dir == ACC_WRITE)
        memcpy(&val, data, len);
    virtio_pci_io(&p->dev, bar, at, len, dir, &val);
    if (dir == ACC_READ)
        memcpy(data, &val, len);
}

static void config_written(struct pci_dev *p, unsigned off, unsigned size)
{
    cfg_access(p, off, size, ACC_WRITE);
}

static void config_reading(struct pci_dev *p, unsigned off, unsigned size)
{
    cfg_access(p, off, size, ACC_READ);
}

static int add_cap(struct virtio *v, uint8_t type, uint8_t bar, uint32_t off, uint32_t len)
{
    struct virtio_pci_notify_cap c = {
        .cap = {.cfg_type = type, .bar = bar, .offset = le32_of(off), .length = le32_of(len)},
        .notify_off_multiplier = le32_of(bar == BAR_MODERN ? NOTIFY_STEP : 0),
    };
    struct virtio_pci_cfg_cap mask = {0};
    unsigned size = sizeof(c.cap), at;

    if (type == VIRTIO_PCI_CAP_NOTIFY_CFG || type == VIRTIO_PCI_CAP_PCI_CFG)
        size = sizeof(c);
    if (type == VIRTIO_PCI_CAP_PCI_CFG) {
        mask.cap.bar = 0xff;
        mask.cap.offset = mask.cap.length = le32_of(UINT32_MAX);
        memset(mask.pci_cfg_data, 0xff, sizeof(mask.pci_cfg_data));
    }
    c.cap.cap_len = (uint8_t)size;
    at = pci_add_cap(&v->pci, VIRTIO_PCI_CAP_ID, &c, &mask, size);
    if (type == VIRTIO_PCI_CAP_PCI_CFG)
        v->cfg_cap = at;
    return at ? 0 : -ENOSPC;
}

int virtio_pci_setup(struct virtio *v, const struct virtio_options *o, struct err *e)
{
    static const struct {
        uint8_t type, bar;
        uint16_t off, len;
    } caps[] = {
        {VIRTIO_PCI_CAP_COMMON_CFG, BAR_MODERN, OFF_COMMON, sizeof(struct virtio_pci_common_cfg)},
        {VIRTIO_PCI_CAP_ISR_CFG, BAR_MODERN, OFF_ISR, 1},
        {VIRTIO_PCI_CAP_NOTIFY_CFG, BAR_LEGACY, VIRTIO_PCI_QUEUE_NOTIFY, 2},
        {VIRTIO_PCI_CAP_NOTIFY_CFG, BAR_MODERN, OFF_NOTIFY, NOTIFY_STEP * VIRTIO_QUEUES_MAX},
        {VIRTIO_PCI_CAP_DEVICE_CFG, BAR_MODERN, OFF_DEVICE, VIRTIO_CONFIG_BYTES},
        {VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0},
    };

    (void)o;
    v->pci.bar[BAR_LEGACY] = (struct pci_bar){.kind = PCI_BAR_IO, .size = LEGACY_BYTES};
    v->pci.bar[BAR_MODERN] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = MODERN_BYTES};
    for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
        if (add_cap(v, caps[i].type, caps[i].bar, caps[i].off, caps[i].len) < 0)
            return err_set(e, ENOSPC, "%s: no room for the virtio capabilities", v->pci.dev.env.id);
    }
    v->pci.config_written = config_written;
    v->pci.config_reading = config_reading;
    return pci_add_msix(&v->pci, BAR_MSIX, v->queues + 1, e);
}
