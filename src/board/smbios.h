/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smbios.h - the SMBIOS tables of a machine (DMTF DSP0134 3.3), with both entry points.
 */
#ifndef HOSPES_BOARD_SMBIOS_H
#define HOSPES_BOARD_SMBIOS_H

#include "core/core.h"

/* Strings of the machine's maker; NULL keeps the board's. */
struct smbios_id {
    const char *bios_vendor, *bios_version, *bios_date;
    const char *vendor, *product, *version, *serial, *family;
    const char *board_vendor, *board_product, *chassis_vendor, *asset_tag;
    const char *sku, *board_serial, *chassis_serial; /* the serials' NULL: the machine's */
    bool physical; /* the tables do not say that this is a virtual machine */
};

#endif
