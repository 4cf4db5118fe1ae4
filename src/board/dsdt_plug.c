/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsdt_plug.c - hot plug of PCI slots in ACPI's namespace: ACPI 6.3 sections 5.6.6 and 6.3.3, the
 * registers of chipset/pciplug.c.
 *
 *   \_SB.PCI0.Snn   a slot that is empty at the start; _EJ0 gives it up
 *   \_GPE._E01      something came, or is asked back: tells the slot's driver
 */
#include <stdio.h>

#include "board/aml.h"
#include "board/dsdt.h"
#include "board/layout.h"

enum { SLOTS = 32, NOTIFY_CHECK = 1, NOTIFY_EJECT = 3 };

static void slot_name(char name[5], unsigned slot)
{
    snprintf(name, 5, "S%02X_", slot & 0xff);
}

static void registers(struct aml *a)
{
    aml_region(a, "PCST", AML_SYSTEM_IO, LAYOUT_PCIPLUG, LAYOUT_PCIPLUG_LEN);
    aml_field(a, "PCST", AML_DWORD_ACC, false);
    aml_unit(a, "PCIU", 32);
    aml_unit(a, "PCID", 32);
    aml_unit(a, "PCEJ", 32);
    aml_end(a);
}

static void slot_device(struct aml *a, unsigned slot)
{
    char name[5];

    slot_name(name, slot);
    aml_device(a, name);
    aml_name_int(a, "_ADR", (uint64_t)slot << 16);
    aml_name_int(a, "_SUN", slot);
    aml_method(a, "_EJ0", 1, false);
    aml_op(a, AML_STORE);
    aml_int(a, UINT32_C(1) << slot);
    aml_path(a, "PCEJ");
    aml_end(a);
    aml_end(a);
}

/* If (local & 1 << slot) Notify (slot, what) */
static void notify(struct aml *a, unsigned local, unsigned slot, unsigned what)
{
    char name[5];

    slot_name(name, slot);
    aml_if(a);
    aml_op(a, AML_AND);
    aml_local(a, local);
    aml_int(a, UINT32_C(1) << slot);
    aml_no_target(a);
    aml_op(a, AML_NOTIFY);
    aml_path(a, name);
    aml_int(a, what);
    aml_end(a);
}

void dsdt_plug(struct aml *a, uint32_t slots)
{
    if (!slots)
        return;
    registers(a);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (slots >> slot & 1)
            slot_device(a, slot);
    }
    aml_method(a, "PCNT", 0, true);
    aml_op(a, AML_STORE);
    aml_path(a, "PCIU");
    aml_local(a, 0);
    aml_op(a, AML_STORE);
    aml_path(a, "PCID");
    aml_local(a, 1);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (!(slots >> slot & 1))
            continue;
        notify(a, 0, slot, NOTIFY_CHECK);
        notify(a, 1, slot, NOTIFY_EJECT);
    }
    aml_end(a);
}

void dsdt_plug_event(struct aml *a, uint32_t slots)
{
    if (!slots)
        return;
    aml_scope(a, "\\_GPE");
    aml_method(a, "_E01", 0, false);
    aml_path(a, "\\_SB.PCI0.PCNT");
    aml_end(a);
    aml_end(a);
}
