/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci_msix.c - MSI and MSI-X, PCI Local Bus Specification 3.0 section 6.8.
 *
 * MSI is the 64-bit form with per-vector masks and up to 32 vectors. An MSI-X BAR holds the table
 * in its lower half and the pending bits in its upper half, and is answered by a device of its
 * own, so that table accesses do not wait for the model.
 *
 * A vector is live while its function is switched on and nothing masks it. Raising one that is not
 * live sets its pending bit; making it live sends what is pending. Both sides set their own flag
 * before they look at the other's, so no interrupt is lost and no lock is needed to raise.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "board/pci_priv.h"
#include "core/err.h"

enum {
    MSIX_ENTRY = 16,
    MSIX_VECTORS_MAX = 2048,
    MSIX_HALF_MIN = 2048,
    PCI_MSIX_FLAGS = 2,
    PCI_MSIX_FLAGS_ENABLE = 0x8000,
    PCI_MSIX_FLAGS_MASKALL = 0x4000,
    PCI_MSIX_ENTRY_VECTOR_CTRL = 12,
    PCI_MSIX_ENTRY_CTRL_MASKBIT = 1,
    PCI_MSI_FLAGS = 2,
    PCI_MSI_FLAGS_ENABLE = 0x0001,
    PCI_MSI_ADDRESS_LO = 4,
    PCI_MSI_ADDRESS_HI = 8,
    PCI_MSI_DATA_64 = 12,
    PCI_MSI_MASK_64 = 16,
    PCI_MSI_PENDING_64 = 20,
    PCI_MSI_CAP_SIZE = 24,
};

struct vector {
    struct irq *irq;
    bool live, pending; /* atomic */
    uint64_t addr;      /* what is routed while live */
    uint32_t data;
};

struct pci_msix {
    struct device dev; /* answers the BAR */
    struct pci_dev *p;
    unsigned bar, cap, half, vectors;
    bool on, masked; /* from the capability */
    uint8_t *table;
    struct vector v[];
};

struct pci_msi {
    unsigned cap, vectors;
    struct vector v[];
};

/* --- vectors --- */

static void vector_raise(struct vector *v)
{
    if (__atomic_load_n(&v->live, __ATOMIC_SEQ_CST)) {
        irq_raise(v->irq);
        return;
    }
    __atomic_store_n(&v->pending, true, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&v->live, __ATOMIC_SEQ_CST) &&
        __atomic_exchange_n(&v->pending, false, __ATOMIC_SEQ_CST))
        irq_raise(v->irq);
}

static void vector_set(struct irqs *irqs, struct vector *v, bool live, uint64_t addr, uint32_t data)
{
    if (!live && !v->live)
        return;
    if (live == v->live && addr == v->addr && data == v->data)
        return;
    irqs->ops->msi_route(irqs, v->irq, live, addr, data);
    v->addr = addr;
    v->data = data;
    __atomic_store_n(&v->live, live, __ATOMIC_SEQ_CST);
    if (live && __atomic_exchange_n(&v->pending, false, __ATOMIC_SEQ_CST))
        irq_raise(v->irq);
}

static int vectors_create(struct irqs *irqs, struct vector *v, unsigned n, struct err *e)
{
    int rc = 0;

    for (unsigned i = 0; i < n && rc == 0; i++)
        rc = irqs->ops->msi(irqs, &v[i].irq, e);
    return rc;
}

static void vectors_free(struct irqs *irqs, struct vector *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (!v[i].irq)
            continue;
        vector_set(irqs, &v[i], false, 0, 0);
        irqs->ops->release(irqs, v[i].irq);
    }
}

/* --- the MSI-X table --- */

static void msix_vector_update(struct pci_msix *x, unsigned i)
{
    const uint8_t *t = &x->table[i * MSIX_ENTRY];
    bool masked = t[PCI_MSIX_ENTRY_VECTOR_CTRL] & PCI_MSIX_ENTRY_CTRL_MASKBIT;

    vector_set(x->dev.env.irqs, &x->v[i], x->on && !x->masked && !masked, le64_at(t) & ~UINT64_C(3),
               le32_at(t + 8));
}

static void msix_update(struct pci_msix *x)
{
    for (unsigned i = 0; i < x->vectors; i++)
        msix_vector_update(x, i);
}

static uint64_t msix_pending(const struct pci_msix *x, uint64_t off, unsigned size)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < 8 * size; i++) {
        uint64_t n = off * 8 + i;

        if (n < x->vectors && READ_ONCE(x->v[n].pending))
            bits |= UINT64_C(1) << i;
    }
    return bits;
}

static void msix_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                    uint64_t *val)
{
    struct pci_msix *x = container_of(d, struct pci_msix, dev);

    if (off >= x->half) {
        if (dir == ACC_READ)
            *val = msix_pending(x, off - x->half, size);
        return;
    }
    if (off + size > x->vectors * (uint64_t)MSIX_ENTRY)
        return;
    if (dir == ACC_READ) {
        memcpy(val, &x->table[off], size);
        return;
    }
    memcpy(&x->table[off], val, size);
    for (uint64_t i = off / MSIX_ENTRY; i <= (off + size - 1) / MSIX_ENTRY; i++) {
        /* Only the mask bit of Vector Control is there. */
        uint8_t *ctrl = &x->table[i * MSIX_ENTRY + PCI_MSIX_ENTRY_VECTOR_CTRL];

        le32_put(ctrl, le32_at(ctrl) & PCI_MSIX_ENTRY_CTRL_MASKBIT);
        msix_vector_update(x, (unsigned)i);
    }
}

static void msix_nothing(struct device *d)
{
}

static const struct device_ops msix_ops = {
    .name = "pci-msix",
    .destroy = msix_nothing,
    .reset = msix_nothing,
    .io = msix_io,
};

static void msix_table_clear(struct pci_msix *x)
{
    memset(x->table, 0, x->vectors * (size_t)MSIX_ENTRY);
    for (unsigned i = 0; i < x->vectors; i++)
        x->table[i * MSIX_ENTRY + PCI_MSIX_ENTRY_VECTOR_CTRL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

int pci_add_msix(struct pci_dev *p, unsigned bar, unsigned vectors, struct err *e)
{
    uint8_t body[12] = {0}, write[12] = {0};
    struct pci_msix *x;
    int rc;

    assert(!p->msix && bar < PCI_BARS && vectors >= 1 && vectors <= MSIX_VECTORS_MAX);
    x = calloc(1, sizeof(*x) + vectors * sizeof(x->v[0]));
    if (x)
        x->table = calloc(vectors, MSIX_ENTRY);
    if (!x || !x->table) {
        free(x);
        return err_set(e, ENOMEM, "no memory for an MSI-X table");
    }
    device_init(&x->dev, &msix_ops, &p->dev.env);
    p->msix = x;
    x->p = p;
    x->bar = bar;
    x->vectors = vectors;
    x->half = MSIX_HALF_MIN;
    while (x->half < vectors * MSIX_ENTRY)
        x->half *= 2;
    msix_table_clear(x);
    le16_put(body + PCI_MSIX_FLAGS, (uint16_t)(vectors - 1));
    le32_put(body + 4, bar);
    le32_put(body + 8, x->half | bar);
    le16_put(write + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    x->cap = pci_add_cap(p, PCI_CAP_ID_MSIX, body, write, sizeof(body));
    assert(x->cap);
    p->bar[bar].kind = PCI_BAR_MEM32;
    p->bar[bar].size = 2 * (uint64_t)x->half;
    rc = vectors_create(p->dev.env.irqs, x->v, vectors, e);
    if (rc < 0)
        pci_msix_free(p);
    return rc;
}

bool pci_msix_enabled(const struct pci_dev *p)
{
    return p->msix && READ_ONCE(p->msix->on);
}

struct irq *pci_msix_irq(struct pci_dev *p, unsigned v)
{
    return p->msix && v < p->msix->vectors ? p->msix->v[v].irq : NULL;
}

struct device *pci_msix_bar_owner(struct pci_dev *p, unsigned bar)
{
    return p->msix && p->msix->bar == bar ? &p->msix->dev : NULL;
}

/* --- MSI --- */

int pci_add_msi(struct pci_dev *p, unsigned vectors, struct err *e)
{
    uint8_t body[PCI_MSI_CAP_SIZE] = {0}, write[PCI_MSI_CAP_SIZE] = {0};
    struct pci_msi *m;
    int rc;

    assert(!p->msi && is_pow2(vectors) && vectors <= 32);
    m = calloc(1, sizeof(*m) + vectors * sizeof(m->v[0]));
    if (!m)
        return err_set(e, ENOMEM, "no memory for MSI vectors");
    p->msi = m;
    m->vectors = vectors;
    /* 64-bit addresses, masks per vector, Multiple Message Capable */
    body[PCI_MSI_FLAGS] = (uint8_t)(0x80 | __builtin_ctz(vectors) << 1);
    body[PCI_MSI_FLAGS + 1] = 1;
    write[PCI_MSI_FLAGS] = 0x71;
    memset(&write[PCI_MSI_ADDRESS_LO], 0xff, 10);
    write[PCI_MSI_ADDRESS_LO] = 0xfc;
    le32_put(&write[PCI_MSI_MASK_64], (uint32_t)((UINT64_C(1) << vectors) - 1));
    m->cap = pci_add_cap(p, PCI_CAP_ID_MSI, body, write, sizeof(body));
    assert(m->cap);
    rc = vectors_create(p->dev.env.irqs, m->v, vectors, e);
    if (rc < 0)
        pci_msix_free(p);
    return rc;
}

static bool msi_on(const struct pci_dev *p)
{
    return p->msi && (p->config[p->msi->cap + PCI_MSI_FLAGS] & PCI_MSI_FLAGS_ENABLE);
}

/* Vectors that software allowed; more than were offered count as what was offered. */
static unsigned msi_allowed(const struct pci_dev *p)
{
    unsigned n = 1u << (p->config[p->msi->cap + PCI_MSI_FLAGS] >> 4 & 7);

    return n < p->msi->vectors ? n : p->msi->vectors;
}

static void msi_pending_show(struct pci_dev *p)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < p->msi->vectors; i++) {
        if (READ_ONCE(p->msi->v[i].pending))
            bits |= 1u << i;
    }
    le32_put(&p->config[p->msi->cap + PCI_MSI_PENDING_64], bits);
}

static void msi_update(struct pci_dev *p)
{
    const uint8_t *c = &p->config[p->msi->cap];
    unsigned allowed = msi_allowed(p);
    uint32_t mask = le32_at(c + PCI_MSI_MASK_64);

    for (unsigned i = 0; i < p->msi->vectors; i++) {
        uint32_t data = (le16_at(c + PCI_MSI_DATA_64) & ~(allowed - 1)) | i;

        vector_set(p->dev.env.irqs, &p->msi->v[i], msi_on(p) && i < allowed && !(mask >> i & 1),
                   le64_at(c + PCI_MSI_ADDRESS_LO), data);
    }
}

/* --- both --- */

bool pci_notify(struct pci_dev *p, unsigned v)
{
    if (pci_msix_enabled(p)) {
        if (v < p->msix->vectors)
            vector_raise(&p->msix->v[v]);
        return true;
    }
    if (msi_on(p)) {
        vector_raise(&p->msi->v[v < msi_allowed(p) ? v : 0]);
        return true;
    }
    return false;
}

static bool touches_cap(unsigned off, unsigned size, unsigned cap, unsigned len)
{
    return off < cap + len && off + size > cap;
}

/* Vectors become pending on any thread, so it is looked when it is asked. Under the bus's lock. */
void pci_msix_config_reading(struct pci_dev *p, unsigned off, unsigned size)
{
    if (p->msi && touches_cap(off, size, p->msi->cap + PCI_MSI_PENDING_64, 4))
        msi_pending_show(p);
}

void pci_msix_config_written(struct pci_dev *p, unsigned off, unsigned size)
{
    struct pci_msix *x = p->msix;

    if (x && touches_cap(off, size, x->cap + PCI_MSIX_FLAGS, 2)) {
        uint16_t flags = pci_config_get16(p, x->cap + PCI_MSIX_FLAGS);

        device_lock(&x->dev);
        WRITE_ONCE(x->on, (flags & PCI_MSIX_FLAGS_ENABLE) != 0);
        x->masked = flags & PCI_MSIX_FLAGS_MASKALL;
        msix_update(x);
        device_unlock(&x->dev);
    }
    if (p->msi && touches_cap(off, size, p->msi->cap, PCI_MSI_CAP_SIZE))
        msi_update(p);
}

void pci_msix_reset(struct pci_dev *p)
{
    if (p->msix) {
        p->msix->on = p->msix->masked = false;
        msix_table_clear(p->msix);
        msix_update(p->msix);
        for (unsigned i = 0; i < p->msix->vectors; i++)
            p->msix->v[i].pending = false;
    }
    if (p->msi) {
        msi_update(p);
        for (unsigned i = 0; i < p->msi->vectors; i++)
            p->msi->v[i].pending = false;
    }
}

void pci_msix_free(struct pci_dev *p)
{
    struct irqs *irqs = p->dev.env.irqs;

    if (p->msix) {
        vectors_free(irqs, p->msix->v, p->msix->vectors);
        free(p->msix->table);
        free(p->msix);
        p->msix = NULL;
    }
    if (p->msi) {
        vectors_free(irqs, p->msi->v, p->msi->vectors);
        free(p->msi);
        p->msi = NULL;
    }
}
