/* SPDX-License-Identifier: Apache-2.0 */
/* virtio_vsock.h - the socket device. Document: VIRTIO 1.2, section 5.10. */
#ifndef HOSPES_ABI_VIRTIO_VSOCK_H
#define HOSPES_ABI_VIRTIO_VSOCK_H

#include "abi/bytes.h"

/* 5.10.4 */
struct virtio_vsock_config {
    le64 guest_cid;
};
WIRE_SIZE(struct virtio_vsock_config, 8);
enum { VSOCK_CID_HOST = 2, VSOCK_CID_FIRST_GUEST = 3 };

/* 5.10.6 */
struct virtio_vsock_hdr {
    le64 src_cid;
    le64 dst_cid;
    le32 src_port;
    le32 dst_port;
    le32 len;
    le16 type;
    le16 op;
    le32 flags;
    le32 buf_alloc;
    le32 fwd_cnt;
};
WIRE_SIZE(struct virtio_vsock_hdr, 44);
WIRE_OFFSET(struct virtio_vsock_hdr, fwd_cnt, 40);
enum { VIRTIO_VSOCK_TYPE_STREAM = 1 };
enum {
    VIRTIO_VSOCK_OP_INVALID = 0,
    VIRTIO_VSOCK_OP_REQUEST = 1,
    VIRTIO_VSOCK_OP_RESPONSE = 2,
    VIRTIO_VSOCK_OP_RST = 3,
    VIRTIO_VSOCK_OP_SHUTDOWN = 4,
    VIRTIO_VSOCK_OP_RW = 5,
    VIRTIO_VSOCK_OP_CREDIT_UPDATE = 6,
    VIRTIO_VSOCK_OP_CREDIT_REQUEST = 7,
};
enum { VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE = 1, VIRTIO_VSOCK_SHUTDOWN_F_SEND = 2 };

/* 5.10.6.6.2: the event queue. */
struct virtio_vsock_event {
    le32 id;
};
WIRE_SIZE(struct virtio_vsock_event, 4);
enum { VIRTIO_VSOCK_EVENT_TRANSPORT_RESET = 0 };

#endif
