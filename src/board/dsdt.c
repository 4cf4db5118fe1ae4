/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsdt.c - the board's devices in ACPI's namespace, ACPI 6.3 chapters 5.6, 6 and 9.
 *
 *   \_SB     processors, the root bridge, motherboard resources, what the persona adds
 *   \_SB.PCI0.ISA   keyboard controller, serial port, clock, timer, interrupt controller, panic
 *                   notifier
 *
 * PCI interrupts lead to fixed lines in both interrupt modes, so there are no link devices and no
 * _PIC method.
 */
#include "board/dsdt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/tpm.h"
#include "board/aml.h"
#include "board/layout.h"
#include "board/pci.h"

/* The types are those of pm.c. */
static void sleep_state(struct aml *a, const char *name, unsigned type)
{
    aml_name(a, name);
    aml_package(a, 4);
    for (unsigned i = 0; i < 4; i++)
        aml_int(a, i < 2 ? type : 0);
    aml_end(a);
}

static void isa_device(struct aml *a, const char *name, const char *hid)
{
    aml_device(a, name);
    aml_name_eisaid(a, "_HID", hid);
    aml_resources(a, "_CRS");
}

static void isa_device_end(struct aml *a)
{
    aml_resources_end(a);
    aml_end(a);
}

static void isa_panic_notifier(struct aml *a)
{
    aml_device(a, "PEVT");
    aml_name_string(a, "_HID", "QEMU0001");
    aml_name_int(a, "_STA", 0x0f);
    aml_resources(a, "_CRS");
    aml_res_io(a, 0x505, 1);
    isa_device_end(a);
}

static void isa_serial(struct aml *a)
{
    aml_device(a, "COM1");
    aml_name_eisaid(a, "_HID", "PNP0501");
    aml_name_int(a, "_UID", 1);
    aml_resources(a, "_CRS");
    aml_res_io(a, 0x3f8, 8);
    aml_res_irq(a, 4);
    isa_device_end(a);
}

static void isa_floppy(struct aml *a)
{
    isa_device(a, "FDC0", "PNP0700");
    aml_res_io(a, 0x3f0, 6);
    aml_res_io(a, 0x3f7, 1);
    aml_res_irq(a, 6);
    aml_res_dma(a, 2);
    isa_device_end(a);
}

static void isa_devices(struct aml *a, const struct tables_cfg *c)
{
    aml_device(a, "ISA");
    aml_name_int(a, "_ADR", c->q35 ? 0x001f0000 : 0x00010000);

    isa_device(a, "KBD", "PNP0303");
    aml_res_io(a, 0x60, 1);
    aml_res_io(a, 0x64, 1);
    aml_res_irq(a, 1);
    isa_device_end(a);

    isa_device(a, "MOU", "PNP0F13");
    aml_res_irq(a, 12);
    isa_device_end(a);

    isa_serial(a);

    isa_device(a, "RTC", "PNP0B00");
    aml_res_io(a, 0x70, 2);
    aml_res_irq(a, 8);
    isa_device_end(a);

    isa_device(a, "TMR", "PNP0100");
    aml_res_io(a, 0x40, 4);
    aml_res_irq(a, 0);
    isa_device_end(a);

    isa_device(a, "PIC", "PNP0000");
    aml_res_io(a, 0x20, 2);
    aml_res_io(a, 0xa0, 2);
    aml_res_irq(a, 2);
    isa_device_end(a);

    isa_device(a, "SPKR", "PNP0800");
    aml_res_io(a, 0x61, 1);
    isa_device_end(a);

    isa_device(a, "DMA", "PNP0200");
    aml_res_io(a, 0x00, 16);
    aml_res_io(a, 0x80, 16);
    aml_res_io(a, 0xc0, 32);
    isa_device_end(a);

    if (c->floppy)
        isa_floppy(a);
    if (c->pvpanic)
        isa_panic_notifier(a);
    aml_end(a);
}

/* Firmware may use space of its own choice: whole pieces around what it gave out. */
static uint64_t window_low(const struct tables_cfg *c)
{
    const uint64_t piece = 256 * MiB;
    uint64_t low = c->pci.low ? c->pci.low - c->pci.low % piece : LAYOUT_PCI_MEM_A;

    if (low < layout_ram_low(c->memory, c->q35))
        low = align_up(layout_ram_low(c->memory, c->q35), piece);
    return min_u64(low, LAYOUT_PCI_MEM_A);
}

static void window_high(struct aml *a, const struct tables_cfg *c)
{
    uint64_t high = layout_mem64(c->memory, c->q35), end = high + LAYOUT_PCI_MEM64_SIZE;

    if (c->pci.high) {
        high = c->pci.high - c->pci.high % GiB;
        end = align_up(c->pci.high_end, GiB);
    }
    /* Only when it is in use: guests of ACPI 1.0 do not know this descriptor. */
    if (c->mem64 || c->pci.high)
        aml_res_mem64_window(a, high, end - 1, true);
}

static void root_windows(struct aml *a, const struct tables_cfg *c)
{
    aml_resources(a, "_CRS");
    aml_res_bus_numbers(a, 0, c->last_bus);
    aml_res_io(a, 0xcf8, 8);
    aml_res_io_window(a, 0x0000, 0x0cf7);
    aml_res_io_window(a, 0x0d00, 0xffff);
    aml_res_mem_window(a, 0x000a0000, 0x000bffff, true);
    if (c->q35) {
        aml_res_mem_window(a, (uint32_t)window_low(c), (uint32_t)LAYOUT_PCI_MEM_B_END - 1, false);
    } else {
        aml_res_mem_window(a, (uint32_t)window_low(c), (uint32_t)LAYOUT_PCI_MEM_A_END - 1, false);
        aml_res_mem_window(a, (uint32_t)LAYOUT_PCI_MEM_B, (uint32_t)LAYOUT_PCI_MEM_B_END - 1,
                           false);
    }
    window_high(a, c);
    aml_resources_end(a);
}

static void root_interrupts(struct aml *a, bool q35)
{
    enum { SLOTS = 32, PINS = 4 };

    aml_name(a, "_PRT");
    aml_package(a, (SLOTS - 1) * PINS);
    for (unsigned slot = 1; slot < SLOTS; slot++) {
        for (unsigned pin = 0; pin < PINS; pin++) {
            aml_package(a, 4);
            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            aml_int(a, 0); /* no link device: */
            aml_int(a, pci_gsi_of(slot, pin, q35));
            aml_end(a);
        }
    }
    aml_end(a);
}

/* PCI Firmware Specification 3.2, 4.5.1: the guest may have hot plug, power management events and
 * the capability structure of the ports, and nothing else. */
static void root_control(struct aml *a)
{
    enum { GRANTED = 0x15, MASKED = 0x10, UNKNOWN_UUID = 0x04 };
    static const char *const word[] = {"CDW1", "CDW3"};

    aml_method(a, "_OSC", 4, true);
    for (unsigned i = 0; i < 2; i++) {
        aml_op(a, AML_CREATE_DWORD);
        aml_arg(a, 3);
        aml_int(a, 8 * i);
        aml_path(a, word[i]);
    }
    aml_if(a);
    aml_op(a, AML_LEQUAL);
    aml_arg(a, 0);
    aml_uuid(a, "33DB4D5B-1FF7-401C-9657-7441C03DD766");
    aml_op(a, AML_AND);
    aml_path(a, "CDW3");
    aml_int(a, GRANTED);
    aml_local(a, 0);
    aml_if(a);
    aml_op(a, AML_LNOT);
    aml_op(a, AML_LEQUAL);
    aml_path(a, "CDW3");
    aml_local(a, 0);
    aml_op(a, AML_OR);
    aml_path(a, "CDW1");
    aml_int(a, MASKED);
    aml_path(a, "CDW1");
    aml_end(a);
    aml_op(a, AML_STORE);
    aml_local(a, 0);
    aml_path(a, "CDW3");
    aml_end(a);
    aml_else(a);
    aml_op(a, AML_OR);
    aml_path(a, "CDW1");
    aml_int(a, UNKNOWN_UUID);
    aml_path(a, "CDW1");
    aml_end(a);
    aml_op(a, AML_RETURN);
    aml_arg(a, 3);
    aml_end(a);
}

static void root_bridge(struct aml *a, const struct tables_cfg *c)
{
    aml_device(a, "PCI0");
    aml_name_eisaid(a, "_HID", c->q35 ? "PNP0A08" : "PNP0A03");
    if (c->q35)
        aml_name_eisaid(a, "_CID", "PNP0A03");
    aml_name_int(a, "_UID", 0);
    aml_name_int(a, "_BBN", 0);
    root_windows(a, c);
    root_interrupts(a, c->q35);
    if (c->q35)
        root_control(a);
    isa_devices(a, c);
    dsdt_plug(a, c->plug_slots);
    aml_end(a);
}

/* What no driver owns and nobody else may use. */
static void motherboard(struct aml *a, const struct tables_cfg *c)
{
    aml_device(a, "MBRD");
    aml_name_eisaid(a, "_HID", "PNP0C02");
    aml_name_int(a, "_UID", 0);
    aml_resources(a, "_CRS");
    aml_res_io(a, 0x92, 1);
    aml_res_io(a, 0xb2, 2);
    aml_res_io(a, 0x4d0, 2);
    aml_res_io(a, LAYOUT_PM_BASE, 0x40);
    if (c->plug_slots)
        aml_res_io(a, LAYOUT_PCIPLUG, LAYOUT_PCIPLUG_LEN);
    aml_res_memory32(a, (uint32_t)c->ecam, (uint32_t)LAYOUT_ECAM_BUS_SIZE * (c->last_bus + 1u),
                     true);
    aml_resources_end(a);
    aml_end(a);
}

static void event_timer(struct aml *a)
{
    aml_device(a, "HPET");
    aml_name_eisaid(a, "_HID", "PNP0103");
    aml_name_int(a, "_UID", 0);
    aml_resources(a, "_CRS");
    aml_res_memory32(a, (uint32_t)LAYOUT_HPET, 0x400, false);
    aml_resources_end(a);
    aml_end(a);
}

static void tpm(struct aml *a)
{
    aml_device(a, "TPM0");
    aml_name_string(a, "_HID", "MSFT0101");
    aml_name_int(a, "_UID", 0);
    aml_name_int(a, "_STA", 0x0f);
    aml_resources(a, "_CRS");
    aml_res_memory32(a, (uint32_t)LAYOUT_TPM, TPM_CRB_SIZE, true);
    aml_resources_end(a);
    aml_end(a);
}

/* Microsoft, Virtual Machine Generation ID: found by _CID and _DDN, the address in two halves. */
static void generation_id(struct aml *a, const char *hid)
{
    aml_device(a, "GENC");
    aml_name_string(a, "_HID", hid);
    aml_name_string(a, "_CID", "VM_Gen_Counter");
    aml_name_string(a, "_DDN", "VM_Gen_Counter");
    aml_name_int(a, "_UID", 0);
    aml_name(a, "ADDR");
    aml_package(a, 2);
    aml_int(a, (uint32_t)LAYOUT_GENID);
    aml_int(a, LAYOUT_GENID >> 32);
    aml_end(a);
    aml_end(a);
}

static void namespace(struct aml *a, const struct tables_cfg *c)
{
    sleep_state(a, "\\_S5", 0);
    if (c->s3)
        sleep_state(a, "\\_S3", 1);
    aml_scope(a, "\\_SB");
    dsdt_cpus(a, c);
    root_bridge(a, c);
    motherboard(a, c);
    if (c->hpet)
        event_timer(a);
    if (c->tpm)
        tpm(a);
    if (c->hooks.genid_hid)
        generation_id(a, c->hooks.genid_hid);
    if (c->hooks.acpi)
        c->hooks.acpi(c->hooks.acpi_arg, a);
    aml_end(a);
    dsdt_plug_event(a, c->plug_slots);
    dsdt_cpus_event(a, c);
}

struct acpi_header *dsdt_create(const struct tables_cfg *c, size_t *len)
{
    struct aml *a = aml_create();
    struct acpi_header *h = NULL;
    const uint8_t *code;

    if (!a)
        return NULL;
    namespace(a, c);
    code = aml_bytes(a, len);
    if (code)
        h = calloc(1, sizeof(*h) + *len);
    if (h)
        memcpy(h + 1, code, *len);
    *len += sizeof(*h);
    aml_destroy(a);
    return h;
}

void dsdt_destroy(struct acpi_header *h)
{
    free(h);
}
