/* SPDX-License-Identifier: Apache-2.0 */
/* virtio_net.h - the network device. Document: VIRTIO 1.2, section 5.1. */
#ifndef HOSPES_ABI_VIRTIO_NET_H
#define HOSPES_ABI_VIRTIO_NET_H

#include "abi/bytes.h"

/* 5.1.3; USO from VIRTIO 1.3. */
#define VIRTIO_NET_F_CSUM (UINT64_C(1) << 0)
#define VIRTIO_NET_F_GUEST_CSUM (UINT64_C(1) << 1)
#define VIRTIO_NET_F_MTU (UINT64_C(1) << 3)
#define VIRTIO_NET_F_MAC (UINT64_C(1) << 5)
#define VIRTIO_NET_F_GUEST_TSO4 (UINT64_C(1) << 7)
#define VIRTIO_NET_F_GUEST_TSO6 (UINT64_C(1) << 8)
#define VIRTIO_NET_F_GUEST_ECN (UINT64_C(1) << 9)
#define VIRTIO_NET_F_HOST_TSO4 (UINT64_C(1) << 11)
#define VIRTIO_NET_F_HOST_TSO6 (UINT64_C(1) << 12)
#define VIRTIO_NET_F_HOST_ECN (UINT64_C(1) << 13)
#define VIRTIO_NET_F_MRG_RXBUF (UINT64_C(1) << 15)
#define VIRTIO_NET_F_STATUS (UINT64_C(1) << 16)
#define VIRTIO_NET_F_CTRL_VQ (UINT64_C(1) << 17)
#define VIRTIO_NET_F_CTRL_RX (UINT64_C(1) << 18)
#define VIRTIO_NET_F_CTRL_VLAN (UINT64_C(1) << 19)
#define VIRTIO_NET_F_CTRL_RX_EXTRA (UINT64_C(1) << 20)
#define VIRTIO_NET_F_GUEST_ANNOUNCE (UINT64_C(1) << 21)
#define VIRTIO_NET_F_MQ (UINT64_C(1) << 22)
#define VIRTIO_NET_F_CTRL_MAC_ADDR (UINT64_C(1) << 23)
#define VIRTIO_NET_F_GUEST_USO4 (UINT64_C(1) << 54)
#define VIRTIO_NET_F_GUEST_USO6 (UINT64_C(1) << 55)
#define VIRTIO_NET_F_HOST_USO (UINT64_C(1) << 56)

/* 5.1.4 */
struct virtio_net_config {
    uint8_t mac[6];
    le16 status;
    le16 max_virtqueue_pairs;
    le16 mtu;
};
WIRE_SIZE(struct virtio_net_config, 12);
enum { VIRTIO_NET_S_LINK_UP = 1, VIRTIO_NET_S_ANNOUNCE = 2 };

/* 5.1.6; num_buffers is absent for legacy drivers without mergeable buffers. */
struct virtio_net_hdr {
    uint8_t flags;
    uint8_t gso_type;
    le16 hdr_len;
    le16 gso_size;
    le16 csum_start;
    le16 csum_offset;
    le16 num_buffers;
};
WIRE_SIZE(struct virtio_net_hdr, 12);
enum { VIRTIO_NET_HDR_LEGACY = 10 };
enum { VIRTIO_NET_HDR_F_NEEDS_CSUM = 1, VIRTIO_NET_HDR_F_DATA_VALID = 2 };
enum {
    VIRTIO_NET_HDR_GSO_NONE = 0,
    VIRTIO_NET_HDR_GSO_TCPV4 = 1,
    VIRTIO_NET_HDR_GSO_UDP = 3,
    VIRTIO_NET_HDR_GSO_TCPV6 = 4,
    VIRTIO_NET_HDR_GSO_UDP_L4 = 5,
    VIRTIO_NET_HDR_GSO_ECN = 0x80,
};

/* 5.1.6.5: the control queue. */
struct virtio_net_ctrl {
    uint8_t class;
    uint8_t command;
};
WIRE_SIZE(struct virtio_net_ctrl, 2);
enum { VIRTIO_NET_OK = 0, VIRTIO_NET_ERR = 1 };
enum {
    VIRTIO_NET_CTRL_RX = 0,
    VIRTIO_NET_CTRL_RX_PROMISC = 0,
    VIRTIO_NET_CTRL_RX_ALLMULTI = 1,
    VIRTIO_NET_CTRL_RX_ALLUNI = 2,
    VIRTIO_NET_CTRL_RX_NOMULTI = 3,
    VIRTIO_NET_CTRL_RX_NOUNI = 4,
    VIRTIO_NET_CTRL_RX_NOBCAST = 5,
    VIRTIO_NET_CTRL_MAC = 1,
    VIRTIO_NET_CTRL_MAC_TABLE_SET = 0,
    VIRTIO_NET_CTRL_MAC_ADDR_SET = 1,
    VIRTIO_NET_CTRL_VLAN = 2,
    VIRTIO_NET_CTRL_VLAN_ADD = 0,
    VIRTIO_NET_CTRL_VLAN_DEL = 1,
    VIRTIO_NET_CTRL_ANNOUNCE = 3,
    VIRTIO_NET_CTRL_ANNOUNCE_ACK = 0,
    VIRTIO_NET_CTRL_MQ = 4,
    VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET = 0,
};

#endif
