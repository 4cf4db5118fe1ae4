/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iso9660.h - the volume descriptors of a CD, as ECMA-119 has them (clause 8): one a sector, from
 * the 17th on, until one that ends them.
 */
#ifndef HOSPES_ABI_ISO9660_H
#define HOSPES_ABI_ISO9660_H

#include "abi/bytes.h"

enum {
    ISO_SECTOR = 2048,
    ISO_DESCRIPTOR_AT = 16 * ISO_SECTOR, /* bytes, the first one */
};

enum iso_descriptor_type {
    ISO_BOOT = 0, /* El Torito's is the second descriptor */
    ISO_PRIMARY = 1,
    ISO_SUPPLEMENTARY = 2, /* Joliet's, for instance */
    ISO_END = 255,
};

/* What all of them begin with. */
struct iso_descriptor {
    uint8_t type;
    char id[5]; /* ISO_ID, without its NUL */
    uint8_t version;
};
WIRE_SIZE(struct iso_descriptor, 7);
#define ISO_ID "CD001"

#endif
