/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader.c - see loader.h.
 *
 * The tables were built for one place. Here every pointer in them becomes an offset into its file,
 * every checksum 0, and the script says how to undo that: allocate both files, add addresses, sum.
 * All checksums come after all pointers. UEFI firmware takes each table that a pointer leads to for
 * its own ACPI tables.
 */
#include "board/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/acpi.h"
#include "abi/fw_cfg.h"
#include "core/err.h"

enum { LOADER_STEPS = 128, LOADER_STEP = sizeof(struct fw_cfg_allocate) };

struct script {
    struct loader *l;
    gpa_t base; /* of the tables, as they were built */
    struct fw_cfg_add_checksum sum[LOADER_STEPS];
    size_t sums;
    bool full;
};

static void step(struct script *s, const void *p)
{
    struct loader_file *f = &s->l->script;

    if (f->len == LOADER_STEPS * (size_t)LOADER_STEP) {
        s->full = true;
        return;
    }
    memcpy(f->bytes + f->len, p, LOADER_STEP);
    f->len += LOADER_STEP;
}

static void allocate(struct script *s, const char *file, uint32_t align, uint8_t zone)
{
    struct fw_cfg_allocate a = {
        .command = le32_of(LOADER_ALLOCATE), .align = le32_of(align), .zone = zone};

    memcpy(a.file, file, strlen(file));
    step(s, &a);
}

/* The pointer of `size` bytes at `at` in file f: 0 stays 0. */
static void pointer(struct script *s, const char *name, struct loader_file *f, size_t at,
                    unsigned size)
{
    struct fw_cfg_add_pointer p = {.command = le32_of(LOADER_ADD_POINTER),
                                   .pointee = LOADER_FILE_TABLES,
                                   .offset = le32_of((uint32_t)at),
                                   .size = (uint8_t)size};
    uint64_t v = 0;

    memcpy(&v, f->bytes + at, size);
    if (!v)
        return;
    v -= s->base;
    memcpy(f->bytes + at, &v, size);
    memcpy(p.file, name, strlen(name));
    step(s, &p);
}

static void checksum(struct script *s, const char *name, struct loader_file *f, size_t at,
                     size_t start, size_t len)
{
    struct fw_cfg_add_checksum *c = &s->sum[s->sums];

    f->bytes[at] = 0;
    if (s->sums == LOADER_STEPS) {
        s->full = true;
        return;
    }
    *c = (struct fw_cfg_add_checksum){.command = le32_of(LOADER_ADD_CHECKSUM),
                                      .offset = le32_of((uint32_t)at),
                                      .start = le32_of((uint32_t)start),
                                      .length = le32_of((uint32_t)len)};
    memcpy(c->file, name, strlen(name));
    s->sums++;
}

/* --- tables; `at` is an offset into their file --- */

static struct acpi_header *table_at(struct script *s, size_t at)
{
    return (struct acpi_header *)(s->l->tables.bytes + at);
}

static void table_pointer(struct script *s, size_t at, unsigned size)
{
    pointer(s, LOADER_FILE_TABLES, &s->l->tables, at, size);
}

static void table_checksum(struct script *s, size_t at)
{
    checksum(s, LOADER_FILE_TABLES, &s->l->tables, at + offsetof(struct acpi_header, checksum), at,
             le32_get(table_at(s, at)->length));
}

static void fadt(struct script *s, size_t at)
{
    const struct acpi_fadt *f = (const struct acpi_fadt *)table_at(s, at);
    size_t dsdt = (size_t)(le32_get(f->dsdt) - s->base);

    table_pointer(s, at + offsetof(struct acpi_fadt, firmware_ctrl), 4);
    table_pointer(s, at + offsetof(struct acpi_fadt, dsdt), 4);
    table_pointer(s, at + offsetof(struct acpi_fadt, x_firmware_ctrl), 8);
    table_pointer(s, at + offsetof(struct acpi_fadt, x_dsdt), 8);
    table_checksum(s, dsdt);
}

/* RSDT and XSDT name the same tables; those are done when `follow` is set. */
static void root(struct script *s, size_t at, unsigned size, bool follow)
{
    size_t end = at + le32_get(table_at(s, at)->length);

    for (size_t i = at + sizeof(struct acpi_header); i + size <= end; i += size) {
        uint64_t v = 0;
        size_t to;

        memcpy(&v, s->l->tables.bytes + i, size);
        to = (size_t)(v - s->base);
        table_pointer(s, i, size);
        if (!follow)
            continue;
        if (memcmp(table_at(s, to)->signature, "FACP", 4) == 0)
            fadt(s, to);
        table_checksum(s, to);
    }
    table_checksum(s, at);
}

static void script_write(struct script *s)
{
    struct loader_file *r = &s->l->rsdp;
    const struct acpi_rsdp *p = (const struct acpi_rsdp *)r->bytes;
    size_t rsdt = (size_t)(le32_get(p->rsdt_address) - s->base);
    size_t xsdt = (size_t)(le64_get(p->xsdt_address) - s->base);

    allocate(s, LOADER_FILE_TABLES, 64, LOADER_ZONE_HIGH);
    allocate(s, LOADER_FILE_RSDP, 16, LOADER_ZONE_FSEG);
    root(s, rsdt, 4, true);
    root(s, xsdt, 8, false);
    pointer(s, LOADER_FILE_RSDP, r, offsetof(struct acpi_rsdp, rsdt_address), 4);
    pointer(s, LOADER_FILE_RSDP, r, offsetof(struct acpi_rsdp, xsdt_address), 8);
    checksum(s, LOADER_FILE_RSDP, r, offsetof(struct acpi_rsdp, checksum), 0, 20);
    checksum(s, LOADER_FILE_RSDP, r, offsetof(struct acpi_rsdp, extended_checksum), 0, r->len);
    for (size_t i = 0; i < s->sums; i++)
        step(s, &s->sum[i]);
}

static bool file_copy(struct loader_file *f, const void *p, size_t n)
{
    f->bytes = malloc(n);
    if (!f->bytes)
        return false;
    memcpy(f->bytes, p, n);
    f->len = n;
    return true;
}

int loader_build(struct loader *l, struct tables *t, gpa_t rsdp, struct err *e)
{
    struct script *s = calloc(1, sizeof(*s));
    bool full;

    *l = (struct loader){.script = {.bytes = malloc(LOADER_STEPS * (size_t)LOADER_STEP)}};
    if (!s || !l->script.bytes || !file_copy(&l->tables, t->bytes, (size_t)(rsdp - t->base)) ||
        !file_copy(&l->rsdp, tables_at(t, rsdp), sizeof(struct acpi_rsdp))) {
        free(s);
        loader_free(l);
        return err_set(e, ENOMEM, "no memory for the ACPI tables");
    }
    s->l = l;
    s->base = t->base;
    script_write(s);
    full = s->full;
    free(s);
    if (!full)
        return 0;
    loader_free(l);
    return err_set(e, ENOSPC, "there are more ACPI tables than the firmware's script has room for");
}

void loader_free(struct loader *l)
{
    free(l->tables.bytes);
    free(l->rsdp.bytes);
    free(l->script.bytes);
    *l = (struct loader){0};
}
