/* SPDX-License-Identifier: Apache-2.0 */
/* mpt_priv.h - between mpt.c (registers), mpt_message.c, mpt_config.c (pages) and mpt_io.c. */
#ifndef HOSPES_PERSONAS_VMWARE_MPT_PRIV_H
#define HOSPES_PERSONAS_VMWARE_MPT_PRIV_H

#include "abi/mpt.h"
#include "personas/vmware/handover.h"
#include "personas/vmware/mpt.h"

enum {
    MPT_FRAME = 128,             /* bytes of a request */
    MPT_REPLY_MAX = 0x50,        /* bytes of the longest reply, IOC facts */
    MPT_CREDITS = 128,           /* requests that a driver may have outstanding */
    MPT_QUEUE = 512,             /* entries of each FIFO; what is outstanding never exceeds them */
    MPT_MAX_PIECES = 1024,       /* elements of a scatter list */
    MPT_SAS_IO_UNIT_1_HEAD = 20, /* bytes of that page before the phys */
    MPT_EVENTS = 32,             /* that wait for a reply frame */
};

enum mpt_handshake { MPT_IDLE, MPT_WRITING, MPT_READING };

/* A FIFO of 32-bit words; indices run freely. */
struct mpt_fifo {
    uint32_t word[MPT_QUEUE], put, got;
};

/* All that a snapshot would hold. */
struct mpt_state {
    uint32_t ioc_state, fault; /* the latter: what the doorbell says in MPI_IOC_STATE_FAULT */
    uint8_t who_init, max_devices, max_buses;
    uint32_t intr_status, intr_mask, diag;
    unsigned key; /* of the write sequence, that are right so far */
    uint32_t host_mfa_high, sense_high;
    uint16_t reply_frame_size;
    bool events;
    uint32_t event_msg_context, event_count;
    struct mpt_fifo free, posted;
    enum mpt_handshake handshake;
    uint8_t hs_request[MPT_FRAME], hs_reply[MPT_REPLY_MAX];
    unsigned hs_want, hs_have, hs_size, hs_at; /* bytes */
    le32 requested[MPT_TARGETS]; /* bus parameters per device, as the driver wants them */
    le32 configuration[MPT_TARGETS];
    struct mpi_scsi_port_1 port_1;                 /* of the 53C1030 */
    uint8_t sas_io_unit_1[MPT_SAS_IO_UNIT_1_HEAD]; /* of the SAS1068: without the phys */
    uint32_t coalescing_flags, coalescing_timeout;
    uint8_t coalescing_depth;
    uint32_t changes[MPT_TARGETS]; /* of a phy's link */
};

struct mpt_req {
    struct handed h; /* without a target: task management */
    struct mpt *p;
    struct mpt_req *next; /* spare, managing or starved */
    bool aborted;
    bool event; /* a starved one that no request waits for */
    uint32_t epoch, context, data_length;
    uint64_t sense_at;
    uint8_t target, sense_room, task_type;
    struct mpi_scsi_io_request io;
    uint32_t task_context, terminated;
    uint8_t reply[MPT_REPLY_MAX]; /* waits for a frame */
    unsigned reply_size;
};

struct mpt {
    struct pci_dev pci; /* first */
    enum mpt_kind kind;
    unsigned number;
    struct mpt_state s;

    uint32_t epoch; /* grows with each reset: replies to what came before are dropped */
    struct units units;
    struct mpt_req *spare;
    struct handover late;                   /* what a vCPU could not finish */
    struct mpt_req *managing;               /* task management that waits for what flies */
    struct mpt_req *starved, **starved_end; /* replies that wait for a frame of the driver's */
    unsigned outstanding;                   /* requests taken, replies not yet posted */
    unsigned starving_events;
    uint64_t served_inline;
    void (*driven)(void *arg); /* may be NULL */
    void *driven_arg;
};

/* All under the device's lock. */

/* --- mpt.c --- */
void mpt_fault(struct mpt *p, uint16_t code, const char *why);
/* Brings pins and messages in line with status and mask; fresh: something new happened. */
void mpt_interrupt(struct mpt *p, bool fresh);
/* May one more request be taken? If not, the controller is at fault. */
bool mpt_has_credit(struct mpt *p);
/* A reply that is only the request's context: it went well. */
void mpt_post_context(struct mpt *p, uint32_t context);
/* A reply in a frame of the driver's; false: it has given none. */
bool mpt_post_frame(struct mpt *p, const uint8_t *reply, unsigned size);

/* --- mpt_message.c --- */
/* Answers a request that needs no disk; returns the bytes of the reply. */
unsigned mpt_message(struct mpt *p, const uint8_t req[MPT_FRAME], uint8_t reply[MPT_REPLY_MAX]);
/* Writes what all replies begin with. */
void mpt_reply_init(void *reply, unsigned size, const uint8_t *req, uint16_t status);
void mpt_event(struct mpt *p, enum mpi_event event, const void *data, unsigned size);
/* Tells a guest of the SAS1068 that target came or went. */
void mpt_tell(struct units *u, unsigned target, bool present);

/* --- mpt_config.c --- */
unsigned mpt_config(struct mpt *p, const uint8_t req[MPT_FRAME], uint8_t reply[MPT_REPLY_MAX]);
void mpt_config_reset(struct mpt *p);
uint64_t mpt_sas_address(const struct mpt *p, unsigned target);
/* Handles of the SAS1068: each phy is a device of its own, target `n` hangs on phy `n`. */
static inline uint16_t mpt_phy_handle(unsigned phy)
{
    return (uint16_t)(phy + 1);
}
static inline uint16_t mpt_device_handle(unsigned target)
{
    return (uint16_t)(target + 1 + MPT_TARGETS);
}
static inline bool mpt_present(const struct mpt *p, unsigned target)
{
    return p->units.at[target] && scsi_lun_present(p->units.at[target], 0);
}

/* --- mpt_io.c --- */
/* An event in a frame of the driver's, when it has given one. */
void mpt_post_event(struct mpt *p, const uint8_t *event, unsigned size);
/* Takes a request; size: bytes of the frame that are there, the others are zero. */
void mpt_request(struct mpt *p, const uint8_t frame[MPT_FRAME], unsigned size);
void mpt_flush_starved(struct mpt *p);
/* As handover's done() and turn(), and to free one. */
void mpt_request_done(struct handed *h);
void mpt_request_turn(struct handed *h);
void mpt_request_free(struct handed *h);
void mpt_drop_starved(struct mpt *p);
void mpt_reqs_free(struct mpt *p);

#endif
