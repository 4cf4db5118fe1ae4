/* SPDX-License-Identifier: Apache-2.0 */
/* xs_store.h - what xs_store.c (state) and xs_message.c (the wire) share. */
#ifndef HOSPES_PERSONAS_XEN_XS_STORE_H
#define HOSPES_PERSONAS_XEN_XS_STORE_H

#include "abi/xenstore.h"
#include "personas/xen/xenstore.h"
#include "personas/xen/xs_tree.h"

/* What one guest may use up; values of Xen's own daemon. */
enum {
    XS_QUOTA_NODES = 1000,
    XS_QUOTA_VALUE = 2048,
    XS_QUOTA_WATCHES = 128,
    XS_QUOTA_TRANSACTIONS = 10,
    XS_QUOTA_ACCESSES = 1024, /* nodes one transaction remembers */
    XS_QUOTA_OUT = 512 << 10, /* bytes waiting to be read */
};

/* A node that a transaction has looked at, and what it was like at its start. */
struct xs_access {
    char *path;
    uint64_t generation; /* 0: it did not exist */
};

enum xs_change_kind { XS_CHANGE_WRITE, XS_CHANGE_MKDIR, XS_CHANGE_RM, XS_CHANGE_PERMS };
struct xs_change {
    enum xs_change_kind kind;
    char *path;
    uint8_t *value;
    size_t len;
    struct xs_perms perms;
};

struct xs_txn {
    struct xs_txn *next;
    uint32_t id;
    struct xs_tree tree, base; /* as it is inside; as it was at its start */
    struct xs_access *access;
    size_t accesses;
    struct xs_change *change;
    size_t changes;
    bool failed; /* out of memory: can only be aborted */
};

struct xs_watch {
    struct xs_watch *next;
    struct xs_client *client; /* NULL: a back end's */
    char *path;               /* absolute, or a special one beginning with @ */
    size_t relative;          /* bytes of path that the client did not write */
    char *token;
    xs_watch_fn *fn;
    void *arg;
    bool dead;
};

struct xs_event {
    struct xs_event *next;
    struct xs_watch *watch;
    size_t charged; /* to xenstore.queued */
    char path[];
};

struct xs_out {
    struct xs_out *next;
    size_t n;
    uint8_t msg[];
};

struct xs_client {
    struct xs_client *next;
    struct xenstore *s;
    uint16_t domid;
    xs_send_fn *send;
    void *arg;
    struct xs_txn *txns;
    uint32_t last_txn;
    struct xs_out *out, **out_end;
    size_t out_bytes;
    uint64_t dropped_events;
};

struct xenstore {
    struct xs_tree tree;
    uint64_t generation;
    struct xs_watch *watches, **watch_end;
    struct xs_event *events, **event_end;
    size_t queued; /* bytes of those events that are for guests */
    struct xs_client *clients;
    bool running;
};

bool xs_path_valid(const char *path);

/* Changes, on the tree itself or inside a transaction. c NULL: domain 0. 0 or -errno. */
int xs_do(struct xenstore *s, struct xs_client *c, struct xs_txn *t,
          const struct xs_change *change);
/* Remembers that t has looked at path. */
int xs_txn_touch(struct xs_txn *t, const char *path);
MUST int xs_txn_start(struct xs_client *c, uint32_t *id);
/* 0, -EAGAIN on a conflict, -ENOSPC over quota. The transaction is gone in any case. */
int xs_txn_end(struct xs_client *c, struct xs_txn *t, bool commit);

int xs_watch_add(struct xenstore *s, struct xs_client *c, const char *path, size_t relative,
                 const char *token, xs_watch_fn *fn, void *arg, struct xs_watch **out);
int xs_watch_del(struct xs_client *c, const char *path, const char *token);
void xs_watches_drop(struct xs_client *c);
void xs_event_send(struct xs_client *c, const struct xs_watch *w, const char *path);

#endif
