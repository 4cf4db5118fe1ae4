/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpt_message.c - messages of Fusion-MPT that no disk has to answer: facts, start, events.
 */
#include <string.h>

#include "core/gmem.h"
#include "personas/vmware/mpt_priv.h"

enum {
    FW_VERSION = 0x01032920, /* 1.3.41.32, as VMware's controllers say */
    CHAIN_DEPTH = 0x22,
    BLOCK_SIZE = 16, /* bytes, in which a driver counts how much of a frame is used */
};

_Static_assert(sizeof(struct mpi_ioc_facts_reply) <= MPT_REPLY_MAX, "the longest reply");
_Static_assert(sizeof(struct mpi_event_notify_reply) <= MPT_REPLY_MAX, "the longest reply");

void mpt_reply_init(void *reply, unsigned size, const uint8_t *req, uint16_t status)
{
    struct mpi_default_reply *r = reply;

    memset(reply, 0, size);
    memcpy(r, req, sizeof(struct mpi_request_header));
    r->msg_length = (uint8_t)(size / 4);
    r->ioc_status = le16_of(status);
}

static unsigned ioc_init(struct mpt *p, const uint8_t *req, uint8_t *reply)
{
    struct mpi_ioc_init_reply *r = (void *)reply;
    struct mpi_ioc_init m;
    uint16_t status = MPI_IOCSTATUS_SUCCESS;

    memcpy(&m, req, sizeof(m));
    if (p->s.ioc_state != MPI_IOC_STATE_READY) {
        status = MPI_IOCSTATUS_INVALID_STATE;
    } else {
        p->s.who_init = m.who_init & 7;
        p->s.max_devices =
            m.max_devices && m.max_devices < MPT_TARGETS ? m.max_devices : MPT_TARGETS;
        p->s.max_buses = 1;
        p->s.reply_frame_size = le16_get(m.reply_frame_size);
        p->s.host_mfa_high = le32_get(m.host_mfa_high_addr);
        p->s.sense_high = le32_get(m.sense_buffer_high_addr);
        p->s.ioc_state = MPI_IOC_STATE_OPERATIONAL;
        if (p->driven)
            p->driven(p->driven_arg);
    }
    mpt_reply_init(r, sizeof(*r), req, status);
    r->max_devices = p->s.max_devices;
    r->max_buses = p->s.max_buses;
    return sizeof(*r);
}

static unsigned ioc_facts(struct mpt *p, const uint8_t *req, uint8_t *reply)
{
    struct mpi_ioc_facts_reply *r = (void *)reply;

    mpt_reply_init(r, sizeof(*r), req, MPI_IOCSTATUS_SUCCESS);
    r->msg_version = le16_of(MPI_VERSION_01_05);
    r->header_version = le16_of(MPI_HEADER_VERSION);
    r->max_chain_depth = CHAIN_DEPTH;
    r->who_init = p->s.who_init;
    r->block_size = BLOCK_SIZE / 4;
    r->reply_queue_depth = le16_of(MPT_CREDITS);
    r->request_frame_size = le16_of(MPT_FRAME / 4);
    r->product_id = le16_of(p->kind == MPT_SAS1068 ? MPI_FW_HEADER_PID_1068_SAS
                                                   : MPI_FW_HEADER_PID_1030B0_SCSI);
    r->current_host_mfa_high_addr = le32_of(p->s.host_mfa_high);
    r->global_credits = le16_of(MPT_CREDITS);
    r->number_of_ports = 1;
    r->event_state = p->s.events;
    r->current_sense_buffer_high_addr = le32_of(p->s.sense_high);
    r->cur_reply_frame_size = le16_of(p->s.reply_frame_size);
    r->max_devices = p->s.max_devices;
    r->max_buses = p->s.max_buses;
    r->ioc_capabilities = le32_of(MPI_IOCFACTS_CAPABILITY_HIGH_PRI_Q);
    r->high_priority_queue_depth = le16_of(MPT_CREDITS);
    r->fw_version = le32_of(FW_VERSION);
    return sizeof(*r);
}

static unsigned port_facts(struct mpt *p, const uint8_t *req, uint8_t *reply)
{
    struct mpi_port_facts_reply *r = (void *)reply;
    bool sas = p->kind == MPT_SAS1068;
    struct mpi_port_facts m;

    memcpy(&m, req, sizeof(m));
    mpt_reply_init(r, sizeof(*r), req,
                   m.port_number ? MPI_IOCSTATUS_INVALID_FIELD : MPI_IOCSTATUS_SUCCESS);
    if (m.port_number)
        return sizeof(*r);
    r->port_type = sas ? MPI_PORTFACTS_PORTTYPE_SAS : MPI_PORTFACTS_PORTTYPE_SCSI;
    r->max_devices = le16_of(MPT_TARGETS);
    r->port_scsi_id = le16_of(sas ? MPT_TARGETS : MPT_OWN_TARGET);
    r->protocol_flags = le16_of(MPI_PORTFACTS_PROTOCOL_INITIATOR);
    return sizeof(*r);
}

/* --- events --- */

static unsigned event_notification(struct mpt *p, const uint8_t *req, uint8_t *reply)
{
    struct mpi_event_notify_reply *r = (void *)reply;
    struct mpi_event_notify m;
    unsigned size = offsetof(struct mpi_event_notify_reply, data) + 4;

    memcpy(&m, req, sizeof(m));
    p->s.events = m.on & 1;
    p->s.event_msg_context = le32_get(m.msg_context);
    mpt_reply_init(r, size, req, MPI_IOCSTATUS_SUCCESS);
    r->event_data_length = le16_of(1);
    r->event = le32_of(MPI_EVENT_EVENT_CHANGE);
    r->data[0] = p->s.events;
    return size;
}

void mpt_event(struct mpt *p, enum mpi_event event, const void *data, unsigned size)
{
    struct mpi_event_notify_reply r;
    struct mpi_event_notify m = {.function = MPI_FUNCTION_EVENT_NOTIFICATION,
                                 .msg_flags = MPI_MSGFLAGS_CONTINUATION_REPLY,
                                 .msg_context = le32_of(p->s.event_msg_context)};
    unsigned n = offsetof(struct mpi_event_notify_reply, data) + size;

    if (!p->s.events || p->s.ioc_state != MPI_IOC_STATE_OPERATIONAL)
        return;
    mpt_reply_init(&r, n, (const uint8_t *)&m, MPI_IOCSTATUS_SUCCESS);
    r.event_data_length = le16_of((uint16_t)(size / 4));
    r.event = le32_of(event);
    r.event_context = le32_of(++p->s.event_count);
    memcpy(r.data, data, size);
    mpt_post_event(p, (const uint8_t *)&r, n);
}

/* First the link, then what is behind it, as a controller finds them. */
void mpt_tell(struct units *u, unsigned target, bool present)
{
    struct mpt *p = container_of(u, struct mpt, units);
    struct mpi_event_sas_phy_link link = {
        .phy_num = (uint8_t)target,
        .link_rates = present ? MPI_SAS_IOUNIT0_RATE_3_0 << 4 : MPI_SAS_IOUNIT0_RATE_3_0,
        .dev_handle = le16_of(mpt_phy_handle(target)),
        .sas_address = le64_of(mpt_sas_address(p, MPT_TARGETS)),
    };
    struct mpi_event_sas_device_status d = {
        .target_id = (uint8_t)target,
        .reason_code =
            present ? MPI_EVENT_SAS_DEV_STAT_RC_ADDED : MPI_EVENT_SAS_DEV_STAT_RC_NOT_RESPONDING,
        .dev_handle = le16_of(mpt_device_handle(target)),
        .device_info = le32_of(MPI_SAS_DEVICE_INFO_END_DEVICE | MPI_SAS_DEVICE_INFO_SSP_TARGET |
                               MPI_SAS_DEVICE_INFO_DIRECT_ATTACH),
        .parent_dev_handle = le16_of(mpt_phy_handle(target)),
        .phy_num = (uint8_t)target,
        .sas_address = le64_of(mpt_sas_address(p, target)),
        .task_tag = le16_of(MPI_SCSI_TASKTAG_UNKNOWN),
    };

    if (p->kind != MPT_SAS1068)
        return;
    p->s.changes[target]++;
    mpt_event(p, MPI_EVENT_SAS_PHY_LINK_STATUS, &link, sizeof(link));
    mpt_event(p, MPI_EVENT_SAS_DEVICE_STATUS_CHANGE, &d, sizeof(d));
}

/* --- all messages --- */

static unsigned plain(uint8_t *reply, const uint8_t *req, uint16_t status)
{
    mpt_reply_init(reply, sizeof(struct mpi_default_reply), req, status);
    return sizeof(struct mpi_default_reply);
}

unsigned mpt_message(struct mpt *p, const uint8_t req[MPT_FRAME], uint8_t reply[MPT_REPLY_MAX])
{
    const struct mpi_request_header *h = (const void *)req;
    bool ready = p->s.ioc_state == MPI_IOC_STATE_OPERATIONAL;

    switch (h->function) {
    case MPI_FUNCTION_IOC_INIT:
        return ioc_init(p, req, reply);
    case MPI_FUNCTION_IOC_FACTS:
        return ioc_facts(p, req, reply);
    case MPI_FUNCTION_PORT_FACTS:
        return port_facts(p, req, reply);
    case MPI_FUNCTION_CONFIG:
        return mpt_config(p, req, reply);
    case MPI_FUNCTION_EVENT_NOTIFICATION:
        return event_notification(p, req, reply);
    case MPI_FUNCTION_PORT_ENABLE:
    case MPI_FUNCTION_EVENT_ACK:
        return plain(reply, req, ready ? MPI_IOCSTATUS_SUCCESS : MPI_IOCSTATUS_INVALID_STATE);
    default:
        return plain(reply, req, MPI_IOCSTATUS_INVALID_FUNCTION);
    }
}
