/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi.c - ACPI tables of the board: RSDP, RSDT, XSDT, FADT revision 6.6, FACS, MADT, MCFG, HPET,
 * TPM2.
 *
 * ACPI 6.3 chapter 5.2. The DSDT is dsdt.c's. Every pointer has its 32-bit form, so that ACPI 1.0
 * guests find everything.
 */
#include <errno.h>
#include <string.h>

#include "abi/acpi.h"
#include "abi/tpm.h"
#include "board/dsdt.h"
#include "board/layout.h"
#include "board/tables.h"
#include "core/err.h"
#include "core/gmem.h"

enum { ACPI_SCI = 9, MADT_ROOM = 44 + 255 * 8 + 12 + 8 * 10 + 6 };

static void header_fill(struct acpi_header *h, const char *signature, uint8_t revision, size_t len)
{
    memcpy(h->signature, signature, 4);
    h->length = le32_of((uint32_t)len);
    h->revision = revision;
    memcpy(h->oem_id, "HOSPES", 6);
    memcpy(h->oem_table_id, "BOARD   ", 8);
    h->oem_revision = le32_of(1);
    memcpy(h->creator_id, "HSPS", 4);
    h->creator_revision = le32_of(1);
    h->checksum = 0;
    h->checksum = tables_checksum(h, len, offsetof(struct acpi_header, checksum));
}

static gpa_t put_table(struct tables *t, void *p, const char *signature, uint8_t revision,
                       size_t len)
{
    header_fill(p, signature, revision, len);
    return tables_put(t, p, len, 16);
}

static gpa_t put_facs(struct tables *t)
{
    struct acpi_facs f = {.signature = "FACS", .length = le32_of(sizeof(f)), .version = 2};

    return tables_put(t, &f, sizeof(f), 64);
}

static struct acpi_gas io_register(uint16_t port, unsigned bits, unsigned access)
{
    return (struct acpi_gas){
        .space = 1,
        .bit_width = (uint8_t)bits,
        .access_size = (uint8_t)access,
        .address = le64_of(port),
    };
}

static gpa_t put_fadt(struct tables *t, gpa_t facs, gpa_t dsdt)
{
    struct acpi_fadt f = {
        .firmware_ctrl = le32_of((uint32_t)facs),
        .dsdt = le32_of((uint32_t)dsdt),
        .sci_int = le16_of(ACPI_SCI),
        .smi_cmd = le32_of(0xb2),
        .acpi_enable = 0xf1,
        .acpi_disable = 0xf0,
        .pm1a_evt_blk = le32_of(LAYOUT_PM_BASE),
        .pm1a_cnt_blk = le32_of(LAYOUT_PM_BASE + 4),
        .pm_tmr_blk = le32_of(LAYOUT_PM_BASE + 8),
        .gpe0_blk = le32_of(LAYOUT_PM_BASE + 0x20),
        .pm1_evt_len = 4,
        .pm1_cnt_len = 2,
        .pm_tmr_len = 4,
        .gpe0_blk_len = 4,
        .p_lvl2_lat = le16_of(0xfff), /* beyond 100 and 1000: no C2, no C3 */
        .p_lvl3_lat = le16_of(0xfff),
        .century = 0x32,
        .iapc_boot_arch = le16_of(ACPI_FADT_LEGACY_DEVICES | ACPI_FADT_8042),
        .flags = le32_of(ACPI_FADT_WBINVD | ACPI_FADT_PROC_C1 | ACPI_FADT_SLP_BUTTON |
                         ACPI_FADT_TMR_VAL_EXT | ACPI_FADT_RESET_REG_SUP),
        .reset_reg = io_register(0xcf9, 8, 1),
        .reset_value = 0x06,
        .minor_version = 6,
        .x_dsdt = le64_of(dsdt),
        .x_pm1a_evt_blk = io_register(LAYOUT_PM_BASE, 32, 2),
        .x_pm1a_cnt_blk = io_register(LAYOUT_PM_BASE + 4, 16, 2),
        .x_pm_tmr_blk = io_register(LAYOUT_PM_BASE + 8, 32, 3),
        .x_gpe0_blk = io_register(LAYOUT_PM_BASE + 0x20, 32, 1),
    };

    return put_table(t, &f, "FACP", 6, sizeof(f));
}

/* --- MADT --- */

struct bytes {
    uint8_t b[MADT_ROOM];
    size_t len;
};

static void add(struct bytes *out, const void *p, size_t n)
{
    memcpy(out->b + out->len, p, n);
    out->len += n;
}

static void add_override(struct bytes *out, uint8_t source, uint8_t gsi, uint16_t flags)
{
    struct acpi_madt_override o = {
        .type = 2,
        .length = sizeof(o),
        .source = source,
        .gsi = le32_of(gsi),
        .flags = le16_of(flags),
    };

    add(out, &o, sizeof(o));
}

static gpa_t put_madt(struct tables *t, const struct tables_cfg *c)
{
    /* SCI and PCI lines: level, active high. */
    static const uint8_t level[] = {ACPI_SCI, 10, 11};
    struct acpi_madt head = {.local_apic_address = le32_of((uint32_t)LAYOUT_LAPIC),
                             .flags = le32_of(1)};
    struct acpi_madt_ioapic io = {
        .type = 1, .length = sizeof(io), .address = le32_of((uint32_t)LAYOUT_IOAPIC)};
    struct acpi_madt_lapic_nmi nmi = {
        .type = 4, .length = sizeof(nmi), .processor_uid = 0xff, .lint = 1};
    struct bytes out = {.len = 0};

    add(&out, &head, sizeof(head));
    for (unsigned i = 0; (i < c->cpus || i < c->cpus_max) && i < 255; i++) {
        struct acpi_madt_lapic l = {
            .length = sizeof(l),
            .processor_uid = (uint8_t)i,
            .apic_id = (uint8_t)i,
            .flags = le32_of(i < c->cpus ? MADT_LAPIC_ENABLED : MADT_LAPIC_ONLINE_CAPABLE)};

        add(&out, &l, sizeof(l));
    }
    add(&out, &io, sizeof(io));
    add_override(&out, 0, 2, 0);
    for (size_t i = 0; i < ARRAY_SIZE(level); i++)
        add_override(&out, level[i], level[i], 0x0d);
    add(&out, &nmi, sizeof(nmi));
    return put_table(t, out.b, "APIC", 7, out.len);
}

static gpa_t put_mcfg(struct tables *t, const struct tables_cfg *c)
{
    struct acpi_mcfg m = {.base = le64_of(c->ecam), .last_bus = c->last_bus};

    return put_table(t, &m, "MCFG", 1, sizeof(m));
}

static gpa_t put_hpet(struct tables *t)
{
    struct acpi_hpet h = {.block_id = le32_of(0x8086a201), /* as in its capabilities */
                          .base = {.bit_width = 64, .address = le64_of(LAYOUT_HPET)},
                          .min_tick = le16_of(2000)};

    return put_table(t, &h, "HPET", 1, sizeof(h));
}

static gpa_t put_tpm2(struct tables *t)
{
    struct acpi_tpm2 m = {.control_area = le64_of(LAYOUT_TPM + TPM_CRB_CTRL_REQ),
                          .start_method = le32_of(ACPI_TPM2_START_CRB)};

    return put_table(t, &m, "TPM2", 4, sizeof(m));
}

/* --- roots --- */

static gpa_t put_root(struct tables *t, const gpa_t *table, size_t n, bool wide)
{
    uint8_t b[sizeof(struct acpi_header) + 8 * 8] = {0};
    size_t at = sizeof(struct acpi_header);

    for (size_t i = 0; i < n; i++) {
        if (wide)
            le64_put(b + at, table[i]);
        else
            le32_put(b + at, (uint32_t)table[i]);
        at += wide ? 8 : 4;
    }
    return put_table(t, b, wide ? "XSDT" : "RSDT", 1, at);
}

static gpa_t put_rsdp(struct tables *t, gpa_t rsdt, gpa_t xsdt)
{
    struct acpi_rsdp r = {
        .oem_id = "HOSPES",
        .revision = 2,
        .rsdt_address = le32_of((uint32_t)rsdt),
        .length = le32_of(sizeof(r)),
        .xsdt_address = le64_of(xsdt),
    };

    memcpy(r.signature, "RSD PTR ", 8);
    r.checksum = tables_checksum(&r, 20, offsetof(struct acpi_rsdp, checksum));
    r.extended_checksum =
        tables_checksum(&r, sizeof(r), offsetof(struct acpi_rsdp, extended_checksum));
    return tables_put(t, &r, sizeof(r), 16);
}

int acpi_build(struct tables *t, const struct tables_cfg *c, gpa_t *rsdp, struct err *e)
{
    struct acpi_header *dsdt;
    gpa_t table[5], facs, dsdt_at, rsdt, xsdt;
    size_t len, n = 3;

    dsdt = dsdt_create(c, &len);
    if (!dsdt)
        return err_set(e, ENOMEM, "no memory for the ACPI tables");
    facs = put_facs(t);
    dsdt_at = put_table(t, dsdt, "DSDT", 2, len);
    dsdt_destroy(dsdt);
    table[0] = put_fadt(t, facs, dsdt_at);
    table[1] = put_madt(t, c);
    table[2] = put_mcfg(t, c);
    if (c->hpet)
        table[n++] = put_hpet(t);
    if (c->tpm)
        table[n++] = put_tpm2(t);
    rsdt = put_root(t, table, n, false);
    xsdt = put_root(t, table, n, true);
    *rsdp = put_rsdp(t, rsdt, xsdt);
    if (!facs || !dsdt_at || !*rsdp)
        return err_set(e, ENOSPC, "the ACPI tables do not fit below 1 MiB: use fewer devices");
    return 0;
}

/* --- what the guest writes --- */

static bool table_read(struct gmem *mem, gpa_t at, const char *signature, void *out, size_t n)
{
    return gmem_read(mem, at, out, n) == 0 && memcmp(out, signature, 4) == 0;
}

uint32_t acpi_waking_vector(struct gmem *mem, gpa_t rsdp)
{
    struct {
        struct acpi_header h;
        le32 table[8];
    } rsdt;
    struct acpi_rsdp r;
    struct acpi_fadt fadt;
    struct acpi_facs facs;

    if (gmem_read(mem, rsdp, &r, sizeof(r)) < 0 ||
        !table_read(mem, le32_get(r.rsdt_address), "RSDT", &rsdt, sizeof(rsdt)))
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(rsdt.table); i++) {
        if (sizeof(rsdt.h) + 4 * (i + 1) <= le32_get(rsdt.h.length) &&
            table_read(mem, le32_get(rsdt.table[i]), "FACP", &fadt, sizeof(fadt)) &&
            table_read(mem, le32_get(fadt.firmware_ctrl), "FACS", &facs, sizeof(facs)))
            return le32_get(facs.firmware_waking_vector);
    }
    return 0;
}
