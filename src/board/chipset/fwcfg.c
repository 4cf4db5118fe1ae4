/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fwcfg.c - the device from which firmware learns what the machine is (QEMU docs/specs/fw_cfg).
 *
 * Items are read by key, byte for byte at ports 0x510 and 0x511 or by DMA through 0x514. All are
 * read-only: a DMA write fails. Reads beyond an item's end, and of items that are not there, give
 * zeroes. Not modelled: the interface in memory, items that the guest writes.
 *
 * Threads: io() on vCPU threads; items are set with every vCPU stopped, or by who is told that the
 * directory is about to be read, under the device's lock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/fw_cfg.h"
#include "board/chipset/chipset.h"
#include "core/err.h"
#include "core/gmem.h"

enum { FWCFG_ITEMS = 48, FWCFG_FILES_MAX = 32, FWCFG_DMA = FW_CFG_PORT_DMA - FW_CFG_PORT_SEL };

static const uint8_t fwcfg_signature[8] = {'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G'};

struct fwcfg_item {
    uint16_t key;
    char name[FW_CFG_MAX_FILE_PATH]; /* empty: not a file */
    uint8_t *bytes;
    size_t len;
};

struct fwcfg_state {
    uint16_t key;
    uint64_t offset;
    uint32_t dma_high; /* written half of the descriptor's address */
};

struct fwcfg {
    struct device d; /* first */
    struct fwcfg_state s;
    struct fwcfg_item item[FWCFG_ITEMS];
    size_t items;
    uint16_t next_file;
    void (*directory_read)(void *arg);
    void *directory_arg;
};

/* --- items --- */

static struct fwcfg_item *fwcfg_find(struct fwcfg *f, uint16_t key)
{
    for (size_t i = 0; i < f->items; i++) {
        if (f->item[i].key == key)
            return &f->item[i];
    }
    return NULL;
}

static int fwcfg_store(struct fwcfg *f, struct fwcfg_item *it, const void *p, size_t n,
                       struct err *e)
{
    uint8_t *copy = malloc(n ? n : 1);

    if (!copy)
        return err_set(e, ENOMEM, "no memory for the firmware's configuration");
    if (n)
        memcpy(copy, p, n);
    if (it == &f->item[f->items])
        f->items++;
    free(it->bytes);
    it->bytes = copy;
    it->len = n;
    return 0;
}

int fwcfg_set(struct device *d, uint16_t key, const void *p, size_t n, struct err *e)
{
    struct fwcfg *f = (struct fwcfg *)d;
    struct fwcfg_item *it = fwcfg_find(f, key);

    if (!it && f->items == FWCFG_ITEMS)
        return err_set(e, ENOSPC, "the firmware's configuration is full");
    if (!it) {
        it = &f->item[f->items];
        it->key = key;
        it->name[0] = '\0';
    }
    return fwcfg_store(f, it, p, n, e);
}

static int fwcfg_set_directory(struct fwcfg *f, struct err *e)
{
    struct {
        be32 count;
        struct fw_cfg_file file[FWCFG_FILES_MAX];
    } dir = {.count = be32_of(0)};
    uint32_t n = 0;

    for (size_t i = 0; i < f->items && n < FWCFG_FILES_MAX; i++) {
        const struct fwcfg_item *it = &f->item[i];

        if (!it->name[0])
            continue;
        dir.file[n].size = be32_of((uint32_t)it->len);
        dir.file[n].select = be16_of(it->key);
        memcpy(dir.file[n].name, it->name, sizeof(it->name));
        n++;
    }
    dir.count = be32_of(n);
    return fwcfg_set(&f->d, FW_CFG_FILE_DIR, &dir, sizeof(dir.count) + n * sizeof(dir.file[0]), e);
}

int fwcfg_set_file(struct device *d, const char *name, const void *p, size_t n, struct err *e)
{
    struct fwcfg *f = (struct fwcfg *)d;
    struct fwcfg_item *it = &f->item[f->items];
    int rc;

    for (size_t i = 0; i < f->items; i++) {
        if (strncmp(f->item[i].name, name, sizeof(f->item[i].name)) == 0)
            it = &f->item[i];
    }
    if (it == &f->item[f->items]) {
        if (f->next_file - FW_CFG_FILE_FIRST == FWCFG_FILES_MAX || f->items == FWCFG_ITEMS)
            return err_set(e, ENOSPC, "the firmware's configuration is full");
        it->key = f->next_file++;
        snprintf(it->name, sizeof(it->name), "%s", name);
    }
    rc = fwcfg_store(f, it, p, n, e);
    return rc < 0 ? rc : fwcfg_set_directory(f, e);
}

void fwcfg_on_directory(struct device *d, void (*told)(void *arg), void *arg)
{
    struct fwcfg *f = (struct fwcfg *)d;

    f->directory_read = told;
    f->directory_arg = arg;
}

/* --- what the guest does --- */

static void fwcfg_select(struct fwcfg *f, uint16_t key)
{
    if (key == FW_CFG_FILE_DIR && f->directory_read)
        f->directory_read(f->directory_arg);
    f->s.key = key;
    f->s.offset = 0;
}

/* What is left of the selected item. */
static size_t fwcfg_left(struct fwcfg *f, const uint8_t **p)
{
    const struct fwcfg_item *it = fwcfg_find(f, f->s.key);

    if (!it || f->s.offset >= it->len)
        return 0;
    *p = it->bytes + f->s.offset;
    return it->len - (size_t)f->s.offset;
}

static uint8_t fwcfg_next(struct fwcfg *f)
{
    const uint8_t *p;
    uint8_t v = fwcfg_left(f, &p) ? *p : 0;

    f->s.offset++;
    return v;
}

/* The item's bytes, then zeroes. */
static int fwcfg_dma_read(struct fwcfg *f, gpa_t at, uint32_t len)
{
    const uint8_t *p = NULL;
    size_t n = (size_t)min_u64(fwcfg_left(f, &p), len);
    gpa_t end;
    int rc = add_overflows(at, len, &end) ? -EFAULT : 0;

    if (rc == 0 && n)
        rc = gmem_write(f->d.env.mem, at, p, n);
    if (rc == 0 && len > n)
        rc = gmem_fill(f->d.env.mem, at + n, 0, len - n);
    f->s.offset += len;
    return rc;
}

static void fwcfg_dma(struct fwcfg *f, gpa_t at)
{
    struct gmem *mem = f->d.env.mem;
    struct fw_cfg_dma_access a;
    uint32_t control, len;
    int rc = 0;

    if (gmem_read(mem, at, &a, sizeof(a)) < 0) {
        guest_fault(&f->d, "the descriptor at 0x%llx is not in memory", (unsigned long long)at);
        return;
    }
    control = be32_get(a.control);
    len = be32_get(a.length);
    if (control & FW_CFG_DMA_CTL_SELECT)
        fwcfg_select(f, (uint16_t)(control >> 16));
    if (control & FW_CFG_DMA_CTL_READ)
        rc = fwcfg_dma_read(f, be64_get(a.address), len);
    else if (control & FW_CFG_DMA_CTL_WRITE)
        rc = -EROFS;
    else if (control & FW_CFG_DMA_CTL_SKIP)
        f->s.offset += len;
    if (rc < 0)
        guest_fault(&f->d, "transfer 0x%x of %u bytes at 0x%llx fails", control, len,
                    (unsigned long long)be64_get(a.address));
    a.control = be32_of(rc < 0 ? FW_CFG_DMA_CTL_ERROR : 0);
    if (gmem_write(mem, at, &a.control, sizeof(a.control)) < 0)
        guest_fault(&f->d, "the descriptor at 0x%llx is read-only", (unsigned long long)at);
}

static void fwcfg_write(struct fwcfg *f, unsigned off, unsigned size, uint64_t v)
{
    if (off == 0 && size == 2) {
        fwcfg_select(f, (uint16_t)v);
    } else if (off == FWCFG_DMA && size == 4) {
        f->s.dma_high = __builtin_bswap32((uint32_t)v);
    } else if (off == FWCFG_DMA + 4 && size == 4) {
        gpa_t at = (uint64_t)f->s.dma_high << 32 | __builtin_bswap32((uint32_t)v);

        f->s.dma_high = 0;
        fwcfg_dma(f, at);
    }
}

static void fwcfg_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                     enum access dir, uint64_t *val)
{
    struct fwcfg *f = (struct fwcfg *)d;

    if (dir == ACC_WRITE)
        fwcfg_write(f, (unsigned)off, size, *val);
    else if (off == 1 && size == 1)
        *val = fwcfg_next(f);
    else if (off >= FWCFG_DMA && off - FWCFG_DMA + size <= sizeof(fwcfg_signature))
        memcpy(val, &fwcfg_signature[off - FWCFG_DMA], size);
}

static void fwcfg_reset(struct device *d)
{
    ((struct fwcfg *)d)->s = (struct fwcfg_state){0};
}

static void fwcfg_destroy(struct device *d)
{
    struct fwcfg *f = (struct fwcfg *)d;

    for (size_t i = 0; i < f->items; i++)
        free(f->item[i].bytes);
    chipset_free(d, 1, NULL);
    free(f);
}

static const struct device_ops fwcfg_ops = {
    .name = "fwcfg",
    .destroy = fwcfg_destroy,
    .reset = fwcfg_reset,
    .io = fwcfg_io,
};

int fwcfg_create(const struct env *env, struct device **out, struct err *e)
{
    static const uint8_t id[4] = {FW_CFG_VERSION | FW_CFG_VERSION_DMA};
    struct fwcfg *f = calloc(1, sizeof(*f));
    int rc;

    if (!f)
        return err_set(e, ENOMEM, "no memory for the firmware's configuration");
    device_init(&f->d, &fwcfg_ops, env);
    f->next_file = FW_CFG_FILE_FIRST;
    rc = chipset_claim(env, FW_CFG_PORT_SEL, FW_CFG_PORTS, &f->d, 0, e);
    if (rc == 0)
        rc = fwcfg_set(&f->d, FW_CFG_SIGNATURE, fwcfg_signature, 4, e);
    if (rc == 0)
        rc = fwcfg_set(&f->d, FW_CFG_ID, id, sizeof(id), e);
    if (rc == 0)
        rc = fwcfg_set_directory(f, e);
    if (rc < 0) {
        fwcfg_destroy(&f->d);
        return rc;
    }
    *out = &f->d;
    return 0;
}
