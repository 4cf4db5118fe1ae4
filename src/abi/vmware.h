/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmware.h - VMware's backdoor, GuestRPC messages and balloon port. Document: the public guest
 * drivers and open-vm-tools (backdoor_def.h, message.c, vmw_balloon.c).
 */
#ifndef HOSPES_ABI_VMWARE_H
#define HOSPES_ABI_VMWARE_H

#include "abi/bytes.h"

/* CPUID: "VMwareVMware". */
#define VMWARE_CPUID_SIGNATURE 0x40000000u
#define VMWARE_CPUID_TIMING 0x40000010u /* EAX: TSC, EBX: bus, kHz */
#define VMWARE_SIGNATURE_EBX 0x61774d56u
#define VMWARE_SIGNATURE_ECX 0x4d566572u
#define VMWARE_SIGNATURE_EDX 0x65726177u

#define BDOOR_MAGIC 0x564d5868u
#define BDOOR_PORT 0x5658
#define BDOOR_HB_PORT 0x5659 /* REP INSB and OUTSB */
#define BALLOON_PORT 0x5670
#define BALLOON_MAGIC 0x456c6d6fu

enum backdoor_command {
    BDOOR_CMD_GETMHZ = 1,
    BDOOR_CMD_GETPTRLOCATION = 4,
    BDOOR_CMD_GETVERSION = 10,
    BDOOR_CMD_GETDEVICELISTELEMENT = 11,
    BDOOR_CMD_GETGUIOPTIONS = 13,
    BDOOR_CMD_GETHWVERSION = 17,
    BDOOR_CMD_GETUUID = 19,
    BDOOR_CMD_GETMEMSIZE = 20,
    BDOOR_CMD_GETTIME = 23,
    BDOOR_CMD_MESSAGE = 30,
    BDOOR_CMD_ISMOUSEABSOLUTE = 36,
    BDOOR_CMD_ABSPOINTER_DATA = 39,
    BDOOR_CMD_ABSPOINTER_STATUS = 40,
    BDOOR_CMD_ABSPOINTER_COMMAND = 41,
    BDOOR_CMD_GETHZ = 45,
    BDOOR_CMD_GETTIMEFULL = 46,
    BDOOR_CMD_GETTIMEFULL_WITH_LAG = 55,
    BDOOR_CMD_GET_VCPU_INFO = 68,
    BDOOR_CMD_ABSPOINTER_RESTRICT = 86,
    BDOOR_CMD_STEALCLOCK = 91,
    BDOOR_CMD_PRECISIONCLOCK = 97,
    BDOOR_CMD_GETBUILDNUM = 100,
    BDOOR_CMD_REPORTGUESTCRASH = 102,
};
enum { GUI_SYNC_TIME = 0x400 };           /* GETGUIOPTIONS */
#define PTRLOCATION_UNGRABBED 0xff9cff9cu /* GETPTRLOCATION: x and y are -100 */
enum { VMX_VERSION = 6, VMX_TYPE_SCALABLE_SERVER = 2 };

/* GET_VCPU_INFO */
enum { VCPU_INFO_SYNC_VTSCS = 1 << 1, VCPU_INFO_LEGACY_X2APIC_OK = 1 << 3 };

/* STEALCLOCK: one per processor, in the guest's memory. */
struct vmware_steal {
    le64 clock; /* TSC ticks */
    le64 reserved[7];
};
WIRE_SIZE(struct vmware_steal, 64);

/* MESSAGE: the type in ECX 31:16, the channel in EDX 31:16, the cookie in ESI and EDI. */
enum message_type {
    MESSAGE_TYPE_OPEN,
    MESSAGE_TYPE_SENDSIZE,
    MESSAGE_TYPE_SENDPAYLOAD,
    MESSAGE_TYPE_RECVSIZE,
    MESSAGE_TYPE_RECVPAYLOAD,
    MESSAGE_TYPE_RECVSTATUS,
    MESSAGE_TYPE_CLOSE,
};
enum message_status {
    MESSAGE_STATUS_SUCCESS = 0x01,
    MESSAGE_STATUS_DORECV = 0x02,
    MESSAGE_STATUS_CLOSED = 0x04,
    MESSAGE_STATUS_CPT = 0x10,
};
/* The high-bandwidth port: EBX as below, the length in ECX, the channel in EDX 31:16, the cookie's
 * halves in EBP and EDI (out) or ESI and EBP (in). EBX stays when it was done. */
enum { BDOOR_HB_CMD_MESSAGE = 0, BDOOR_HB_SUCCESS = 1 << 16 };
#define RPCI_PROTOCOL_NUM 0x49435052u /* the guest asks */
#define TCLO_PROTOCOL_NUM 0x4f4c4354u /* the host asks */
#define GUESTMSG_FLAG_COOKIE 0x80000000u
enum { GUESTMSG_MAX_CHANNEL = 128, GUESTMSG_MAX_IN_SIZE = 65536 };

/* SetGuestInfo */
enum guest_info {
    INFO_DNS_NAME = 1,
    INFO_IPADDRESS = 2,
    INFO_OS_NAME_FULL = 5,
    INFO_OS_NAME = 6,
    INFO_IPADDRESS_V2 = 9, /* the same, in tools that know no V3 */
    INFO_IPADDRESS_V3 = 10,
    INFO_MAX = 12,
};

enum vmw_balloon_command {
    VMW_BALLOON_CMD_START = 0,
    VMW_BALLOON_CMD_GET_TARGET = 1,
    VMW_BALLOON_CMD_LOCK = 2,
    VMW_BALLOON_CMD_UNLOCK = 3,
    VMW_BALLOON_CMD_GUEST_ID = 4,
    VMW_BALLOON_CMD_BATCHED_LOCK = 6,
    VMW_BALLOON_CMD_BATCHED_UNLOCK = 7,
    VMW_BALLOON_CMD_BATCHED_2M_LOCK = 8,
    VMW_BALLOON_CMD_BATCHED_2M_UNLOCK = 9,
};
enum vmw_balloon_status {
    VMW_BALLOON_SUCCESS = 0,
    VMW_BALLOON_ERROR_CMD_INVALID = 1,
    VMW_BALLOON_ERROR_PPN_INVALID = 2,
    VMW_BALLOON_ERROR_RESET = 7,
};
#define VMW_BALLOON_SUCCESS_WITH_CAPABILITIES 0x03000000u
enum vmw_balloon_cap {
    VMW_BALLOON_BASIC_CMDS = 1 << 1,
    VMW_BALLOON_BATCHED_CMDS = 1 << 2,
    VMW_BALLOON_BATCHED_2M_CMDS = 1 << 3,
};
/* A batch page: entries of a page number, its low bits the status on return. */
enum { VMW_BALLOON_BATCH_MAX = 512, VMW_BALLOON_BATCH_STATUS = 0x1f };

/* vmmouse */
#define VMMOUSE_CMD_ENABLE 0x45414552u
#define VMMOUSE_CMD_DISABLE 0x000000f5u
#define VMMOUSE_CMD_REQUEST_RELATIVE 0x4c455252u
#define VMMOUSE_CMD_REQUEST_ABSOLUTE 0x53424152u
#define VMMOUSE_VERSION_ID 0x3442554au
#define VMMOUSE_ERROR 0xffff0000u
enum { VMMOUSE_LEFT = 0x20, VMMOUSE_RIGHT = 0x10, VMMOUSE_MIDDLE = 0x08 };

#define VMMOUSE_RESTRICT_CPL0 1u

#endif
