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

/* A variable guestinfo.NAME. -ENOSPC: too many or too long. */
MUST int rpc_set(struct rpc *r, const char *name, const char *value, size_t n);
const char *rpc_get(struct rpc *r, const char *name, size_t *n);

/* true: the tools run and poll. */
bool rpc_alive(const struct rpc *r, uint64_t now);
/* Queues a command for the tools, whose answer will be an event. -ENOTSUP, -EBUSY. */
MUST int rpc_ask(struct rpc *r, const char *command, uint64_t now);

/* What came in since the last call, for the machine: false: nothing. */
bool rpc_event(struct rpc *r, enum machine_event *what, char *text, size_t n);
void rpc_describe(struct rpc *r, struct dump *out, uint64_t now);

/* --- between rpc.c and rpc_command.c --- */

enum { RPC_VARIABLES = 256, RPC_NAME = 128, RPC_VALUES = 1 << 20, RPC_TEXT = 128 };

struct rpc_variable {
    char name[RPC_NAME];
    char *value;
    size_t n;
    bool host; /* set on the command line */
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
    bool has_event;
    enum machine_event event;
    char event_text[RPC_TEXT];
    char info[INFO_MAX][RPC_TEXT];
    char tools_version[RPC_TEXT], health[RPC_TEXT];
    uint64_t messages, refused;
};

/* Answers message text of the guest into out ("1 ..." or "0 ..."); returns its length. */
size_t rpc_command(struct rpc *r, const char *msg, size_t n, char *out, size_t max);

#endif
