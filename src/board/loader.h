/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader.h - ACPI tables as firmware loads them: files without fixed addresses, and the script that
 * puts addresses and checksums in (QEMU docs/specs, "ACPI tables loader").
 */
#ifndef HOSPES_BOARD_LOADER_H
#define HOSPES_BOARD_LOADER_H

#include "board/tables.h"

#define LOADER_FILE_TABLES "etc/acpi/tables"
#define LOADER_FILE_RSDP "etc/acpi/rsdp"
#define LOADER_FILE_SCRIPT "etc/table-loader"

/* A file that is malloc()ed. */
struct loader_file {
    uint8_t *bytes;
    size_t len;
};

struct loader {
    struct loader_file tables, rsdp, script;
};

/* From what acpi_build() has just built: all in t up to the root pointer at `rsdp`. t stays as it
 * is. */
MUST int loader_build(struct loader *l, struct tables *t, gpa_t rsdp, struct err *e);
void loader_free(struct loader *l);

#endif
