/* SPDX-License-Identifier: Apache-2.0 */
/* mptable.h - Intel MultiProcessor Specification 1.4, chapter 4. */
#ifndef HOSPES_ABI_MPTABLE_H
#define HOSPES_ABI_MPTABLE_H

#include "abi/bytes.h"

struct mp_floating {
    char signature[4]; /* "_MP_" */
    le32 table;
    uint8_t length; /* in 16 bytes */
    uint8_t spec_rev;
    uint8_t checksum;
    uint8_t feature[5];
};
WIRE_SIZE(struct mp_floating, 16);

struct mp_config {
    char signature[4]; /* "PCMP" */
    le16 length;
    uint8_t spec_rev;
    uint8_t checksum;
    char oem_id[8];
    char product_id[12];
    le32 oem_table;
    le16 oem_size;
    le16 entries;
    le32 lapic;
    le16 extended_length;
    uint8_t extended_checksum;
    uint8_t reserved;
};
WIRE_SIZE(struct mp_config, 44);

struct mp_processor {
    uint8_t type; /* 0 */
    uint8_t apic_id, apic_version;
    uint8_t flags; /* bit 0 enabled, bit 1 bootstrap */
    le32 signature;
    le32 features;
    uint8_t reserved[8];
};
WIRE_SIZE(struct mp_processor, 20);

struct mp_bus {
    uint8_t type; /* 1 */
    uint8_t id;
    char name[6];
};
WIRE_SIZE(struct mp_bus, 8);

struct mp_ioapic {
    uint8_t type; /* 2 */
    uint8_t id, version;
    uint8_t flags;
    le32 address;
};
WIRE_SIZE(struct mp_ioapic, 8);

/* Also for local interrupts. */
struct mp_interrupt {
    uint8_t type; /* 3: I/O, 4: local */
    uint8_t kind; /* 0 INT, 1 NMI, 3 ExtINT */
    le16 flags;   /* polarity in bits 1:0 (1 high), trigger in bits 3:2 (3 level) */
    uint8_t bus, irq;
    uint8_t apic, pin;
};
WIRE_SIZE(struct mp_interrupt, 8);

#endif
