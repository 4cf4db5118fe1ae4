/* SPDX-License-Identifier: Apache-2.0 */
/* vmxnet3.h - VMware's network adapter. Document: the public guest drivers (vmxnet3_defs.h). */
#ifndef HOSPES_ABI_VMXNET3_H
#define HOSPES_ABI_VMXNET3_H

#include "abi/bytes.h"

enum { PCI_DEVICE_ID_VMWARE_VMXNET3 = 0x07b0 };

/* BAR 0 */
enum {
    VMXNET3_REG_IMR = 0x0,
    VMXNET3_REG_TXPROD = 0x600,
    VMXNET3_REG_RXPROD = 0x800,
    VMXNET3_REG_RXPROD2 = 0xa00,
    VMXNET3_REG_ALIGN = 8,
};
/* BAR 1 */
enum {
    VMXNET3_REG_VRRS = 0x00,
    VMXNET3_REG_UVRS = 0x08,
    VMXNET3_REG_DSAL = 0x10,
    VMXNET3_REG_DSAH = 0x18,
    VMXNET3_REG_CMD = 0x20,
    VMXNET3_REG_MACL = 0x28,
    VMXNET3_REG_MACH = 0x30,
    VMXNET3_REG_ICR = 0x38,
    VMXNET3_REG_ECR = 0x40,
};

#define VMXNET3_CMD_ACTIVATE_DEV 0xcafe0000u
#define VMXNET3_CMD_QUIESCE_DEV 0xcafe0001u
#define VMXNET3_CMD_RESET_DEV 0xcafe0002u
#define VMXNET3_CMD_UPDATE_RX_MODE 0xcafe0003u
#define VMXNET3_CMD_UPDATE_MAC_FILTERS 0xcafe0004u
#define VMXNET3_CMD_UPDATE_VLAN_FILTERS 0xcafe0005u
#define VMXNET3_CMD_UPDATE_RSSIDT 0xcafe0006u
#define VMXNET3_CMD_UPDATE_FEATURE 0xcafe0009u
#define VMXNET3_CMD_SET_COALESCE 0xcafe000eu   /* revision 3 */
#define VMXNET3_CMD_SET_RSS_FIELDS 0xcafe0010u /* revision 4 */
#define VMXNET3_CMD_GET_QUEUE_STATUS 0xf00d0000u
#define VMXNET3_CMD_GET_STATS 0xf00d0001u
#define VMXNET3_CMD_GET_LINK 0xf00d0002u
#define VMXNET3_CMD_GET_PERM_MAC_LO 0xf00d0003u
#define VMXNET3_CMD_GET_PERM_MAC_HI 0xf00d0004u
#define VMXNET3_CMD_GET_CONF_INTR 0xf00d0008u
#define VMXNET3_CMD_GET_TXDATA_DESC_SIZE 0xf00d000au
#define VMXNET3_CMD_GET_COALESCE 0xf00d000bu
#define VMXNET3_CMD_GET_RSS_FIELDS 0xf00d000cu

#define VMXNET3_REV1_MAGIC 0xbabefee1u
enum {
    VMXNET3_MAX_TX_QUEUES = 8,
    VMXNET3_MAX_RX_QUEUES = 16,
    VMXNET3_MAX_INTRS = 25,
    VMXNET3_RING_MAX = 4096,
    VMXNET3_TXDATA_DESC_SIZE = 128,
};
enum { VMXNET3_ECR_RQERR = 1, VMXNET3_ECR_TQERR = 2, VMXNET3_ECR_LINK = 4 };
enum { VMXNET3_IC_DISABLE_ALL = 1 };
enum {
    VMXNET3_RXM_UCAST = 1,
    VMXNET3_RXM_MCAST = 2,
    VMXNET3_RXM_BCAST = 4,
    VMXNET3_RXM_ALL_MULTI = 8,
    VMXNET3_RXM_PROMISC = 16,
};
enum { UPT1_F_RXCSUM = 1, UPT1_F_RSS = 2, UPT1_F_RXVLAN = 4, UPT1_F_LRO = 8 };

/* Where a table of the driver's is. */
struct vmxnet3_conf_desc {
    le32 version, len; /* bytes */
    le64 at;
};
WIRE_SIZE(struct vmxnet3_conf_desc, 16);

enum {
    UPT1_RSS_HASH_TYPE_IPV4 = 1,
    UPT1_RSS_HASH_TYPE_TCP_IPV4 = 2,
    UPT1_RSS_HASH_TYPE_IPV6 = 4,
    UPT1_RSS_HASH_TYPE_TCP_IPV6 = 8,
    UPT1_RSS_HASH_FUNC_TOEPLITZ = 1,
};
struct vmxnet3_rss_conf {
    le16 hash_type, hash_func, key_size, table_size;
    uint8_t key[40], table[128];
};
WIRE_SIZE(struct vmxnet3_rss_conf, 176);

enum {
    VMXNET3_RSS_FIELDS_TCPIP4 = 0x01,
    VMXNET3_RSS_FIELDS_TCPIP6 = 0x02,
    VMXNET3_RSS_FIELDS_UDPIP4 = 0x04,
    VMXNET3_RSS_FIELDS_UDPIP6 = 0x08,
    VMXNET3_RSS_FIELDS_ESPIP4 = 0x10,
    VMXNET3_RSS_FIELDS_ESPIP6 = 0x20,
};
/* In received completions. */
enum {
    VMXNET3_RCD_RSS_TYPE_NONE,
    VMXNET3_RCD_RSS_TYPE_IPV4,
    VMXNET3_RCD_RSS_TYPE_TCPIPV4,
    VMXNET3_RCD_RSS_TYPE_IPV6,
    VMXNET3_RCD_RSS_TYPE_TCPIPV6,
    VMXNET3_RCD_RSS_TYPE_UDPIPV4,
    VMXNET3_RCD_RSS_TYPE_UDPIPV6,
    VMXNET3_RCD_RSS_TYPE_ESPIPV4,
    VMXNET3_RCD_RSS_TYPE_ESPIPV6,
};

enum {
    VMXNET3_COALESCE_DISABLED,
    VMXNET3_COALESCE_ADAPT,
    VMXNET3_COALESCE_STATIC,
    VMXNET3_COALESCE_RBC
};
struct vmxnet3_coalesce {
    le32 mode;
    le32 value[3]; /* by rate: interrupts a second; static: tx, tx completions, rx */
};
WIRE_SIZE(struct vmxnet3_coalesce, 16);

/* The driver's shared area, up to what the device uses. */
struct vmxnet3_shared {
    le32 magic, pad;
    uint8_t driver_info[16]; /* version, guest, revisions */
    le64 upt_features;
    le64 driver_data, queue_desc;
    le32 driver_data_len, queue_desc_len, mtu;
    le16 max_rx_sg;
    uint8_t tx_queues, rx_queues;
    le32 reserved1[4];
    uint8_t auto_mask, intrs, event_intr, mod_level[VMXNET3_MAX_INTRS];
    le32 intr_ctrl, reserved2[2];
    le32 rx_mode;
    le16 mac_table_len, pad2; /* bytes */
    le64 mac_table;
    le32 vlan[128];
    struct vmxnet3_conf_desc rss, wake, plugin;
    le32 ecr, reserved3;
    struct vmxnet3_conf_desc command; /* or the command's own words */
};
WIRE_SIZE(struct vmxnet3_shared, 720);
WIRE_OFFSET(struct vmxnet3_shared, rss, 648);
WIRE_OFFSET(struct vmxnet3_shared, command, 704);
WIRE_OFFSET(struct vmxnet3_shared, upt_features, 24);
WIRE_OFFSET(struct vmxnet3_shared, queue_desc, 40);
WIRE_OFFSET(struct vmxnet3_shared, tx_queues, 62);
WIRE_OFFSET(struct vmxnet3_shared, auto_mask, 80);
WIRE_OFFSET(struct vmxnet3_shared, intr_ctrl, 108);
WIRE_OFFSET(struct vmxnet3_shared, rx_mode, 120);
WIRE_OFFSET(struct vmxnet3_shared, mac_table, 128);
WIRE_OFFSET(struct vmxnet3_shared, vlan, 136);
WIRE_OFFSET(struct vmxnet3_shared, ecr, 696);

struct vmxnet3_queue_status {
    uint8_t stopped, pad[3];
    le32 error;
};
WIRE_SIZE(struct vmxnet3_queue_status, 8);
struct vmxnet3_tx_queue {
    le32 num_deferred, threshold;
    le64 reserved;
    le64 ring, data, comp, driver_data, reserved2;
    le32 ring_size, data_size, comp_size, driver_data_len;
    uint8_t intr, pad;
    le16 data_desc_size;
    uint8_t pad2[4];
    struct vmxnet3_queue_status status;
    le64 stats[10];
    uint8_t pad3[88];
};
WIRE_SIZE(struct vmxnet3_tx_queue, 256);
WIRE_OFFSET(struct vmxnet3_tx_queue, ring_size, 56);
WIRE_OFFSET(struct vmxnet3_tx_queue, intr, 72);
WIRE_OFFSET(struct vmxnet3_tx_queue, status, 80);
struct vmxnet3_rx_queue {
    uint8_t update_prod, pad[7];
    le64 reserved;
    le64 ring[2], comp, driver_data, data;
    le32 ring_size[2], comp_size, driver_data_len;
    uint8_t intr, pad2;
    le16 data_desc_size;
    uint8_t pad3[4];
    struct vmxnet3_queue_status status;
    le64 stats[10];
    uint8_t pad4[88];
};
WIRE_SIZE(struct vmxnet3_rx_queue, 256);
WIRE_OFFSET(struct vmxnet3_rx_queue, ring_size, 56);
WIRE_OFFSET(struct vmxnet3_rx_queue, intr, 72);
WIRE_OFFSET(struct vmxnet3_rx_queue, status, 80);

/* Ring entries are four words; see the masks. */
struct vmxnet3_desc {
    le64 addr;
    le32 word2, word3;
};
WIRE_SIZE(struct vmxnet3_desc, 16);
#define VMXNET3_LEN 0x3fffu         /* word2; 0 means 16384 */
#define VMXNET3_TX_GEN 0x4000u      /* word2 */
#define VMXNET3_TX_EOP 0x1000u      /* word3 */
#define VMXNET3_TX_CQ 0x2000u       /* word3 */
#define VMXNET3_TX_TI 0x8000u       /* word3: tag in 31:16 */
#define VMXNET3_TX_OCO 0x8000u      /* word2: the outer checksum, too */
#define VMXNET3_TX_HLEN 0x3ffu      /* word3; MSS or offset in word2 31:18 */
#define VMXNET3_RX_BODY 0x4000u     /* word2 */
#define VMXNET3_GEN 0x80000000u     /* word2 of an rx buffer, word3 of completions */
#define VMXNET3_RCD_EOP 0x4000u     /* word0 */
#define VMXNET3_RCD_SOP 0x8000u     /* word0 */
#define VMXNET3_RCD_CNC 0x40000000u /* word0: no checksum was looked at */
#define VMXNET3_RCD_TUC 0x10000u    /* word3 */
#define VMXNET3_RCD_UDP 0x20000u
#define VMXNET3_RCD_TCP 0x40000u
#define VMXNET3_RCD_IPC 0x80000u
#define VMXNET3_RCD_V6 0x100000u
#define VMXNET3_RCD_V4 0x200000u
#define VMXNET3_RCD_TS 0x8000u   /* word2: a tag was taken off; it is in 31:16 */
#define VMXNET3_RCD_RSS_SHIFT 26 /* word0 */
#define VMXNET3_CDTYPE_RXCOMP (3u << 24)
#define VMXNET3_CDTYPE_RXCOMP_LRO (4u << 24) /* word1: segments; word3 15:0: their size */
enum { VMXNET3_OM_NONE, VMXNET3_OM_ENCAP, VMXNET3_OM_CSUM, VMXNET3_OM_TSO };

struct vmxnet3_comp {
    le32 word[4];
};
WIRE_SIZE(struct vmxnet3_comp, 16);

#endif
