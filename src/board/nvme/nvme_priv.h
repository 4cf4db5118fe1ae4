/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_priv.h - what the nvme*.c files share; everything under the device's lock. */
#ifndef HOSPES_BOARD_NVME_NVME_PRIV_H
#define HOSPES_BOARD_NVME_NVME_PRIV_H

#include "abi/nvme.h"
#include "board/nvme/nvme.h"
#include "storage/disk.h"

enum {
    NVME_QUEUES = 33,    /* pairs, the admin queues among them */
    NVME_ENTRIES = 1024, /* of a queue at most */
    NVME_PAGE = 4096,    /* the one memory page size */
    NVME_MDTS = 8,       /* at most 2^8 pages of data */
    NVME_DATA = NVME_PAGE << NVME_MDTS,
    NVME_IOV = (1 << NVME_MDTS) + 1,
    NVME_REQUESTS = 256,     /* in flight at most */
    NVME_EVENTS = 4,         /* event requests that wait */
    NVME_RANGES = 256,       /* of a DSM command */
    NVME_ANSWER = 4096,      /* bytes that admin commands give at most */
    NVME_NS_EVENTS = 1 << 8, /* of the feature: tell of namespaces that changed */
};

/* Plain data. */
struct nvme_sq {
    gpa_t at;
    uint32_t size, head, tail; /* entries; size 0: there is none */
    uint16_t cq;
    uint32_t flying; /* commands of it, up to their completion entry */
    bool deleting;   /* the command to delete it waits for them */
};
struct nvme_cq {
    gpa_t at;
    uint32_t size, head, tail;
    uint32_t flying; /* commands that will put an entry in */
    uint16_t vector, users;
    bool phase, interrupts;
    bool raise; /* entries were put in since the last interrupt */
};

struct nvme_state {
    uint32_t cc, csts, aqa, intm;
    uint64_t asq, acq;
    struct nvme_sq sq[NVME_QUEUES];
    struct nvme_cq cq[NVME_QUEUES];
    uint32_t feature[NVME_FEATURES];
    uint16_t event[NVME_EVENTS]; /* ids of event requests */
    unsigned events;
    uint32_t told[3]; /* events that wait for a request, by type; 0: none */
    bool unread[3];   /* its log page was not read yet */
    uint32_t changed; /* namespaces that did since their log was read, by number less one */
};

/* A command on its way. */
struct nvme_request {
    struct nvme *ctl;
    struct nvme_request *next;
    uint64_t life; /* of the controller, when it began: a reset makes it stale */
    uint16_t sq, cid;
    uint16_t status;
    uint32_t result;
    struct nvme_namespace *ns;
    bool shutdown; /* a flush of ours; nobody waits for it */
    struct disk_req req;
    unsigned range, ranges; /* DSM: the next, all */
    size_t iovcnt;
    union {
        struct iovec iov[NVME_IOV];
        struct nvme_dsm_range dsm[NVME_RANGES];
    } u;
};

struct nvme_namespace {
    struct disk *disk;
    char serial[64];
    unsigned shift; /* of a block */
    uint64_t blocks;
};

struct nvme {
    struct pci_dev pci; /* first */
    struct nvme_namespace ns[NVME_NAMESPACES];
    unsigned namespaces;
    uint64_t life;
    unsigned flying;  /* of all lives */
    unsigned flushes; /* of a shutdown, that have not ended */
    struct nvme_state s;
    struct nvme_request *request; /* NVME_REQUESTS */
    struct nvme_request *spare;
    struct nvme_request *waiting, **wait_end;  /* for the loop to submit */
    struct nvme_request *deleter[NVME_QUEUES]; /* commands that wait for their queue */
    struct task submit;                        /* on the loop: all that is waiting */
    bool by_pin;                               /* interrupts are no messages */
    bool starved;                              /* of requests: commands wait in their queues */
    struct {
        uint64_t reads, writes, read_blocks, written_blocks, errors;
    } count;
};

/* nvme.c */
/* The command has ended: r goes back to the spare ones. */
void nvme_end(struct nvme_request *r, uint16_t status, uint32_t result);
void nvme_interrupts(struct nvme *n); /* after any entries */
/* Tells of an event (chapter 5.2): type 0 error, 1 health, 2 notice; the log that has more. */
void nvme_event(struct nvme *n, unsigned type, unsigned info, unsigned log);
/* Deletes a submission queue as soon as its last command has ended, and then ends r. */
void nvme_sq_delete(struct nvme_request *r, unsigned q);
/* r waits outside the queues: it is no request any more. */
void nvme_park(struct nvme_request *r);
/* A request of our own, NULL: none is spare. */
struct nvme_request *nvme_take(struct nvme *n, unsigned q);

/* nvme_admin.c, nvme_io.c: starts a command, which ends at once or later. */
void nvme_admin(struct nvme_request *r, const struct nvme_sqe *c);
void nvme_io_command(struct nvme_request *r, const struct nvme_sqe *c);
/* The pages of a command as r->u.iov. NVME_SUCCESS or why not. */
MUST uint16_t nvme_map(struct nvme_request *r, const struct nvme_sqe *c, uint32_t len,
                       bool to_memory);
/* The loop submits r->req to its namespace's disk. */
void nvme_later(struct nvme_request *r);
/* After commands have ended on the loop. */
void nvme_go_on(struct nvme *n);
/* A flush of all namespaces; the shutdown ends with the last of them. */
void nvme_shutdown(struct nvme *n);

#endif
