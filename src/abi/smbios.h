/* SPDX-License-Identifier: Apache-2.0 */
/* smbios.h - System Management BIOS Reference Specification, DMTF DSP0134 3.0. */
#ifndef HOSPES_ABI_SMBIOS_H
#define HOSPES_ABI_SMBIOS_H

#include "abi/bytes.h"

/* 5.2.1: 32-bit entry point */
struct smbios_entry21 {
    char anchor[4]; /* "_SM_" */
    uint8_t checksum;
    uint8_t length;
    uint8_t major, minor;
    le16 max_structure;
    uint8_t revision;
    uint8_t formatted[5];
    char intermediate_anchor[5]; /* "_DMI_" */
    uint8_t intermediate_checksum;
    le16 table_length;
    le32 table_address;
    le16 structures;
    uint8_t bcd_revision;
};
WIRE_SIZE(struct smbios_entry21, 31);

/* 5.2.2: 64-bit entry point */
struct smbios_entry30 {
    char anchor[5]; /* "_SM3_" */
    uint8_t checksum;
    uint8_t length;
    uint8_t major, minor, docrev;
    uint8_t revision;
    uint8_t reserved;
    le32 max_size;
    le64 table_address;
};
WIRE_SIZE(struct smbios_entry30, 24);

struct smbios_header {
    uint8_t type, length;
    le16 handle;
};
WIRE_SIZE(struct smbios_header, 4);

/* 7.1 */
struct smbios_bios {
    struct smbios_header header;
    uint8_t vendor, version;
    le16 segment;
    uint8_t date;
    uint8_t rom_size;
    le64 characteristics;
    uint8_t extension[2];
    uint8_t release[4];
};
WIRE_SIZE(struct smbios_bios, 24);

/* 7.2 */
struct smbios_system {
    struct smbios_header header;
    uint8_t manufacturer, product, version, serial;
    uint8_t uuid[16];
    uint8_t wake_up;
    uint8_t sku, family;
};
WIRE_SIZE(struct smbios_system, 27);

/* 7.3 */
struct smbios_baseboard {
    struct smbios_header header;
    uint8_t manufacturer, product, version, serial, asset_tag;
    uint8_t features;
    uint8_t location;
    le16 chassis;
    uint8_t type;
    uint8_t contained;
};
WIRE_SIZE(struct smbios_baseboard, 15);

/* 7.4 */
struct smbios_chassis {
    struct smbios_header header;
    uint8_t manufacturer;
    uint8_t type;
    uint8_t version, serial, asset_tag;
    uint8_t boot_up, power, thermal, security;
    le32 oem;
    uint8_t height, cords;
    uint8_t contained, contained_length;
    uint8_t sku;
};
WIRE_SIZE(struct smbios_chassis, 22);

/* 7.5 */
struct smbios_processor {
    struct smbios_header header;
    uint8_t socket;
    uint8_t type;
    uint8_t family;
    uint8_t manufacturer;
    le64 id;
    uint8_t version;
    uint8_t voltage;
    le16 clock, max_speed, speed;
    uint8_t status;
    uint8_t upgrade;
    le16 l1, l2, l3;
    uint8_t serial, asset_tag, part;
    uint8_t cores, cores_enabled, threads;
    le16 characteristics;
    le16 family2;
    le16 cores2, cores_enabled2, threads2;
};
WIRE_SIZE(struct smbios_processor, 48);

/* 7.17 */
struct smbios_memory_array {
    struct smbios_header header;
    uint8_t location, use, correction;
    le32 capacity; /* KiB, 0x80000000: see extended */
    le16 error;
    le16 devices;
    le64 extended_capacity;
};
WIRE_SIZE(struct smbios_memory_array, 23);

/* 7.18 */
struct smbios_memory_device {
    struct smbios_header header;
    le16 array, error;
    le16 total_width, data_width;
    le16 size; /* MiB, 0x7fff: see extended */
    uint8_t form_factor, set;
    uint8_t locator, bank;
    uint8_t type;
    le16 detail;
    le16 speed;
    uint8_t manufacturer, serial, asset_tag, part;
    uint8_t attributes;
    le32 extended_size; /* MiB */
    le16 configured_speed;
    le16 min_voltage, max_voltage, voltage;
};
WIRE_SIZE(struct smbios_memory_device, 40);

/* 7.20 */
struct smbios_mapped {
    struct smbios_header header;
    le32 start, end; /* KiB, 0xffffffff: see extended */
    le16 array;
    uint8_t width;
    le64 extended_start, extended_end; /* bytes */
};
WIRE_SIZE(struct smbios_mapped, 31);

/* 7.33 */
struct smbios_boot_status {
    struct smbios_header header;
    uint8_t reserved[6];
    uint8_t status;
};
WIRE_SIZE(struct smbios_boot_status, 11);

#endif
