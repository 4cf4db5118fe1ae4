/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.h - what every virtio device shares: status, features, rings and the PCI transport.
 *
 * Document: Virtual I/O Device (VIRTIO) Version 1.2, OASIS, 1 July 2022. Sections are cited where
 * a layout is defined. Split ring: 2.7; packed ring: 2.8; PCI transport: 4.1.
 */
#ifndef HOSPES_ABI_VIRTIO_H
#define HOSPES_ABI_VIRTIO_H

#include "abi/bytes.h"

/* 5: device types. */
enum {
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLOCK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_ENTROPY = 4,
    VIRTIO_ID_BALLOON = 5,
    VIRTIO_ID_SCSI = 8,
    VIRTIO_ID_SOCK = 19,
};

/* 2.1: the device status field. */
enum {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_DEVICE_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,
};

/* 6: feature bits that are not of one device type. */
#define VIRTIO_F_NOTIFY_ON_EMPTY (UINT64_C(1) << 24)
#define VIRTIO_F_ANY_LAYOUT (UINT64_C(1) << 27)
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1 (UINT64_C(1) << 32)
#define VIRTIO_F_ACCESS_PLATFORM (UINT64_C(1) << 33)
#define VIRTIO_F_RING_PACKED (UINT64_C(1) << 34)
#define VIRTIO_F_RING_RESET (UINT64_C(1) << 40)

/* 2.7.5: the descriptor of the split ring and of indirect tables. */
struct virtq_desc {
    le64 addr;
    le32 len;
    le16 flags;
    le16 next;
};
WIRE_SIZE(struct virtq_desc, 16);
WIRE_OFFSET(struct virtq_desc, next, 14);

enum { VIRTQ_DESC_F_NEXT = 1, VIRTQ_DESC_F_WRITE = 2, VIRTQ_DESC_F_INDIRECT = 4 };

/* 2.7.6: le16 flags, idx, ring[size], used_event. 2.7.8: le16 flags, idx, elements, avail_event. */
enum {
    VIRTQ_AVAIL_F_NO_INTERRUPT = 1,
    VIRTQ_USED_F_NO_NOTIFY = 1,
    VIRTQ_RING_FLAGS = 0,
    VIRTQ_RING_IDX = 2,
    VIRTQ_RING_ENTRIES = 4,
};

struct virtq_used_elem {
    le32 id;
    le32 len;
};
WIRE_SIZE(struct virtq_used_elem, 8);

/* 2.8.13: the descriptor of the packed ring. */
struct pvirtq_desc {
    le64 addr;
    le32 len;
    le16 id;
    le16 flags;
};
WIRE_SIZE(struct pvirtq_desc, 16);
WIRE_OFFSET(struct pvirtq_desc, flags, 14);

enum { VIRTQ_DESC_F_AVAIL = 1 << 7, VIRTQ_DESC_F_USED = 1 << 15 };

/* 2.8.14: the event suppression structure. desc: offset in bits 0-14, wrap counter in bit 15. */
struct pvirtq_event_suppress {
    le16 desc;
    le16 flags;
};
WIRE_SIZE(struct pvirtq_event_suppress, 4);

enum { RING_EVENT_FLAGS_ENABLE = 0, RING_EVENT_FLAGS_DISABLE = 1, RING_EVENT_FLAGS_DESC = 2 };

/* 4.1.2: PCI identity. Transitional devices have their own device numbers. */
enum {
    VIRTIO_PCI_VENDOR = 0x1af4,
    VIRTIO_PCI_DEVICE_BASE = 0x1040,
    VIRTIO_PCI_DEVICE_NET = 0x1000,
    VIRTIO_PCI_DEVICE_BLOCK = 0x1001,
    VIRTIO_PCI_DEVICE_BALLOON = 0x1002,
    VIRTIO_PCI_DEVICE_CONSOLE = 0x1003,
    VIRTIO_PCI_DEVICE_SCSI = 0x1004,
    VIRTIO_PCI_DEVICE_ENTROPY = 0x1005,
    VIRTIO_MSI_NO_VECTOR = 0xffff,
};

/* 4.1.4: virtio_pci_cap, without the two bytes that every PCI capability starts with. */
enum {
    VIRTIO_PCI_CAP_COMMON_CFG = 1,
    VIRTIO_PCI_CAP_NOTIFY_CFG = 2,
    VIRTIO_PCI_CAP_ISR_CFG = 3,
    VIRTIO_PCI_CAP_DEVICE_CFG = 4,
    VIRTIO_PCI_CAP_PCI_CFG = 5,
    VIRTIO_PCI_CAP_ID = 9, /* vendor specific */
};

struct virtio_pci_cap {
    uint8_t cap_vndr, cap_next, cap_len;
    uint8_t cfg_type;
    uint8_t bar;
    uint8_t id;
    uint8_t padding[2];
    le32 offset;
    le32 length;
};
WIRE_SIZE(struct virtio_pci_cap, 16);

struct virtio_pci_notify_cap {
    struct virtio_pci_cap cap;
    le32 notify_off_multiplier;
};
WIRE_SIZE(struct virtio_pci_notify_cap, 20);

struct virtio_pci_cfg_cap {
    struct virtio_pci_cap cap;
    uint8_t pci_cfg_data[4];
};
WIRE_SIZE(struct virtio_pci_cfg_cap, 20);

/* 4.1.4.3 */
struct virtio_pci_common_cfg {
    le32 device_feature_select;
    le32 device_feature;
    le32 driver_feature_select;
    le32 driver_feature;
    le16 config_msix_vector;
    le16 num_queues;
    uint8_t device_status;
    uint8_t config_generation;
    le16 queue_select;
    le16 queue_size;
    le16 queue_msix_vector;
    le16 queue_enable;
    le16 queue_notify_off;
    le64 queue_desc;
    le64 queue_driver;
    le64 queue_device;
    le16 queue_notify_data;
    le16 queue_reset;
};
WIRE_SIZE(struct virtio_pci_common_cfg, 60);
WIRE_OFFSET(struct virtio_pci_common_cfg, queue_select, 22);
WIRE_OFFSET(struct virtio_pci_common_cfg, queue_desc, 32);
WIRE_OFFSET(struct virtio_pci_common_cfg, queue_reset, 58);

/* 4.1.4.8: the legacy header in BAR 0. The two vectors are there while MSI-X is on; the device's
 * own configuration follows. */
enum {
    VIRTIO_PCI_HOST_FEATURES = 0,
    VIRTIO_PCI_GUEST_FEATURES = 4,
    VIRTIO_PCI_QUEUE_PFN = 8,
    VIRTIO_PCI_QUEUE_NUM = 12,
    VIRTIO_PCI_QUEUE_SEL = 14,
    VIRTIO_PCI_QUEUE_NOTIFY = 16,
    VIRTIO_PCI_STATUS = 18,
    VIRTIO_PCI_ISR = 19,
    VIRTIO_MSI_CONFIG_VECTOR = 20,
    VIRTIO_MSI_QUEUE_VECTOR = 22,
    VIRTIO_PCI_CONFIG_NO_MSIX = 20,
    VIRTIO_PCI_CONFIG_MSIX = 24,
    VIRTIO_PCI_QUEUE_ADDR_SHIFT = 12,
    VIRTIO_PCI_VRING_ALIGN = 4096,
};

enum { VIRTIO_PCI_ISR_QUEUE = 1, VIRTIO_PCI_ISR_CONFIG = 2 };

#endif
