/* SPDX-License-Identifier: Apache-2.0 */
/* ic_priv.h - what the integration services share; no file outside ic*.c includes it. */
#ifndef HOSPES_PERSONAS_HYPERV_IC_PRIV_H
#define HOSPES_PERSONAS_HYPERV_IC_PRIV_H

#include "abi/hvic.h"
#include "ic.h"

enum ic_kind { IC_SHUTDOWN, IC_TIMESYNC, IC_HEARTBEAT, IC_KVP, IC_VSS, IC_FCOPY, IC_COUNT };
enum {
    IC_PACKET = 8 << 10,
    IC_VERSIONS = 4,
    KVP_ITEMS = 64,
    KVP_KEY_MAX = 64,
    KVP_VALUE_MAX = 160,
    KVP_POOLS = 2, /* that are read: AUTO, GUEST */
    KVP_JOBS = 32, /* that may wait */
};

#define IC_SECOND UINT64_C(1000000000)
#define IC_HEARTBEAT_NS (2 * IC_SECOND)
#define IC_TIMESYNC_NS (30 * IC_SECOND)
#define IC_KVP_NS (30 * IC_SECOND)
#define IC_HEAD (sizeof(struct vmbus_pipe_header) + sizeof(struct icmsg_hdr))

struct ic {
    struct vmbus_channel c;
    struct ics *s;
    enum ic_kind kind;
    struct alarm alarm;
    bool ready; /* negotiated */
    bool asked; /* a request of ours waits for its answer */
    uint8_t trans;
    uint16_t frame[2], version[2];
    uint64_t answers;
    uint32_t status; /* of the last answer */
    struct log_limit told;
};

struct kvp_item {
    char key[KVP_KEY_MAX], value[KVP_VALUE_MAX];
};

/* A change that the host wants; the pair or address is encoded already. */
struct kvp_job {
    struct kvp_job *next;
    char key[KVP_KEY_MAX]; /* as it was said, for messages */
    size_t n;
    uint8_t body[]; /* a message without its IC head */
};

/* Pairs: those of the guest as last read, those of the host as last written. */
struct kvp {
    unsigned pool;  /* being read, an index */
    uint32_t index; /* in it */
    unsigned count[KVP_POOLS];
    struct kvp_item item[KVP_POOLS][KVP_ITEMS];
    unsigned written;
    struct kvp_item own[KVP_ITEMS];
    struct kvp_job *job, **job_end; /* the first one may be under way */
    unsigned jobs;
    bool writing; /* the first job is under way */
};

/* A file on its way into the guest. */
struct fcopy {
    int fd; /* -1: none */
    uint64_t size, at;
    unsigned step;  /* enum hv_fcopy_op that waits for its answer */
    char name[256]; /* for messages */
};

struct ics {
    struct vmbus *b;
    const struct persona_env *env;
    struct ic ic[IC_COUNT];
    uint64_t beat, beat_at; /* last answered, and when (ns) */
    bool restart;           /* what the shutdown service was last asked for */
    bool thaw;
    struct kvp kvp;
    struct fcopy fcopy;
};

/* Sends a request; its answer comes to the service's on_answer. false: no room now. */
bool ic_send(struct ic *i, unsigned type, const void *body, size_t n);
/* Runs the service's turn in ns. */
void ic_again(struct ic *i, uint64_t ns);
/* Tells the machine how the last request ended. */
void ic_event(struct ics *s, const struct ic *i, const char *done);

/* ic_kvp.c */
void kvp_start(struct ic *i);
void kvp_turn(struct ic *i);
void kvp_answer(struct ic *i, const uint8_t *body, size_t n);
void kvp_closed(struct ic *i);
void kvp_destroy(struct ics *s);

/* ic_copy.c */
void fcopy_answer(struct ic *i);
void fcopy_closed(struct ic *i);

#endif
