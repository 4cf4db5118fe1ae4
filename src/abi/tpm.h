/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tpm.h - TCG PC Client Platform TPM Profile for TPM 2.0, 1.05, chapter 6.5.3 (command response
 * buffer interface); TPM 2.0 Library part 1, chapter 18.8 (headers); TCG ACPI Specification 1.4;
 * swtpm's control channel as tpm_ioctl.h of swtpm and QEMU docs/specs/tpm describe it.
 */
#ifndef HOSPES_ABI_TPM_H
#define HOSPES_ABI_TPM_H

#include "abi/acpi.h"
#include "abi/bytes.h"

/* Registers of a locality, by their offset. */
enum tpm_crb_register {
    TPM_LOC_STATE = 0x00,
    TPM_LOC_STATE_ESTABLISHED = 0x01, /* 0: a dynamic launch has been measured */
    TPM_LOC_STATE_ASSIGNED = 0x02,
    TPM_LOC_STATE_VALID = 0x80,
    TPM_LOC_CTRL = 0x08,
    TPM_LOC_CTRL_REQUEST = 0x01,
    TPM_LOC_CTRL_RELINQUISH = 0x02,
    TPM_LOC_STS = 0x0c,
    TPM_LOC_STS_GRANTED = 0x01,
    TPM_CRB_INTF_ID = 0x30, /* 64 bits */
    TPM_CRB_CTRL_REQ = 0x40,
    TPM_CRB_CTRL_REQ_READY = 0x01,
    TPM_CRB_CTRL_REQ_IDLE = 0x02,
    TPM_CRB_CTRL_STS = 0x44,
    TPM_CRB_CTRL_STS_ERROR = 0x01,
    TPM_CRB_CTRL_STS_IDLE = 0x02,
    TPM_CRB_CTRL_CANCEL = 0x48,
    TPM_CRB_CTRL_START = 0x4c,
    TPM_CRB_CTRL_CMD_SIZE = 0x58,
    TPM_CRB_CTRL_CMD_LADDR = 0x5c,
    TPM_CRB_CTRL_CMD_HADDR = 0x60,
    TPM_CRB_CTRL_RSP_SIZE = 0x64,
    TPM_CRB_CTRL_RSP_ADDR = 0x68, /* 64 bits */
    TPM_CRB_DATA_BUFFER = 0x80,
    TPM_CRB_SIZE = 0x1000,
};
/* Type and version CRB, 64 bytes at a time, one locality, CRB alone and selected. */
#define TPM_CRB_INTF_ID_LOW UINT32_C(0x00025811)

/* Before every command and response. */
struct tpm_header {
    be16 tag;
    be32 size; /* with this header */
    be32 code;
};
WIRE_SIZE(struct tpm_header, 10);

/* TCG ACPI Specification 1.4, 8.3 */
struct acpi_tpm2 {
    struct acpi_header header;
    le16 platform_class; /* 0: client */
    le16 reserved;
    le64 control_area;
    le32 start_method;
    uint8_t parameters[12];
    le32 log_length;
    le64 log_address;
};
WIRE_SIZE(struct acpi_tpm2, 76);
enum { ACPI_TPM2_START_CRB = 7 };

/* Commands of swtpm's control channel; each answer begins with a result, 0 for success. */
enum swtpm_command {
    SWTPM_CMD_INIT = 2, /* be32 flags */
    SWTPM_CMD_SHUTDOWN = 3,
    SWTPM_CMD_STOP = 14,
};
struct swtpm_request {
    be32 command;
    be32 flags; /* of INIT alone */
};
WIRE_SIZE(struct swtpm_request, 8);

#endif
