/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmci.h - VMware's virtual machine communication interface, and sockets over it, as the public
 * guest drivers define them.
 *
 * Names are those of Linux: include/linux/vmw_vmci_defs.h and net/vmw_vsock/vmci_transport.h. All
 * fields are little-endian.
 */
#ifndef HOSPES_ABI_VMCI_H
#define HOSPES_ABI_VMCI_H

#include "abi/bytes.h"

enum { PCI_DEVICE_ID_VMWARE_VMCI = 0x0740 };

/* Register offsets in the I/O BAR. */
enum {
    VMCI_STATUS_ADDR = 0x00,
    VMCI_CONTROL_ADDR = 0x04,
    VMCI_ICR_ADDR = 0x08,
    VMCI_IMR_ADDR = 0x0c,
    VMCI_DATA_OUT_ADDR = 0x10,
    VMCI_DATA_IN_ADDR = 0x14,
    VMCI_CAPS_ADDR = 0x18,
    VMCI_RESULT_LOW_ADDR = 0x1c,
    VMCI_RESULT_HIGH_ADDR = 0x20,
};

enum { VMCI_STATUS_INT_ON = 1 << 0 };
enum {
    VMCI_CONTROL_RESET = 1 << 0,
    VMCI_CONTROL_INT_ENABLE = 1 << 1,
    VMCI_CONTROL_INT_DISABLE = 1 << 2,
};
enum {
    VMCI_CAPS_HYPERCALL = 1 << 0,
    VMCI_CAPS_GUESTCALL = 1 << 1,
    VMCI_CAPS_DATAGRAM = 1 << 2,
    VMCI_CAPS_NOTIFICATIONS = 1 << 3,
    VMCI_CAPS_PPN64 = 1 << 4,
    VMCI_CAPS_DMA_DATAGRAM = 1 << 5,
};
/* Bits of ICR and IMR, and the vectors that stand for them. */
enum { VMCI_ICR_DATAGRAM = 1 << 0, VMCI_ICR_NOTIFICATION = 1 << 1 };
enum { VMCI_INTR_DATAGRAM = 0, VMCI_INTR_NOTIFICATION = 1, VMCI_MAX_INTRS = 2 };

enum { VMCI_PAGE_SIZE = 4096, VMCI_MAX_DG_SIZE = 17 * 4096 };

/* Contexts. */
#define VMCI_INVALID_ID UINT32_MAX
enum {
    VMCI_HYPERVISOR_CONTEXT_ID = 0,
    VMCI_WELL_KNOWN_CONTEXT_ID = 1,
    VMCI_HOST_CONTEXT_ID = 2,
    VMCI_RESERVED_CID_LIMIT = 16,
};
/* Resources of a guest's context. */
enum { VMCI_EVENT_HANDLER = 0, VMCI_CONTEXT_RESOURCE_ID = 0, VMCI_RESERVED_RESOURCE_ID_MAX = 1023 };
/* Resources of the hypervisor's: calls. */
enum vmci_hypercall {
    VMCI_RESOURCES_QUERY = 0,
    VMCI_GET_CONTEXT_ID = 1,
    VMCI_SET_NOTIFY_BITMAP = 2,
    VMCI_DOORBELL_LINK = 3,
    VMCI_DOORBELL_UNLINK = 4,
    VMCI_DOORBELL_NOTIFY = 5,
    VMCI_EVENT_SUBSCRIBE = 8,
    VMCI_EVENT_UNSUBSCRIBE = 9,
    VMCI_QUEUEPAIR_ALLOC = 10,
    VMCI_QUEUEPAIR_DETACH = 11,
    VMCI_RPC_PRIVILEGED = 15,
    VMCI_RESOURCE_QUERY_MAX_NUM = 31,
};

enum vmci_result {
    VMCI_SUCCESS_QUEUEPAIR_ATTACH = 5,
    VMCI_SUCCESS_QUEUEPAIR_CREATE = 4,
    VMCI_SUCCESS_LAST_DETACH = 3,
    VMCI_SUCCESS = 0,
    VMCI_ERROR_INVALID_RESOURCE = -1,
    VMCI_ERROR_INVALID_ARGS = -2,
    VMCI_ERROR_NO_MEM = -3,
    VMCI_ERROR_NO_ACCESS = -7,
    VMCI_ERROR_DST_UNREACHABLE = -10,
    VMCI_ERROR_PAYLOAD_TOO_LARGE = -11,
    VMCI_ERROR_NO_RESOURCES = -19,
    VMCI_ERROR_UNAVAILABLE = -20,
    VMCI_ERROR_NOT_FOUND = -21,
    VMCI_ERROR_ALREADY_EXISTS = -22,
    VMCI_ERROR_INVALID_SIZE = -24,
    VMCI_ERROR_EVENT_UNKNOWN = -29,
    VMCI_ERROR_QUEUEPAIR_MISMATCH = -31,
};

enum vmci_event {
    VMCI_EVENT_QP_PEER_ATTACH = 3,
    VMCI_EVENT_QP_PEER_DETACH = 4,
    VMCI_EVENT_MEM_ACCESS_ON = 5, /* not for guests, as is the next */
    VMCI_EVENT_MEM_ACCESS_OFF = 6,
    VMCI_EVENT_MAX = 7,
};

struct vmci_handle {
    le32 context, resource;
};
WIRE_SIZE(struct vmci_handle, 8);

struct vmci_datagram {
    struct vmci_handle dst, src;
    le64 payload_size; /* what follows */
};
WIRE_SIZE(struct vmci_datagram, 24);

/* num_resources numbers of resources follow. */
struct vmci_resource_query_hdr {
    le32 num_resources, _padding;
};
WIRE_SIZE(struct vmci_resource_query_hdr, 8);

struct vmci_doorbell_link_msg {
    struct vmci_handle handle;
    le64 notify_idx;
};
WIRE_SIZE(struct vmci_doorbell_link_msg, 16);

struct vmci_event_data {
    le32 event, _pad;
};
WIRE_SIZE(struct vmci_event_data, 8);

struct vmci_event_payld_qp {
    struct vmci_handle handle;
    le32 peer_id, _pad;
};
WIRE_SIZE(struct vmci_event_payld_qp, 16);
struct vmci_event_qp {
    struct vmci_datagram hdr;
    struct vmci_event_data event_data;
    struct vmci_event_payld_qp payload;
};
WIRE_SIZE(struct vmci_event_qp, 48);

/* num_ppns page numbers follow: of the header and the pages of the queue that the guest writes,
 * then those of the one that it reads. */
struct vmci_qp_alloc_msg {
    struct vmci_handle handle;
    le32 peer, flags;
    le64 produce_size, consume_size, num_ppns;
};
WIRE_SIZE(struct vmci_qp_alloc_msg, 40);
enum { VMCI_QPFLAG_ATTACH_ONLY = 1 << 0, VMCI_QPFLAG_LOCAL = 1 << 1 };

/* The first page of a queue. Each side writes its own: how far it has written to its queue, and how
 * far it has read the other. */
struct vmci_queue_header {
    struct vmci_handle handle;
    le64 producer_tail, consumer_head;
};
WIRE_SIZE(struct vmci_queue_header, 24);
WIRE_OFFSET(struct vmci_queue_header, producer_tail, 8);
WIRE_OFFSET(struct vmci_queue_header, consumer_head, 16);

/* --- sockets: control packets --- */

enum { VMCI_TRANSPORT_PACKET_VERSION = 1 };
/* Resources that control packets go to: of the host and of guests, and of the hypervisor. */
enum { VMCI_TRANSPORT_PACKET_RID = 1, VMCI_TRANSPORT_HYPERVISOR_PACKET_RID = 15 };
enum { VSOCK_PROTO_INVALID = 0, VSOCK_PROTO_PKT_ON_NOTIFY = 1 << 0 };

enum vmci_transport_packet_type {
    VMCI_TRANSPORT_PACKET_TYPE_INVALID = 0,
    VMCI_TRANSPORT_PACKET_TYPE_REQUEST = 1,
    VMCI_TRANSPORT_PACKET_TYPE_NEGOTIATE = 2,
    VMCI_TRANSPORT_PACKET_TYPE_OFFER = 3,
    VMCI_TRANSPORT_PACKET_TYPE_ATTACH = 4,
    VMCI_TRANSPORT_PACKET_TYPE_WROTE = 5,
    VMCI_TRANSPORT_PACKET_TYPE_READ = 6,
    VMCI_TRANSPORT_PACKET_TYPE_RST = 7,
    VMCI_TRANSPORT_PACKET_TYPE_SHUTDOWN = 8,
    VMCI_TRANSPORT_PACKET_TYPE_WAITING_WRITE = 9,
    VMCI_TRANSPORT_PACKET_TYPE_WAITING_READ = 10,
    VMCI_TRANSPORT_PACKET_TYPE_REQUEST2 = 11,
    VMCI_TRANSPORT_PACKET_TYPE_NEGOTIATE2 = 12,
    VMCI_TRANSPORT_PACKET_TYPE_MAX = 13,
};
/* Modes of SHUTDOWN. */
enum { RCV_SHUTDOWN = 1, SEND_SHUTDOWN = 2 };

struct vmci_transport_packet {
    struct vmci_datagram dg;
    uint8_t version, type;
    le16 proto;
    le32 src_port, dst_port, _reserved2;
    union {
        le64 size; /* REQUEST, NEGOTIATE and those with 2 */
        le64 mode;
        struct vmci_handle handle; /* OFFER, ATTACH */
        struct {
            le64 generation, offset;
        } wait;
    } u;
};
WIRE_SIZE(struct vmci_transport_packet, 56);
WIRE_OFFSET(struct vmci_transport_packet, src_port, 28);
WIRE_OFFSET(struct vmci_transport_packet, u, 40);

#endif
