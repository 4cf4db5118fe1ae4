/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsdt_cpus.c - processors in ACPI's namespace: ACPI 6.3 sections 5.6.6, 6.2.10 and 8.4, the
 * registers of chipset/cpuplug.c.
 *
 *   \_SB.Cnnn    a processor; one that is not there yet says so by _STA, and has an entry of the
 * MADT in _MAT for when it is
 *   \_SB._INI    which of them are there by now
 *   \_GPE._E02   processors came: tells each to its driver
 */
#include <stdio.h>

#include "board/aml.h"
#include "board/dsdt.h"
#include "board/layout.h"

enum { STA_THERE = 0x0f, NOTIFY_CHECK = 1, CPUS_NONE = 0xff };

static void cpu_name(char name[5], unsigned i)
{
    snprintf(name, 5, "C%03X", i & 0xfff);
}

/* The object of processor i: what is called `name` in it. */
static void cpu_object(struct aml *a, unsigned i, const char *name)
{
    char path[24];

    snprintf(path, sizeof(path), "\\_SB.C%03X%s%s", i & 0xfff, *name ? "." : "", name);
    aml_path(a, path);
}

/* Store (0x0f, Cnnn._STA) */
static void is_there(struct aml *a, unsigned i)
{
    aml_op(a, AML_STORE);
    aml_int(a, STA_THERE);
    cpu_object(a, i, "_STA");
}

/* Plain objects: a kernel asks for _STA some twenty times while it starts. */
static void may_come(struct aml *a, unsigned i)
{
    const struct acpi_madt_lapic l = {.length = sizeof(l),
                                      .processor_uid = (uint8_t)i,
                                      .apic_id = (uint8_t)i,
                                      .flags = le32_of(MADT_LAPIC_ENABLED)};

    aml_name_int(a, "_STA", 0);
    aml_name(a, "_MAT");
    aml_buffer(a, &l, sizeof(l));
}

/* A kernel that was started by another (kexec) reads the tables of the start. */
static void look(struct aml *a, const struct tables_cfg *c)
{
    aml_method(a, "_INI", 0, false);
    aml_op(a, AML_STORE);
    aml_path(a, "CPUN");
    aml_local(a, 0);
    for (unsigned i = c->cpus; i < c->cpus_max; i++) {
        aml_if(a);
        aml_op(a, AML_LGREATER);
        aml_local(a, 0);
        aml_int(a, i);
        is_there(a, i);
        aml_end(a);
    }
    aml_end(a);
}

void dsdt_cpus(struct aml *a, const struct tables_cfg *c)
{
    char name[5];

    if (c->cpus < c->cpus_max) {
        aml_region(a, "CPUR", AML_SYSTEM_IO, LAYOUT_CPUPLUG, LAYOUT_CPUPLUG_LEN);
        aml_field(a, "CPUR", AML_BYTE_ACC, false);
        aml_unit(a, "CPUN", 8);
        aml_unit(a, "CPUE", 8);
        aml_end(a);
    }
    for (unsigned i = 0; i < c->cpus || i < c->cpus_max; i++) {
        cpu_name(name, i);
        aml_device(a, name);
        aml_name_string(a, "_HID", "ACPI0007");
        aml_name_int(a, "_UID", i);
        if (i >= c->cpus)
            may_come(a, i);
        aml_end(a);
    }
    if (c->cpus < c->cpus_max)
        look(a, c);
}

/* Store (CPUE, Local0) */
static void take(struct aml *a)
{
    aml_op(a, AML_STORE);
    aml_path(a, "\\_SB.CPUE");
    aml_local(a, 0);
}

void dsdt_cpus_event(struct aml *a, const struct tables_cfg *c)
{
    if (c->cpus >= c->cpus_max)
        return;
    aml_scope(a, "\\_GPE");
    aml_method(a, "_E02", 0, true);
    take(a);
    aml_while(a);
    aml_op(a, AML_LLESS);
    aml_local(a, 0);
    aml_int(a, CPUS_NONE);
    for (unsigned i = c->cpus; i < c->cpus_max; i++) {
        aml_if(a);
        aml_op(a, AML_LEQUAL);
        aml_local(a, 0);
        aml_int(a, i);
        is_there(a, i);
        aml_op(a, AML_NOTIFY);
        cpu_object(a, i, "");
        aml_int(a, NOTIFY_CHECK);
        aml_end(a);
    }
    take(a);
    aml_end(a);
    aml_end(a);
    aml_end(a);
}
