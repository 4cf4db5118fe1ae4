/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netvsp.h - Hyper-V's synthetic network card: NVSP messages and the RNDIS that they carry.
 *
 * Facts: Linux drivers/net/hyperv/hyperv_net.h and include/linux/rndis.h, whose names are kept.
 */
#ifndef HOSPES_ABI_NETVSP_H
#define HOSPES_ABI_NETVSP_H

#include "abi/vmbus.h"

#define HV_NIC_GUID                                                                                \
    WIRE_GUID(0xf8615163, 0xdf3e, 0x46c5, 0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e)

enum nvsp_protocol_version {
    NVSP_PROTOCOL_VERSION_1 = 2,
    NVSP_PROTOCOL_VERSION_2 = 0x30002,
    NVSP_PROTOCOL_VERSION_4 = 0x40000,
    NVSP_PROTOCOL_VERSION_5 = 0x50000,
    NVSP_PROTOCOL_VERSION_6 = 0x60000,
    NVSP_PROTOCOL_VERSION_61 = 0x60001,
};

enum nvsp_msg_type {
    NVSP_MSG_TYPE_INIT = 1,
    NVSP_MSG_TYPE_INIT_COMPLETE = 2,
    NVSP_MSG1_TYPE_SEND_NDIS_VER = 100,
    NVSP_MSG1_TYPE_SEND_RECV_BUF = 101,
    NVSP_MSG1_TYPE_SEND_RECV_BUF_COMPLETE = 102,
    NVSP_MSG1_TYPE_REVOKE_RECV_BUF = 103,
    NVSP_MSG1_TYPE_SEND_SEND_BUF = 104,
    NVSP_MSG1_TYPE_SEND_SEND_BUF_COMPLETE = 105,
    NVSP_MSG1_TYPE_REVOKE_SEND_BUF = 106,
    NVSP_MSG1_TYPE_SEND_RNDIS_PKT = 107,
    NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE = 108,
    NVSP_MSG2_TYPE_SEND_NDIS_CONFIG = 125,
    NVSP_MSG4_TYPE_SWITCH_DATA_PATH = 129,
    NVSP_MSG5_TYPE_SUBCHANNEL = 133,
    NVSP_MSG5_TYPE_SEND_INDIRECTION_TABLE = 134,
};
enum nvsp_status { NVSP_STAT_SUCCESS = 1, NVSP_STAT_FAIL = 2 };

/* All messages: a type and words whose meaning follows from it. */
struct nvsp_message {
    le32 msg_type;
    le32 w[9];
};
WIRE_SIZE(struct nvsp_message, 40);
enum { NVSP_MESSAGE_OLD = 28 }; /* bytes before 6.1 */
#define NETVSC_INVALID_INDEX UINT32_MAX
enum { NETVSC_RECEIVE_BUFFER_ID = 0xcafe, NVSP_INDIRECTION = 16, NVSP_CHANNEL_CONTROL = 1 };

struct rndis_message_header {
    le32 ndis_msg_type;
    le32 msg_len;
};
WIRE_SIZE(struct rndis_message_header, 8);
/* RNDIS_MSG_PACKET; offsets count from data_offset's own place. */
struct rndis_packet {
    le32 ndis_msg_type, msg_len;
    le32 data_offset, data_len;
    le32 oob_data_offset, oob_data_len, num_oob_data_elements;
    le32 per_pkt_info_offset, per_pkt_info_len;
    le32 vc_handle, reserved;
};
WIRE_SIZE(struct rndis_packet, 44);
enum { RNDIS_BODY = 8 };

enum rndis_msg_type {
    RNDIS_MSG_PACKET = 1,
    RNDIS_MSG_INIT = 2,
    RNDIS_MSG_HALT = 3,
    RNDIS_MSG_QUERY = 4,
    RNDIS_MSG_SET = 5,
    RNDIS_MSG_RESET = 6,
    RNDIS_MSG_INDICATE = 7,
    RNDIS_MSG_KEEPALIVE = 8,
};
#define RNDIS_MSG_COMPLETION UINT32_C(0x80000000)

#define RNDIS_STATUS_SUCCESS UINT32_C(0)
#define RNDIS_STATUS_NOT_SUPPORTED UINT32_C(0xc00000bb)
#define RNDIS_STATUS_INVALID_DATA UINT32_C(0xc0010015)
#define RNDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG UINT32_C(0x40020006)
#define RNDIS_STATUS_MEDIA_CONNECT UINT32_C(0x4001000b)
#define RNDIS_STATUS_MEDIA_DISCONNECT UINT32_C(0x4001000c)

struct rndis_per_packet_info {
    le32 size;
    le32 type;
    le32 ppi_offset;
};
WIRE_SIZE(struct rndis_per_packet_info, 12);
enum rndis_ppi_type {
    TCPIP_CHKSUM_PKTINFO = 0,
    TCP_LARGESEND_PKTINFO = 2,
    IEEE_8021Q_INFO = 6,
    NBL_HASH_VALUE = 8,
};
/* Of the host's own numbering: the top bit of the type. A frame in several sections says where each
 * of its parts stands. */
#define RNDIS_PKTINFO_INTERNAL UINT32_C(0x80000000)
enum {
    RNDIS_PKTINFO_ID = 1,
    RNDIS_PKTINFO_ID_V1 = 1,
    RNDIS_PKTINFO_SUBALLOC = 1 << 0,
    RNDIS_PKTINFO_1ST_FRAG = 1 << 1,
    RNDIS_PKTINFO_LAST_FRAG = 1 << 2,
};
struct rndis_pktinfo_id {
    uint8_t ver, flag;
    le16 pkt_id;
};
WIRE_SIZE(struct rndis_pktinfo_id, 4);
/* Checksum info to the host. From the host: bit 0..5 failures and successes. */
enum {
    NDIS_CSUM_IS_IPV4 = 1 << 0,
    NDIS_CSUM_IS_IPV6 = 1 << 1,
    NDIS_CSUM_TCP = 1 << 2,
    NDIS_CSUM_UDP = 1 << 3,
    NDIS_CSUM_IP_HEADER = 1 << 4,
    NDIS_CSUM_OFFSET_SHIFT = 16, /* 10 bits: where the transport header starts */
    NDIS_RX_TCP_SUCCEEDED = 1 << 3,
    NDIS_RX_UDP_SUCCEEDED = 1 << 4,
    NDIS_RX_IP_SUCCEEDED = 1 << 5,
};
/* Large send v2: MSS 0..19, TCP header offset 20..29, type 30, version 31 (1: IPv6 in bit 31). */
enum { NDIS_LSO_MSS_MASK = 0xfffff, NDIS_LSO_OFFSET_SHIFT = 20 };
#define NDIS_LSO_V2 (UINT32_C(1) << 30)
#define NDIS_LSO_IPV6 (UINT32_C(1) << 31)

enum rndis_oid {
    RNDIS_OID_GEN_SUPPORTED_LIST = 0x00010101,
    RNDIS_OID_GEN_HARDWARE_STATUS = 0x00010102,
    RNDIS_OID_GEN_MEDIA_SUPPORTED = 0x00010103,
    RNDIS_OID_GEN_MEDIA_IN_USE = 0x00010104,
    RNDIS_OID_GEN_MAXIMUM_LOOKAHEAD = 0x00010105,
    RNDIS_OID_GEN_MAXIMUM_FRAME_SIZE = 0x00010106,
    RNDIS_OID_GEN_LINK_SPEED = 0x00010107,
    RNDIS_OID_GEN_TRANSMIT_BUFFER_SPACE = 0x00010108,
    RNDIS_OID_GEN_RECEIVE_BUFFER_SPACE = 0x00010109,
    RNDIS_OID_GEN_TRANSMIT_BLOCK_SIZE = 0x0001010a,
    RNDIS_OID_GEN_RECEIVE_BLOCK_SIZE = 0x0001010b,
    RNDIS_OID_GEN_VENDOR_ID = 0x0001010c,
    RNDIS_OID_GEN_VENDOR_DESCRIPTION = 0x0001010d,
    RNDIS_OID_GEN_CURRENT_PACKET_FILTER = 0x0001010e,
    RNDIS_OID_GEN_CURRENT_LOOKAHEAD = 0x0001010f,
    RNDIS_OID_GEN_DRIVER_VERSION = 0x00010110,
    RNDIS_OID_GEN_MAXIMUM_TOTAL_SIZE = 0x00010111,
    RNDIS_OID_GEN_MAC_OPTIONS = 0x00010113,
    RNDIS_OID_GEN_MEDIA_CONNECT_STATUS = 0x00010114,
    RNDIS_OID_GEN_MAXIMUM_SEND_PACKETS = 0x00010115,
    RNDIS_OID_GEN_VENDOR_DRIVER_VERSION = 0x00010116,
    RNDIS_OID_GEN_NETWORK_LAYER_ADDRESSES = 0x00010118,
    OID_GEN_RECEIVE_SCALE_CAPABILITIES = 0x00010203,
    OID_GEN_RECEIVE_SCALE_PARAMETERS = 0x00010204,
    OID_GEN_MAX_LINK_SPEED = 0x00010206,
    OID_GEN_LINK_STATE = 0x00010207,
    RNDIS_OID_GEN_RNDIS_CONFIG_PARAMETER = 0x0001021b,
    RNDIS_OID_GEN_XMIT_OK = 0x00020101,
    RNDIS_OID_GEN_RCV_OK = 0x00020102,
    RNDIS_OID_GEN_XMIT_ERROR = 0x00020103,
    RNDIS_OID_GEN_RCV_ERROR = 0x00020104,
    RNDIS_OID_GEN_RCV_NO_BUFFER = 0x00020105,
    RNDIS_OID_GEN_FRIENDLY_NAME = 0x00020216,
    OID_GEN_BYTES_RCV = 0x00020219,
    OID_GEN_BYTES_XMIT = 0x0002021a,
    RNDIS_OID_802_3_PERMANENT_ADDRESS = 0x01010101,
    RNDIS_OID_802_3_CURRENT_ADDRESS = 0x01010102,
    RNDIS_OID_802_3_MULTICAST_LIST = 0x01010103,
    RNDIS_OID_802_3_MAXIMUM_LIST_SIZE = 0x01010104,
    OID_OFFLOAD_ENCAPSULATION = 0x0101010a,
    RNDIS_OID_802_3_RCV_ERROR_ALIGNMENT = 0x01020101,
    RNDIS_OID_802_3_XMIT_ONE_COLLISION = 0x01020102,
    RNDIS_OID_802_3_XMIT_MORE_COLLISIONS = 0x01020103,
};
enum { RNDIS_FRIENDLY_NAME = 512 }; /* bytes, UTF-16 */
#define OID_TCP_OFFLOAD_CURRENT_CONFIG UINT32_C(0xfc01020b)
#define OID_TCP_OFFLOAD_PARAMETERS UINT32_C(0xfc01020c)
#define OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES UINT32_C(0xfc01020d)

/* The start of every NDIS object. */
struct ndis_object_header {
    uint8_t type, revision;
    le16 size;
};
WIRE_SIZE(struct ndis_object_header, 4);
enum {
    NDIS_OBJECT_TYPE_DEFAULT = 0x80,
    NDIS_OBJECT_TYPE_RSS_CAPABILITIES = 0x88,
    NDIS_OBJECT_TYPE_RSS_PARAMETERS = 0x89,
    NDIS_OBJECT_TYPE_OFFLOAD = 0xa7,
    NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION = 0xa8,
};

struct ndis_link_state {
    struct ndis_object_header hdr;
    le32 media_connect_state, media_duplex_state, padding;
    le64 xmit_link_speed, rcv_link_speed; /* bits a second */
    le32 pause_functions, auto_negotiation_flags;
};
WIRE_SIZE(struct ndis_link_state, 40);
enum { NDIS_MEDIA_CONNECTED = 1, NDIS_MEDIA_DISCONNECTED = 2 };

/* For IPv4 and IPv6: whether, encapsulation, bytes of the header before it. */
struct ndis_offload_encapsulation {
    struct ndis_object_header hdr;
    le32 ip4_enabled, ip4_type, ip4_header;
    le32 ip6_enabled, ip6_type, ip6_header;
};
WIRE_SIZE(struct ndis_offload_encapsulation, 28);

/* Hardware offloads: offsets of the parts that are used; the rest is zero. */
enum {
    NDIS_OFFLOAD_SIZE_6_0 = 112,
    NDIS_OFFLOAD_SIZE_6_1 = 144,
    NDIS_OFFLOAD_SIZE = 156,
    NDIS_OFFLOAD_CSUM = 4,
    NDIS_OFFLOAD_LSOV2 = 80,
    NDIS_OFFLOAD_RSC = 144, /* a byte each for IPv4 and IPv6 */
};
/* Offload parameters: where receive coalescing stands in them, and its values. */
enum {
    NDIS_OFFLOAD_PARAMETERS_RSC = 22,
    NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED = 1,
    NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED = 2,
};
struct ndis_csum_offload {
    le32 ip4_txenc, ip4_txcsum, ip4_rxenc, ip4_rxcsum;
    le32 ip6_txenc, ip6_txcsum, ip6_rxenc, ip6_rxcsum;
};
WIRE_SIZE(struct ndis_csum_offload, 32);
struct ndis_lsov2_offload {
    le32 ip4_encap, ip4_maxsz, ip4_minsg;
    le32 ip6_encap, ip6_maxsz, ip6_minsg, ip6_opts;
};
WIRE_SIZE(struct ndis_lsov2_offload, 28);
enum {
    NDIS_OFFLOAD_ENCAP_8023 = 2,
    NDIS_TXCSUM_CAP_TCP4 = 0x15, /* IP and TCP options, TCP */
    NDIS_TXCSUM_CAP_UDP4 = 0x40,
    NDIS_TXCSUM_CAP_IP4 = 0x100,
    NDIS_TXCSUM_CAP_6 = 0x55, /* extension headers, TCP options, TCP, UDP */
    NDIS_LSOV2_CAP_IP6 = 0x5, /* extension headers, TCP options */
};

struct ndis_recv_scale_cap {
    struct ndis_object_header hdr;
    le32 cap_flag, num_int_msg, num_recv_que;
    le16 num_indirect_tabent, padding;
};
WIRE_SIZE(struct ndis_recv_scale_cap, 20);
/* Toeplitz; TCP and plain addresses of IPv4 and IPv6. */
enum { NDIS_RSS_CAPS = 0x01000000 | 1 | 0x100 | 0x200 };
struct ndis_recv_scale_param {
    struct ndis_object_header hdr;
    le16 flag, base_cpu_number;
    le32 hashinfo;
    le16 indirect_tabsize, padding;
    le32 indirect_taboffset;
    le16 hashkey_size, padding2;
    le32 hashkey_offset;
    le32 processor_masks_offset, num_processor_masks, processor_masks_entry_size;
};
WIRE_SIZE(struct ndis_recv_scale_param, 40);
enum { NDIS_HASH_FUNCTION_MASK = 0xff }; /* 0: none, so no scaling */
enum { NDIS_RSS_KEY = 40, NDIS_RSS_TABLE = 128, NDIS_RSS_PARAM_FLAG_DISABLE_RSS = 0x10 };

#endif
