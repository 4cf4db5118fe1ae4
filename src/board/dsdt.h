/* SPDX-License-Identifier: Apache-2.0 */
/* dsdt.h - the differentiated system description table. */
#ifndef HOSPES_BOARD_DSDT_H
#define HOSPES_BOARD_DSDT_H

#include "abi/acpi.h"
#include "board/tables.h"

/* The table with an empty header, *len bytes with it; NULL when memory is out. */
struct acpi_header *dsdt_create(const struct tables_cfg *c, size_t *len);
/* dsdt_plug.c: what hot plug of these slots (bit 0: slot 0) needs in \_SB.PCI0, and its event. */
void dsdt_plug(struct aml *a, uint32_t slots);
void dsdt_plug_event(struct aml *a, uint32_t slots);
/* dsdt_cpus.c: processors in \_SB, and the event of those that come. */
void dsdt_cpus(struct aml *a, const struct tables_cfg *c);
void dsdt_cpus_event(struct aml *a, const struct tables_cfg *c);
void dsdt_destroy(struct acpi_header *h);

#endif
