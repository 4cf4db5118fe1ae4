/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmci_priv.h - between the vmci*.c files: the device, queue pairs, connections.
 *
 * All of it is guarded by the device's lock. Connections are made, watched and freed on the loop;
 * a vCPU that sends a packet changes its connection's state and asks for the loop's work.
 */
#ifndef HOSPES_PERSONAS_VMWARE_VMCI_PRIV_H
#define HOSPES_PERSONAS_VMWARE_VMCI_PRIV_H

#include <sys/un.h>

#include "abi/vmci.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "core/usock.h"
#include "personas/vmware/vmci.h"

enum {
    VMCI_QUEUE_MAX = 256 << 10, /* bytes of one direction, what Linux asks for */
    VMCI_QUEUE_PIECES = VMCI_QUEUE_MAX / VMCI_PAGE_SIZE + 1,
    VMCI_QPS = 256,
    VMCI_CONNS = 256,
    VMCI_ORPHANS = 64,
    VMCI_DOORBELLS = 64,
    VMCI_IN_MAX = 56, /* bytes of the largest datagram for the guest; all are multiples of 8 */
};

struct vmci_conn;

/* Two queues in the guest's memory, named from its side. */
struct vmci_qp {
    struct vmci_qp *next;
    uint32_t context, resource;
    struct vmci_conn *conn; /* NULL: nobody of the host's has it */
    uint32_t produce_size, consume_size;
    uint32_t head;    /* how far the host has read the produce queue */
    uint32_t shown;   /* and says that it has */
    uint32_t tail;    /* how far it has written the consume queue */
    uint32_t consume; /* index in ppn[] of that queue's header */
    uint64_t ppn[];
};

enum vmci_conn_state {
    CONN_HELLO,      /* a program of the host's says which port it wants */
    CONN_REQUESTED,  /* the guest is asked */
    CONN_OFFERED,    /* it is told which queue pair to make */
    CONN_ASKED,      /* the guest wants to reach a program */
    CONN_NEGOTIATED, /* it is told to make a queue pair */
    CONN_OPEN,
    CONN_LEFT,  /* the guest has closed: what it had sent is passed on */
    CONN_RESET, /* the guest is told that there is no connection */
    CONN_DEAD,  /* the loop frees it */
};

/* Datagrams that a connection owes the guest, in the order in which they go. */
enum vmci_owed {
    OWE_REQUEST = 1 << 0,
    OWE_NEGOTIATE = 1 << 1,
    OWE_OFFER = 1 << 2,
    OWE_ATTACH = 1 << 3,
    OWE_ATTACHED = 1 << 4, /* an event */
    OWE_WAITING_READ = 1 << 5,
    OWE_WAITING_WRITE = 1 << 6,
    OWE_WROTE = 1 << 7,
    OWE_READ = 1 << 8,
    OWE_SHUTDOWN = 1 << 9,
    OWE_DETACHED = 1 << 10, /* an event */
    OWE_RST = 1 << 11,      /* the last: the connection goes with it */
};

struct vmci_conn {
    struct vmci *v;
    struct vmci_conn *next;
    struct watch w; /* fd is -1 when the host's side is over */
    bool watched;
    struct alarm late;
    enum vmci_conn_state state;
    struct usock_hello hello;
    bool from_host;
    bool old_protocol; /* REQUEST instead of REQUEST2: each side says that it waits */
    bool attach_told;  /* the guest has read that it is connected */
    bool settled;      /* and has understood it: it may be told more */
    bool settling;     /* the loop's: it is waiting for that */
    bool todo;         /* the loop shall look at it */
    bool welcome;      /* the host's program shall be told that it is connected */
    uint32_t host_port, guest_port;
    uint32_t size;     /* of each queue */
    uint32_t resource; /* of the queue pair that the guest shall make */
    struct vmci_qp *qp;
    unsigned owed;
    uint32_t shut;            /* RCV_SHUTDOWN and SEND_SHUTDOWN, as told to the guest */
    uint32_t guest_shut;      /* as told by the guest */
    bool host_end;            /* the host's program sends no more */
    bool hung_up;             /* it has closed */
    bool passed_end;          /* it was told that the guest sends no more */
    bool guest_waits_to_send; /* is to be told of room, of data */
    bool guest_waits_to_read;
    bool said_waiting_read; /* old protocol: the guest was told that the host waits */
    bool said_waiting_write;
    uint32_t head_wraps, tail_wraps;
    bool wrote;        /* the guest has said that its queue is not empty any more */
    bool wrote_before; /* that was at: */
    uint64_t wrote_at; /* ns */
    struct alarm poll; /* looks without being told */
    bool polling;
    unsigned polls; /* that are left, if all find nothing */
    uint8_t *held;  /* what the guest had sent when it closed */
    uint32_t held_len, held_at;
};

struct vmci_doorbell {
    uint32_t context, resource;
    uint32_t index; /* of a byte in the guest's page */
};

/* All that a reset brings to zero. */
struct vmci_state {
    uint32_t caps; /* in use */
    uint32_t icr, imr;
    bool int_on;
    int32_t result;
    gpa_t bitmap; /* 0: none */
    struct vmci_doorbell doorbell[VMCI_DOORBELLS];
    unsigned doorbells;
    uint32_t out_have;                                 /* bytes of a datagram from the guest */
    uint64_t out_skip;                                 /* of one that is too long, still to come */
    uint8_t in[VMCI_IN_MAX];                           /* the datagram that the guest reads */
    uint32_t in_len, in_sent;                          /* bytes of it */
    uint32_t in_at;                                    /* place in the page that the guest reads */
    bool in_rest;                                      /* there are no more in this page */
    struct vmci_transport_packet orphan[VMCI_ORPHANS]; /* resets for what is not there */
    unsigned orphans;
};

struct vmci {
    struct pci_dev pci; /* first */
    uint32_t cid;
    struct vmci_state s;
    uint8_t out[VMCI_MAX_DG_SIZE];
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    struct watch listener;
    struct task work;
    struct vmci_conn *conns; /* the first is served first, then moved to the end */
    unsigned count;
    struct vmci_qp *qps;
    unsigned qp_count;
    uint32_t next_port, next_resource;
    uint64_t datagrams_in, datagrams_out; /* seen from the host */
};

static inline struct loop *vmci_loop(struct vmci *v)
{
    return v->pci.dev.env.loop;
}

/* --- vmci.c --- */

/* There is something for the guest to read. */
void vmci_tell(struct vmci *v);
/* A driver is there that takes datagrams. */
bool vmci_up(const struct vmci *v);
/* The device may read and write memory. */
bool vmci_masters(const struct vmci *v);

/* --- vmci_qp.c --- */

/* Calls of the guest's; the message is a copy. Return what the guest gets. */
int32_t vmci_qp_alloc(struct vmci *v, const uint8_t *msg, size_t n);
int32_t vmci_qp_detach(struct vmci *v, const uint8_t *msg, size_t n);
struct vmci_qp *vmci_qp_find(struct vmci *v, uint32_t context, uint32_t resource);
void vmci_qp_free_all(struct vmci *v);

/* How many bytes wait in the produce queue, and fit into the consume queue. false: the guest has
 * broken it. */
MUST bool vmci_qp_look(struct vmci *v, const struct vmci_qp *q, uint32_t *ready, uint32_t *room);
/* The next n bytes of one of them, or the room for them; at most VMCI_QUEUE_PIECES pieces. -1: not
 * in memory. */
MUST int vmci_qp_map(struct vmci *v, const struct vmci_qp *q, bool consume, uint32_t n,
                     struct iovec *iov);
/* Moves on; the guest sees it. false: as above. keep: it does not see the last byte go. */
MUST bool vmci_qp_took(struct vmci *v, struct vmci_qp *q, uint32_t n, bool keep);
MUST bool vmci_qp_gave(struct vmci *v, struct vmci_qp *q, uint32_t n);

/* --- vmci_sock.c: connections as the guest sees them --- */

/* A control packet of the guest's; what it gets for it. */
int32_t vmci_sock_packet(struct vmci *v, const struct vmci_transport_packet *p);
/* Puts the next datagram for the guest into `to`; its bytes, 0: there is none. */
uint32_t vmci_sock_next(struct vmci *v, uint8_t to[VMCI_IN_MAX]);
bool vmci_sock_owes(const struct vmci *v);
/* The guest makes a queue pair that a connection offered, or lets go of one. */
int32_t vmci_sock_made(struct vmci *v, struct vmci_qp *q);
void vmci_sock_left(struct vmci *v, struct vmci_qp *q);
void vmci_conn_owe(struct vmci_conn *c, unsigned what);
/* The guest knows that it is connected. */
void vmci_conn_settled(struct vmci_conn *c);
/* There is no connection any more: the guest is told. */
void vmci_conn_reset(struct vmci_conn *c);
/* The loop shall do what c needs. */
void vmci_conn_todo(struct vmci_conn *c);
void vmci_conn_die(struct vmci_conn *c);
struct vmci_conn *vmci_conn_find(struct vmci *v, uint32_t host_port, uint32_t guest_port);
/* NULL: there are too many, or no memory. */
struct vmci_conn *vmci_conn_new(struct vmci *v, enum vmci_conn_state state);
void vmci_sock_stop(struct vmci *v);

/* --- vmci_host.c: connections as the host's programs see them; the loop's --- */

MUST int vmci_host_listen(struct vmci *v, const char *path, struct err *e);
void vmci_host_close(struct vmci *v);
void vmci_host_work(struct task *t);

#endif
