/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nvme.h - registers, commands and data of NVM Express.
 *
 * Document: NVM Express Base Specification 1.4, whose figures' names these are.
 */
#ifndef HOSPES_ABI_NVME_H
#define HOSPES_ABI_NVME_H

#include "abi/bytes.h"

/* Chapter 3.1 */
enum {
    NVME_CAP = 0x00,
    NVME_VS = 0x08,
    NVME_INTMS = 0x0c,
    NVME_INTMC = 0x10,
    NVME_CC = 0x14,
    NVME_CSTS = 0x1c,
    NVME_AQA = 0x24,
    NVME_ASQ = 0x28,
    NVME_ACQ = 0x30,
    NVME_DOORBELLS = 0x1000,
};
#define NVME_CAP_CQR (UINT64_C(1) << 16)
#define NVME_CAP_TO 24 /* in units of 500 ms */
#define NVME_CAP_CSS_NVM (UINT64_C(1) << 37)
#define NVME_CC_EN 0x00000001u
#define NVME_CC_SHN 0x0000c000u
#define NVME_CC_IOSQES 16 /* first bit of four */
#define NVME_CC_IOCQES 20
#define NVME_CSTS_RDY 0x1u
#define NVME_CSTS_CFS 0x2u
#define NVME_CSTS_SHST_OCCURRING 0x4u
#define NVME_CSTS_SHST_COMPLETE 0x8u
#define NVME_VERSION 0x00010400u

struct nvme_sqe {
    uint8_t opcode, flags;
    le16 cid;
    le32 nsid;
    le32 cdw2, cdw3;
    le64 mptr, prp1, prp2;
    le32 cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
WIRE_SIZE(struct nvme_sqe, 64);
WIRE_OFFSET(struct nvme_sqe, prp1, 24);
WIRE_OFFSET(struct nvme_sqe, cdw10, 40);

struct nvme_cqe {
    le32 result, reserved;
    le16 sq_head, sq_id, cid, status; /* phase in bit 0 of the status */
};
WIRE_SIZE(struct nvme_cqe, 16);

/* Chapter 5 */
enum nvme_admin {
    NVME_DELETE_IO_SQ = 0x00,
    NVME_CREATE_IO_SQ = 0x01,
    NVME_GET_LOG_PAGE = 0x02,
    NVME_DELETE_IO_CQ = 0x04,
    NVME_CREATE_IO_CQ = 0x05,
    NVME_IDENTIFY = 0x06,
    NVME_ABORT = 0x08,
    NVME_SET_FEATURES = 0x09,
    NVME_GET_FEATURES = 0x0a,
    NVME_ASYNC_EVENT_REQUEST = 0x0c,
};
/* Chapter 6 */
enum nvme_nvm {
    NVME_FLUSH = 0x00,
    NVME_WRITE = 0x01,
    NVME_READ = 0x02,
    NVME_WRITE_ZEROES = 0x08,
    NVME_DSM = 0x09,
};
#define NVME_RW_FUA 0x40000000u  /* cdw12 */
#define NVME_WZ_DEAC 0x02000000u /* cdw12 */
#define NVME_DSM_DEALLOCATE 0x4u /* cdw11 */
#define NVME_NSID_ALL UINT32_MAX

struct nvme_dsm_range {
    le32 attributes, blocks;
    le64 lba;
};
WIRE_SIZE(struct nvme_dsm_range, 16);

/* Status, chapter 4.6.1: type in bits 10:8, "do not retry" in bit 14. */
enum nvme_status {
    NVME_SUCCESS = 0x000,
    NVME_INVALID_OPCODE = 0x001,
    NVME_INVALID_FIELD = 0x002,
    NVME_DATA_TRANSFER_ERROR = 0x004,
    NVME_INTERNAL_ERROR = 0x006,
    NVME_INVALID_NAMESPACE = 0x00b,
    NVME_SEQUENCE_ERROR = 0x00c,
    NVME_INVALID_PRP_OFFSET = 0x013,
    NVME_WRITE_PROTECTED = 0x020,
    NVME_LBA_OUT_OF_RANGE = 0x080,
    NVME_INVALID_CQ = 0x100,
    NVME_INVALID_QUEUE_ID = 0x101,
    NVME_INVALID_QUEUE_SIZE = 0x102,
    NVME_TOO_MANY_EVENT_REQUESTS = 0x105,
    NVME_INVALID_VECTOR = 0x108,
    NVME_INVALID_LOG_PAGE = 0x109,
    NVME_INVALID_QUEUE_DELETION = 0x10c,
    NVME_NOT_SAVEABLE = 0x10d,
    NVME_NOT_CHANGEABLE = 0x10e,
    NVME_WRITE_FAULT = 0x280,
    NVME_UNRECOVERED_READ = 0x281,
    NVME_DNR = 0x4000,
};

enum nvme_cns {
    NVME_CNS_NAMESPACE = 0x00,
    NVME_CNS_CONTROLLER = 0x01,
    NVME_CNS_ACTIVE = 0x02,
    NVME_CNS_DESCRIPTORS = 0x03,
};
enum nvme_log {
    NVME_LOG_ERROR = 1,
    NVME_LOG_SMART = 2,
    NVME_LOG_FIRMWARE = 3,
    NVME_LOG_CHANGED = 4,
    NVME_LOG_EFFECTS = 5
};
enum nvme_feature {
    NVME_FEAT_ARBITRATION = 0x01,
    NVME_FEAT_POWER = 0x02,
    NVME_FEAT_TEMPERATURE = 0x04,
    NVME_FEAT_RECOVERY = 0x05,
    NVME_FEAT_WRITE_CACHE = 0x06,
    NVME_FEAT_QUEUES = 0x07,
    NVME_FEAT_COALESCING = 0x08,
    NVME_FEAT_VECTOR = 0x09,
    NVME_FEAT_ATOMICITY = 0x0a,
    NVME_FEAT_EVENTS = 0x0b,
    NVME_FEATURES = 0x0c,
};

#endif
