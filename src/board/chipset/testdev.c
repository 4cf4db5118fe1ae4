/* SPDX-License-Identifier: Apache-2.0 */
/*
 * testdev.c - the test devices that kvm-unit-tests drives: QEMU's isa-debug-exit, pc-testdev and
 * pci-testdev (their register layouts, from QEMU's docs/specs and the tests' own headers).
 *
 *   0xf4            a write ends the process with value << 1 | 1
 *   0xe0, 0xe8      32-bit latches, readable in any width
 *   0xe4            a write of a guest address takes that page out of the host's page tables
 *   0x2000-0x2017   a write sets interrupt line n to !!value
 *   0xff000000      64 KiB that behave like memory, through exits
 *   PCI 1b36:0005   BAR 0 memory, BAR 1 ports: counts accesses of a chosen kind
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/bytes.h"
#include "board/chipset/chipset.h"
#include "board/pci.h"
#include "core/err.h"
#include "core/gmem.h"

enum region {
    REGION_EXIT,
    REGION_LATCH,
    REGION_FLUSH,
    REGION_LATCH_BYTES,
    REGION_IRQ,
    REGION_PORTS,
    REGION_MEM = REGION_PORTS,
};

enum { TESTDEV_LINES = 24, TESTDEV_MEM = 64 << 10, TESTDEV_PAGE = 4096 };
#define TESTDEV_MEM_AT UINT64_C(0xff000000)

struct testdev {
    struct device d; /* first */
    struct board_signal sig;
    uint32_t latch[2];
    struct irq *line[TESTDEV_LINES];
    uint8_t mem[TESTDEV_MEM];
};

static void testdev_bytes(void *p, uint64_t off, unsigned size, enum access dir, uint64_t *val)
{
    if (dir == ACC_READ)
        memcpy(val, (uint8_t *)p + off, size);
    else
        memcpy((uint8_t *)p + off, val, size);
}

/* Another mapping of the page makes KVM forget its own. */
static void testdev_flush(struct testdev *t, uint32_t addr)
{
    void *page = gmem_shared(t->d.env.mem, addr & ~(gpa_t)(TESTDEV_PAGE - 1), TESTDEV_PAGE);

    if (!page || mprotect(page, TESTDEV_PAGE, PROT_NONE) < 0 ||
        mprotect(page, TESTDEV_PAGE, PROT_READ | PROT_WRITE) < 0)
        guest_fault(&t->d, "cannot flush page 0x%x", addr);
}

static void testdev_line(struct testdev *t, uint64_t off, uint64_t v)
{
    size_t n;

    if (idx_in(off, TESTDEV_LINES, &n) && t->line[n])
        t->line[n]->set(t->line[n], v != 0);
}

static void testdev_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                       enum access dir, uint64_t *val)
{
    struct testdev *t = (struct testdev *)d;

    switch (region) {
    case REGION_EXIT:
        if (dir == ACC_WRITE)
            t->sig.event(t->sig.arg, BOARD_TEST_EXIT, (unsigned)*val << 1 | 1, NULL);
        break;
    case REGION_LATCH:
        testdev_bytes(&t->latch[0], off, size, dir, val);
        break;
    case REGION_LATCH_BYTES:
        testdev_bytes(&t->latch[1], off, size, dir, val);
        break;
    case REGION_FLUSH:
        if (dir == ACC_WRITE && off == 0 && size == 4)
            testdev_flush(t, (uint32_t)*val);
        break;
    case REGION_IRQ:
        if (dir == ACC_WRITE && size == 1)
            testdev_line(t, off, *val & 0xff);
        break;
    default:
        testdev_bytes(t->mem, off, size, dir, val);
    }
}

static void testdev_reset(struct device *d)
{
    struct testdev *t = (struct testdev *)d;

    memset(t->latch, 0, sizeof(t->latch));
    memset(t->mem, 0, sizeof(t->mem));
    for (unsigned i = 0; i < TESTDEV_LINES; i++) {
        if (t->line[i])
            t->line[i]->set(t->line[i], false);
    }
}

static void testdev_destroy(struct device *d)
{
    struct testdev *t = (struct testdev *)d;

    bus_release(d->env.mmio, d, REGION_MEM);
    for (unsigned i = 0; i < TESTDEV_LINES; i++) {
        if (t->line[i])
            d->env.irqs->ops->release(d->env.irqs, t->line[i]);
    }
    chipset_free(d, REGION_PORTS, NULL);
    free(t);
}

static const struct device_ops testdev_ops = {
    .name = "testdev",
    .destroy = testdev_destroy,
    .reset = testdev_reset,
    .io = testdev_io,
};

/* --- pci-testdev --- */

enum { PCITEST_TESTS = 3, PCITEST_HEADER = 16, PCITEST_NAME = 32 };

/* One test, as the guest sees it at the start of either BAR. */
struct pcitest_header {
    uint8_t test; /* written: choose */
    uint8_t width;
    uint8_t pad0[2];
    le32 offset; /* write `data` here, `width` bytes wide */
    uint8_t data;
    uint8_t pad1[3];
    le32 count; /* of such writes */
    char name[PCITEST_NAME];
};

struct pcitest {
    struct pci_dev p; /* first */
    struct pcitest_header now[2];
};

enum { PCITEST_BAR_MEM, PCITEST_BAR_IO };

static void pcitest_choose(struct pcitest *t, unsigned bar, unsigned test)
{
    static const char *const name[PCITEST_TESTS] = {"no-eventfd", "wildcard-eventfd",
                                                    "datamatch-eventfd"};
    struct pcitest_header *h = &t->now[bar];

    memset(h, 0, sizeof(*h));
    h->test = (uint8_t)test;
    if (test >= PCITEST_TESTS)
        return; /* width 0: there is no such test */
    h->width = 1;
    h->offset = le32_of((bar == PCITEST_BAR_MEM ? 2048 : 128) + 8 * test);
    h->data = test == 2 ? 0xfa : 0xce;
    strncpy(h->name, name[test], PCITEST_NAME - 1);
    memcpy(h->name + strlen(h->name), bar == PCITEST_BAR_MEM ? "-mmio" : "-portio",
           bar == PCITEST_BAR_MEM ? 5 : 7);
}

static void pcitest_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                       enum access dir, uint64_t *val)
{
    struct pcitest *t = (struct pcitest *)d;
    struct pcitest_header *h = &t->now[region == PCITEST_BAR_IO];

    if (dir == ACC_READ) {
        if (off + size <= sizeof(*h))
            memcpy(val, (const uint8_t *)h + off, size);
        return;
    }
    if (off == 0)
        pcitest_choose(t, region == PCITEST_BAR_IO, (unsigned)*val & 0xff);
    else if (h->width && off == le32_get(h->offset) && (h->test != 2 || (*val & 0xff) == h->data))
        h->count = le32_of(le32_get(h->count) + 1);
}

static void pcitest_reset(struct device *d)
{
    struct pcitest *t = (struct pcitest *)d;

    pcitest_choose(t, 0, 0);
    pcitest_choose(t, 1, 0);
}

static void pcitest_destroy(struct device *d)
{
    free(d);
}

static const struct device_ops pcitest_ops = {
    .name = "pci-testdev",
    .destroy = pcitest_destroy,
    .reset = pcitest_reset,
    .io = pcitest_io,
};

static int pcitest_create(const struct env *env, struct err *e)
{
    static const struct pci_id id = {0x1b36, 0x0005, 0x1af4, 0x1100, 0xff000000};
    struct pcitest *t = calloc(1, sizeof(*t));
    int rc;

    if (!t)
        return err_set(e, ENOMEM, "no memory for the test device");
    pci_init(&t->p, &pcitest_ops, env, &id);
    t->p.config[PCI_INTERRUPT_PIN] = 0;
    t->p.bar[0] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = 4096};
    t->p.bar[1] = (struct pci_bar){.kind = PCI_BAR_IO, .size = 256};
    pcitest_reset(&t->p.dev);
    rc = pci_add(env->pci, &t->p, -1, e);
    if (rc < 0) {
        pci_remove(&t->p);
        free(t);
    }
    return rc;
}

int testdev_create(const struct env *env, const struct board_signal *sig, struct device **out,
                   struct err *e)
{
    static const struct {
        uint16_t port, len;
    } ports[REGION_PORTS] = {{0xf4, 4}, {0xe0, 4}, {0xe4, 4}, {0xe8, 4}, {0x2000, TESTDEV_LINES}};
    struct testdev *t = calloc(1, sizeof(*t));
    int rc = 0;

    if (!t)
        return err_set(e, ENOMEM, "no memory for the test device");
    device_init(&t->d, &testdev_ops, env);
    t->sig = *sig;
    for (unsigned i = 0; i < REGION_PORTS && rc == 0; i++)
        rc = chipset_claim(env, ports[i].port, ports[i].len, &t->d, i, e);
    for (unsigned i = 0; i < TESTDEV_LINES && rc == 0; i++)
        rc = chipset_line(env, i, &t->line[i], e);
    if (rc == 0 && bus_claim(env->mmio, TESTDEV_MEM_AT, TESTDEV_MEM, &t->d, REGION_MEM) < 0)
        rc = err_set(e, EEXIST, "the test device's memory is taken by another device");
    if (rc == 0)
        rc = pcitest_create(env, e);
    if (rc < 0) {
        testdev_destroy(&t->d);
        return rc;
    }
    *out = &t->d;
    return 0;
}
