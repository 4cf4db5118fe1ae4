/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc.h - GuestRPC: messages in both directions over the backdoor, and what the guest's tools say.
 *
 * Threads: the caller serialises calls; events go out through events() after that, see rpc.c.
 */
#ifndef HOSPES_PERSONAS_VMWARE_RPC_H
#define HOSPES_PERSONAS_VMWARE_RPC_H

#include "abi/vmware.h"
#include "personas/vmware/vmware.h"

struct rpc;

MUST int rpc_create(struct rpc **out, struct err *e);
void rpc_destroy(struct rpc *r); /* NULL is fine */
/* Closes the channels, forgets what the guest said, keeps the host's variables. */
void rpc_reset(struct rpc *r);

/* One MESSAGE call. now: ns, of the same clock as in the other calls. */
void rpc_call(struct rpc *r, struct backdoor *b, uint64_t now);
/* A byte of a message's payload through the high-bandwidth port; b: its channel and, where a
 * MESSAGE call has it, its cookie. false: none was due. */
MUST bool rpc_byte(struct rpc *r, const struct backdoor *b, enum access dir, uint8_t *byte);

/* A variable guestinfo.NAME of the host's. -ENOSPC: too many or too long. */
MUST int rpc_set(struct rpc *r, const char *name, const char *value, size_t n);
const char *rpc_get(struct rpc *r, const char *name, size_t *n);
/* false: there is none. */
bool rpc_remove(struct rpc *r, const char *name);
/* The i-th variable, whose value ends with a zero byte; NULL past the last. */
const char *rpc_at(const struct rpc *r, unsigned i, const char **value);

/* What `vmware-toolbox-cmd stat` shows; fn fills it when a guest asks. */
struct rpc_facts {
    uint64_t session, used_ms, elapsed_ms;
    uint32_t cpus, mhz, memory_mib, ballooned_mib;
};
void rpc_facts(struct rpc *r, void (*fn)(void *arg, struct rpc_facts *out), void *arg);

/* true: the tools run and poll. */
bool rpc_alive(const struct rpc *r, uint64_t now);
/* Queues a command for the tools, whose answer will be an event. -ENOTSUP, -EBUSY. */
MUST int rpc_ask(struct rpc *r, const char *command, uint64_t now);

/* The same for holding file systems still: -EALREADY: they are, or are about to be. */
MUST int rpc_freeze(struct rpc *r, uint64_t now);
/* -EINVAL: nothing is frozen. */
MUST int rpc_thaw(struct rpc *r, uint64_t now);

/* What came in since the last call, for the machine: false: nothing. */
bool rpc_event(struct rpc *r, enum machine_event *what, char *text, size_t n);
void rpc_describe(struct rpc *r, struct dump *out, uint64_t now);

/* --- between the rpc*.c files --- */

enum { RPC_VARIABLES = 256, RPC_NAME = 128, RPC_VALUES = 1 << 20, RPC_TEXT = 128 };

enum rpc_quiesce { QUIESCE_NONE, QUIESCE_FREEZING, QUIESCE_FROZEN, QUIESCE_THAWING };

struct rpc_variable {
    char name[RPC_NAME];
    char *value;
    size_t n;
    bool host; /* set by the host: a reset keeps it */
};

struct rpc_channel {
    bool open, cookie_wanted;
    bool fresh; /* a host message is out, its answer is awaited */
    uint32_t proto, cookie[2];
    uint8_t *in; /* message of the guest; in_want bytes are announced */
    uint32_t in_want, in_have;
    bool receiving;
    uint8_t *out; /* message for the guest */
    uint32_t out_len, out_at;
    unsigned setup; /* steps of the introduction done, TCLO */
    bool synctime;  /* as it was last told */
};

struct rpc {
    struct rpc_channel channel[GUESTMSG_MAX_CHANNEL];
    struct rpc_variable *var;
    unsigned vars;
    size_t var_bytes;
    uint64_t polled; /* when the tools last asked for work, ns; 0: never */
    unsigned main;   /* channel + 1 of the tools that may power the guest off; 0: none */
    char ask[64];    /* the machine's command, "" none */
    bool ask_sent;
    enum rpc_quiesce quiesce;
    bool synctime; /* the guest wants its clock set by ours */
    void (*facts)(void *arg, struct rpc_facts *out);
    void *facts_arg;
    bool has_event;
    enum machine_event event;
    char event_text[RPC_TEXT];
    char info[INFO_MAX][RPC_TEXT];
    char tools_version[RPC_TEXT], health[RPC_TEXT];
    uint64_t messages, refused;
};

/* Answers message text of the guest into out ("1 ..." or "0 ..."); returns its length. */
size_t rpc_command(struct rpc *r, const char *msg, size_t n, char *out, size_t max);

/* An event for the machine. */
void rpc_tell(struct rpc *r, enum machine_event what, const char *text);

/* rpc_quiesce.c: what a guest says of its file systems, and its answer to what we asked of them;
 * true: that answer says nothing yet. */
void rpc_quiesce_event(struct rpc *r, const char *arg, size_t n);
MUST bool rpc_quiesce_answered(struct rpc *r, bool ok);
void rpc_quiesce_reset(struct rpc *r);

/* rpc_nics.c: the first IPv4 address in what a guest tells of its cards. false: there is none, and
 * out is as it was. */
bool rpc_first_address(const void *p, size_t n, char out[RPC_TEXT]);

/* rpc_stat.c: the answer to guestlib.info.get. */
enum { RPC_STAT = 669 };
size_t rpc_stat(const struct rpc_facts *f, uint8_t out[RPC_STAT]);

#endif
