/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbd.h - one disk for clients of the network block device protocol.
 */
#ifndef HOSPES_STORAGE_SERVE_NBD_H
#define HOSPES_STORAGE_SERVE_NBD_H

#include "storage/disk.h"

struct nbd;

struct nbd_cfg {
    struct disk *disk; /* stays the caller's; its loop is not used */
    const char *name;  /* clients may ask for it by this name, or by none */
    const char *about; /* one line, or NULL */
};

/* Listens at "unix=PATH" or "tcp=ADDR:PORT". What c points to stays until nbd_destroy(). */
MUST int nbd_create(const struct nbd_cfg *c, const char *where, struct nbd **out, struct err *e);
/* Serves clients until stop_fd can be read, then lets requests under way end. */
MUST int nbd_run(struct nbd *n, int stop_fd, struct err *e);
void nbd_destroy(struct nbd *n); /* NULL is fine */
/* "nbd+unix:///?socket=PATH" or "nbd://ADDR:PORT" */
const char *nbd_uri(const struct nbd *n);

/* Serves one client on a connected socket, which it closes, and returns when that is over. */
void nbd_serve_fd(struct nbd *n, int fd);
/* A server that listens nowhere, for nbd_serve_fd(). */
MUST int nbd_create_deaf(const struct nbd_cfg *c, struct nbd **out, struct err *e);

#endif
