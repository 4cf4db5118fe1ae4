/* SPDX-License-Identifier: Apache-2.0 */
/* nbd_impl.h - what nbd.c, nbd_talk.c and nbd_data.c have in common. */
#ifndef HOSPES_STORAGE_SERVE_NBD_IMPL_H
#define HOSPES_STORAGE_SERVE_NBD_IMPL_H

#include <pthread.h>

#include "abi/nbd.h"
#include "storage/serve/bytes.h"
#include "storage/serve/nbd.h"

enum {
    NBD_CONNS_MAX = 64,
    NBD_THREADS_MAX = 16,         /* for each connection */
    NBD_REQUEST_MOST = 32u << 20, /* bytes of payload */
    NBD_PIECE = 1u << 20,         /* bytes that a thread holds at once */
};

enum nbd_context { NBD_CONTEXT_ALLOCATION, NBD_CONTEXT_DEPTH, NBD_CONTEXTS };

struct nbd {
    struct nbd_cfg c;
    struct bytes bytes;
    int listener;
    char *path, *uri; /* path: of a unix socket */

    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct nbd_conn *conns; /* guarded by lock */
    unsigned conn_count;
    bool stopping;
};

/* One connection. Its threads take turns in reading requests; see nbd_data.c. */
struct nbd_conn {
    struct nbd *n;
    struct nbd_conn *next, *prev;
    int fd;
    bool structured;
    bool chosen[NBD_CONTEXTS];

    pthread_mutex_t reading, sending;
    bool dead;                 /* guarded by reading */
    unsigned threads, waiting; /* atomic; waiting: for `reading` */
};

/* Negotiates; false: the client is to be dropped. */
MUST bool nbd_talk(struct nbd_conn *k);
/* Serves requests until the client goes; called by each thread of the connection. */
void nbd_transmit(struct nbd_conn *k);
/* One more thread for k. Nothing happens when there cannot be one. */
void nbd_conn_help(struct nbd_conn *k);

extern const char *const nbd_context_names[NBD_CONTEXTS];
uint16_t nbd_export_flags(const struct nbd *n);

/* All of it, or false. */
MUST bool nbd_recv(int fd, void *buf, size_t len);
MUST bool nbd_send(int fd, struct iovec *iov, unsigned cnt);

#endif
