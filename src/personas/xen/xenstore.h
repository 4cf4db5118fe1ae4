/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xenstore.h - the store in which a Xen guest and its back ends find each other.
 *
 * One store per machine, with two kinds of clients: back ends in this process, which are domain 0
 * and call the functions below, and the guest, whose messages come through a ring or a test.
 *
 * Document: Xen docs/misc/xenstore.txt. Threads: the loop's. A watch's function is called from
 * xenstore_run(), never from inside the call that made the change.
 */
#ifndef HOSPES_PERSONAS_XEN_XENSTORE_H
#define HOSPES_PERSONAS_XEN_XENSTORE_H

#include "core/core.h"

struct xenstore;
struct xs_client;
struct xs_watch;

enum { XS_GUEST = 1 }; /* our guest's domain id */

MUST int xenstore_create(struct xenstore **out, struct err *e);
void xenstore_destroy(struct xenstore *s); /* NULL is fine */

/* --- for back ends --- */

/* 0 or -errno (-ENOMEM, -EINVAL for a bad path). Nodes that are missing above are made. The guest
 * may read what it did not own only after xs_guest_may(). */
int xs_put(struct xenstore *s, const char *path, const char *fmt, ...) PRINTF_LIKE(3, 4);
int xs_rm(struct xenstore *s, const char *path);
/* The value as a string in buf, cut to size and with a final NUL; -ENOENT. */
MUST int xs_get(struct xenstore *s, const char *path, char *buf, size_t size);
/* A decimal value; `otherwise` where there is none or nonsense. */
uint64_t xs_get_u64(struct xenstore *s, const char *path, uint64_t otherwise);
/* Whose the node is and what the guest may do there: bits of enum xs_perm_bits. A guest that owns
 * a node may do everything with it. */
int xs_guest_may(struct xenstore *s, const char *path, bool owns, unsigned bits);

/* fn runs once soon after, and whenever something at or below path changes. path is as in the
 * change, absolute. NULL: no memory or a bad path. */
typedef void xs_watch_fn(void *arg, const char *path);
struct xs_watch *xs_watch(struct xenstore *s, const char *path, xs_watch_fn *fn, void *arg);
void xs_unwatch(struct xenstore *s, struct xs_watch *w);

/* A guest watches this very path. */
bool xs_guest_watches(const struct xenstore *s, const char *path);

/* Delivers events until there are none, to back ends and to clients. */
void xenstore_run(struct xenstore *s);

/* Every node, for `info` and tests: values may hold any bytes. */
typedef void xs_list_fn(void *arg, const char *path, const uint8_t *value, size_t len);
void xs_list(struct xenstore *s, const char *path, xs_list_fn *fn, void *arg);

/* --- for a guest's connection --- */

/* send() gets whole messages, header and payload; false: no room, the client keeps it and offers
 * it again from xs_client_flush(). */
typedef bool xs_send_fn(void *arg, const uint8_t *msg, size_t n);
MUST int xs_client_create(struct xenstore *s, uint16_t domid, xs_send_fn *send, void *arg,
                          struct xs_client **out, struct err *e);
void xs_client_destroy(struct xs_client *c);
/* One request: 16 bytes of header and the payload that the header announces, at most 4096. */
void xs_client_message(struct xs_client *c, const uint8_t *msg, size_t n);
/* The receiver has room again. */
void xs_client_flush(struct xs_client *c);
/* false: so much waits for it that it must be asked nothing more before it has read. */
bool xs_client_reads(const struct xs_client *c);
/* Drops watches and transactions, as after a guest's reset. */
void xs_client_reset(struct xs_client *c);

/* --- the ring, xs_ring.c --- */

struct xs_ring;
struct xenstore_domain_interface;
/* page is guest memory, in place. notify(arg) signals the guest's event channel. All on the loop.
 */
MUST int xs_ring_create(struct xenstore *s, struct loop *loop,
                        struct xenstore_domain_interface *page, void (*notify)(void *arg),
                        void *arg, struct xs_ring **out, struct err *e);
void xs_ring_destroy(struct xs_ring *r);
/* The guest signalled: serves what it wrote and takes what it freed. */
void xs_ring_kick(struct xs_ring *r);
/* After a guest's reset: an empty ring, no watches. */
void xs_ring_reset(struct xs_ring *r);

#endif
