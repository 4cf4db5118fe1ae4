/* SPDX-License-Identifier: Apache-2.0 */
/* acpi.h - tables of the Advanced Configuration and Power Interface 6.3, chapter 5.2. */
#ifndef HOSPES_ABI_ACPI_H
#define HOSPES_ABI_ACPI_H

#include "abi/bytes.h"

/* 5.2.5.3: root system description pointer, revision 2 */
struct acpi_rsdp {
    char signature[8]; /* "RSD PTR " */
    uint8_t checksum;  /* of the first 20 bytes */
    char oem_id[6];
    uint8_t revision;
    le32 rsdt_address;
    le32 length;
    le64 xsdt_address;
    uint8_t extended_checksum;
    uint8_t reserved[3];
};
WIRE_SIZE(struct acpi_rsdp, 36);

/* 5.2.6: what every table but the FACS begins with */
struct acpi_header {
    char signature[4];
    le32 length;
    uint8_t revision;
    uint8_t checksum;
    char oem_id[6];
    char oem_table_id[8];
    le32 oem_revision;
    char creator_id[4];
    le32 creator_revision;
};
WIRE_SIZE(struct acpi_header, 36);

/* 5.2.3.2: generic address */
struct acpi_gas {
    uint8_t space; /* 1: system I/O */
    uint8_t bit_width;
    uint8_t bit_offset;
    uint8_t access_size; /* 1 byte, 2 word, 3 double word */
    le64 address;
};
WIRE_SIZE(struct acpi_gas, 12);

/* 5.2.9: fixed description table, revision 6 */
struct acpi_fadt {
    struct acpi_header header;
    le32 firmware_ctrl;
    le32 dsdt;
    uint8_t reserved0;
    uint8_t preferred_pm_profile;
    le16 sci_int;
    le32 smi_cmd;
    uint8_t acpi_enable;
    uint8_t acpi_disable;
    uint8_t s4bios_req;
    uint8_t pstate_cnt;
    le32 pm1a_evt_blk;
    le32 pm1b_evt_blk;
    le32 pm1a_cnt_blk;
    le32 pm1b_cnt_blk;
    le32 pm2_cnt_blk;
    le32 pm_tmr_blk;
    le32 gpe0_blk;
    le32 gpe1_blk;
    uint8_t pm1_evt_len;
    uint8_t pm1_cnt_len;
    uint8_t pm2_cnt_len;
    uint8_t pm_tmr_len;
    uint8_t gpe0_blk_len;
    uint8_t gpe1_blk_len;
    uint8_t gpe1_base;
    uint8_t cst_cnt;
    le16 p_lvl2_lat;
    le16 p_lvl3_lat;
    le16 flush_size;
    le16 flush_stride;
    uint8_t duty_offset;
    uint8_t duty_width;
    uint8_t day_alrm;
    uint8_t mon_alrm;
    uint8_t century;
    le16 iapc_boot_arch;
    uint8_t reserved1;
    le32 flags;
    struct acpi_gas reset_reg;
    uint8_t reset_value;
    le16 arm_boot_arch;
    uint8_t minor_version;
    le64 x_firmware_ctrl;
    le64 x_dsdt;
    struct acpi_gas x_pm1a_evt_blk;
    struct acpi_gas x_pm1b_evt_blk;
    struct acpi_gas x_pm1a_cnt_blk;
    struct acpi_gas x_pm1b_cnt_blk;
    struct acpi_gas x_pm2_cnt_blk;
    struct acpi_gas x_pm_tmr_blk;
    struct acpi_gas x_gpe0_blk;
    struct acpi_gas x_gpe1_blk;
    struct acpi_gas sleep_control_reg;
    struct acpi_gas sleep_status_reg;
    le64 hypervisor_vendor;
};
WIRE_OFFSET(struct acpi_fadt, iapc_boot_arch, 109);
WIRE_OFFSET(struct acpi_fadt, reset_reg, 116);
WIRE_OFFSET(struct acpi_fadt, x_dsdt, 140);
WIRE_SIZE(struct acpi_fadt, 276);

enum acpi_fadt_flags {
    ACPI_FADT_WBINVD = 1 << 0,
    ACPI_FADT_PROC_C1 = 1 << 2,
    ACPI_FADT_SLP_BUTTON = 1 << 5, /* none in fixed hardware */
    ACPI_FADT_TMR_VAL_EXT = 1 << 8,
    ACPI_FADT_RESET_REG_SUP = 1 << 10,
};
enum acpi_fadt_boot_arch {
    ACPI_FADT_LEGACY_DEVICES = 1 << 0,
    ACPI_FADT_8042 = 1 << 1,
    ACPI_FADT_NO_VGA = 1 << 2,
};

/* 5.2.10: firmware control structure, 64-byte aligned */
struct acpi_facs {
    char signature[4];
    le32 length;
    le32 hardware_signature;
    le32 firmware_waking_vector;
    le32 global_lock;
    le32 flags;
    le64 x_firmware_waking_vector;
    uint8_t version;
    uint8_t reserved[3];
    le32 ospm_flags;
    uint8_t reserved2[24];
};
WIRE_SIZE(struct acpi_facs, 64);

/* 5.2.12: multiple APIC description table */
struct acpi_madt {
    struct acpi_header header;
    le32 local_apic_address;
    le32 flags; /* bit 0: dual 8259 present */
};
WIRE_SIZE(struct acpi_madt, 44);

enum { MADT_LAPIC_ENABLED = 1, MADT_LAPIC_ONLINE_CAPABLE = 2 };
struct acpi_madt_lapic {
    uint8_t type, length; /* 0, 8 */
    uint8_t processor_uid;
    uint8_t apic_id;
    le32 flags;
};
WIRE_SIZE(struct acpi_madt_lapic, 8);

struct acpi_madt_ioapic {
    uint8_t type, length; /* 1, 12 */
    uint8_t id;
    uint8_t reserved;
    le32 address;
    le32 gsi_base;
};
WIRE_SIZE(struct acpi_madt_ioapic, 12);

struct acpi_madt_override {
    uint8_t type, length; /* 2, 10 */
    uint8_t bus;          /* 0: ISA */
    uint8_t source;
    le32 gsi;
    le16 flags; /* polarity in bits 1:0 (1 high), trigger in bits 3:2 (3 level) */
};
WIRE_SIZE(struct acpi_madt_override, 10);

struct acpi_madt_lapic_nmi {
    uint8_t type, length; /* 4, 6 */
    uint8_t processor_uid;
    le16 flags;
    uint8_t lint;
};
WIRE_SIZE(struct acpi_madt_lapic_nmi, 6);

/* IA-PC HPET Specification 1.0a, 3.2.4 */
struct acpi_hpet {
    struct acpi_header header;
    le32 block_id;
    struct acpi_gas base;
    uint8_t number;
    le16 min_tick;
    uint8_t page;
};
WIRE_SIZE(struct acpi_hpet, 56);

/* PCI Firmware Specification 3.2, 4.1.2 */
struct acpi_mcfg {
    struct acpi_header header;
    uint8_t reserved[8];
    le64 base;
    le16 segment;
    uint8_t first_bus, last_bus;
    uint8_t reserved2[4];
};
WIRE_SIZE(struct acpi_mcfg, 60);

#endif
