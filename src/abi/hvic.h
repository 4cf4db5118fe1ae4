/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvic.h - Hyper-V's integration services: shutdown, time, heartbeat, key-value pairs, backup,
 * copy.
 *
 * Facts: Linux include/linux/hyperv.h, include/uapi/linux/hyperv.h and drivers/hv, names kept.
 */
#ifndef HOSPES_ABI_HVIC_H
#define HOSPES_ABI_HVIC_H

#include "abi/vmbus.h"

#define HV_SHUTDOWN_GUID                                                                           \
    WIRE_GUID(0x0e0b6031, 0x5213, 0x4934, 0x81, 0x8b, 0x38, 0xd9, 0x0c, 0xed, 0x39, 0xdb)
#define HV_TS_GUID                                                                                 \
    WIRE_GUID(0x9527e630, 0xd0ae, 0x497b, 0xad, 0xce, 0xe8, 0x0a, 0xb0, 0x17, 0x5c, 0xaf)
#define HV_HEART_BEAT_GUID                                                                         \
    WIRE_GUID(0x57164f39, 0x9115, 0x4e78, 0xab, 0x55, 0x38, 0x2f, 0x3b, 0xd5, 0x42, 0x2d)
#define HV_KVP_GUID                                                                                \
    WIRE_GUID(0xa9a0f4e7, 0x5a45, 0x4d96, 0xb8, 0x27, 0x8a, 0x84, 0x1e, 0x8c, 0x03, 0xe6)
#define HV_VSS_GUID                                                                                \
    WIRE_GUID(0x35fa2e29, 0xea23, 0x4236, 0x96, 0xae, 0x3a, 0x6e, 0xba, 0xcb, 0xa4, 0x40)
#define HV_FCOPY_GUID                                                                              \
    WIRE_GUID(0x34d14be3, 0xdee4, 0x41c8, 0x9a, 0xe7, 0x6b, 0x17, 0x49, 0x77, 0xc1, 0x92)

enum icmsg_type {
    ICMSGTYPE_NEGOTIATE = 0,
    ICMSGTYPE_HEARTBEAT = 1,
    ICMSGTYPE_KVPEXCHANGE = 2,
    ICMSGTYPE_SHUTDOWN = 3,
    ICMSGTYPE_TIMESYNC = 4,
    ICMSGTYPE_VSS = 5,
    ICMSGTYPE_FCOPY = 7,
};
#define HV_E_FAIL UINT32_C(0x80004005)
enum { ICMSGHDRFLAG_TRANSACTION = 1, ICMSGHDRFLAG_REQUEST = 2, ICMSGHDRFLAG_RESPONSE = 4 };

struct ic_version {
    le16 major, minor;
};
WIRE_SIZE(struct ic_version, 4);

struct icmsg_hdr {
    struct ic_version icverframe;
    le16 icmsgtype;
    struct ic_version icvermsg;
    le16 icmsgsize;
    le32 status;
    uint8_t ictransaction_id, icflags;
    uint8_t reserved[2];
};
WIRE_SIZE(struct icmsg_hdr, 20);

/* Framework versions, then message versions, each the oldest first. */
struct icmsg_negotiate {
    le16 icframe_vercnt, icmsg_vercnt;
    le32 reserved;
    struct ic_version icversion_data[];
};
WIRE_SIZE(struct icmsg_negotiate, 8);

struct shutdown_msg_data {
    le32 reason_code, timeout_seconds, flags;
    uint8_t display_message[2048];
};
WIRE_SIZE(struct shutdown_msg_data, 2060);
enum { IC_SHUTDOWN_FORCE = 1, IC_SHUTDOWN_RESTART = 2 };
#define IC_SHUTDOWN_PLANNED UINT32_C(0x80000000)

struct heartbeat_msg_data {
    le64 seq_num;
    le32 reserved[8];
};
WIRE_SIZE(struct heartbeat_msg_data, 40);

/* Message version 3.0 and older. Times count 100 ns since 1601. Linux knows no
 * more than the flags; on the wire Microsoft's structure is whole, with its padding. */
struct ictimesync_data {
    le64 parenttime, childtime, roundtriptime;
    uint8_t flags, reserved[7];
};
WIRE_SIZE(struct ictimesync_data, 32);

/* Message version 4.0: the host's time and what the guest's reference counter was then. */
struct ictimesync_ref_data {
    le64 parenttime, vmreferencetime;
    uint8_t flags, leapflags, stratum, reserved[5];
};
WIRE_SIZE(struct ictimesync_ref_data, 24);
enum { ICTIMESYNCFLAG_SYNC = 1, ICTIMESYNCFLAG_SAMPLE = 2 };
#define IC_EPOCH_1601 UINT64_C(116444736000000000) /* 1970 in those units */

struct hv_kvp_hdr {
    uint8_t operation, pool;
    le16 pad;
};
WIRE_SIZE(struct hv_kvp_hdr, 4);
enum { HV_KVP_KEY = 512, HV_KVP_VALUE = 2048 };
enum hv_kvp_op {
    KVP_OP_GET = 0,
    KVP_OP_SET = 1,
    KVP_OP_DELETE = 2,
    KVP_OP_ENUMERATE = 3,
    KVP_OP_GET_IP_INFO = 4,
    KVP_OP_SET_IP_INFO = 5,
};
enum hv_kvp_pool { KVP_POOL_EXTERNAL = 0, KVP_POOL_GUEST = 1, KVP_POOL_AUTO = 2 };
/* The types of a registry: those that a service lists. */
enum hv_kvp_type { KVP_REG_SZ = 1, KVP_REG_EXPAND_SZ = 2, KVP_REG_DWORD = 4, KVP_REG_QWORD = 11 };

/* An enumeration request and its answer. Text is UTF-16; sizes are bytes with the final zero. It is
 * the longest message of pairs, and on the wire all of them have its size. */
struct hv_kvp_enum {
    struct hv_kvp_hdr hdr;
    le32 index;
    le32 value_type, key_size, value_size;
    uint8_t key[HV_KVP_KEY], value[HV_KVP_VALUE];
};
WIRE_SIZE(struct hv_kvp_enum, 2580);

struct hv_kvp_set {
    struct hv_kvp_hdr hdr;
    le32 value_type, key_size, value_size;
    uint8_t key[HV_KVP_KEY], value[HV_KVP_VALUE];
};
WIRE_SIZE(struct hv_kvp_set, 2576);

struct hv_kvp_delete {
    struct hv_kvp_hdr hdr;
    le32 key_size;
    uint8_t key[HV_KVP_KEY];
};
WIRE_SIZE(struct hv_kvp_delete, 520);

/* Addresses of one adapter; lists are separated by ';'. Text is UTF-16. */
struct hv_kvp_ip_msg {
    uint8_t operation, pool;
    uint8_t adapter_id[2 * 128];
    uint8_t addr_family, dhcp_enabled;
    uint8_t ip_addr[2 * 1024], sub_net[2 * 1024], gate_way[2 * 512], dns_addr[2 * 1024];
};
WIRE_SIZE(struct hv_kvp_ip_msg, 7428);
enum { ADDR_FAMILY_IPV4 = 1, ADDR_FAMILY_IPV6 = 2 };

enum hv_fcopy_op { START_FILE_COPY = 0, WRITE_TO_FILE, COMPLETE_FCOPY, CANCEL_FCOPY };
struct hv_fcopy_hdr {
    le32 operation;
    uint8_t service_id0[16], service_id1[16];
};
WIRE_SIZE(struct hv_fcopy_hdr, 36);

struct hv_start_fcopy {
    struct hv_fcopy_hdr hdr;
    uint8_t file_name[2 * 260], path_name[2 * 260]; /* UTF-16 */
    le32 copy_flags;
    le64 file_size;
};
WIRE_SIZE(struct hv_start_fcopy, 1088);
enum { OVER_WRITE = 1, CREATE_PATH = 2 };

enum { DATA_FRAGMENT = 6 << 10 };
struct hv_do_fcopy {
    struct hv_fcopy_hdr hdr;
    le32 pad;
    le64 offset;
    le32 size;
    uint8_t data[DATA_FRAGMENT];
};
WIRE_SIZE(struct hv_do_fcopy, 6196);

struct hv_vss_msg {
    uint8_t operation, reserved[7];
    le32 flags;
};
WIRE_SIZE(struct hv_vss_msg, 12);
enum { VSS_OP_HOT_BACKUP = 2, VSS_OP_GET_DM_INFO = 3, VSS_OP_FREEZE = 5, VSS_OP_THAW = 6 };

#endif
