/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xenbus.h - the back end half of xenbus: states, rings, keys; shared by disk, network and others.
 *
 * A back end describes itself by ops; xenbus makes its directories, watches the front end's state
 * and walks the protocol (Initialising to Closed and back, in any order a guest finds). Threads:
 * the loop's, except kick(), which comes from the vCPU that sent the event.
 */
#ifndef HOSPES_PERSONAS_XEN_XENBUS_H
#define HOSPES_PERSONAS_XEN_XENBUS_H

#include "personas/xen/xen.h"

/* Xen public/io/xenbus.h. */
enum xenbus_state {
    XenbusStateUnknown = 0,
    XenbusStateInitialising = 1,
    XenbusStateInitWait = 2,
    XenbusStateInitialised = 3,
    XenbusStateConnected = 4,
    XenbusStateClosing = 5,
    XenbusStateClosed = 6,
    XenbusStateReconfiguring = 7,
    XenbusStateReconfigured = 8,
};

struct xenbus_dev;

struct xenbus_ops {
    const char *class; /* "vbd": directory names */
    /* Writes what the front end must know before it connects. Runs in state InitWait, also after a
     * disconnect. */
    void (*offer)(struct xenbus_dev *d);
    /* The front end's keys are there: take its rings and event channels, write the rest. 0 or
     * -errno: the guest's keys make no sense, and the device goes to Closing. */
    MUST int (*connect)(struct xenbus_dev *d);
    /* Drops rings and channels; requests in flight may still finish, into nothing. Also for a
     * device that never connected. */
    void (*disconnect)(struct xenbus_dev *d);
    /* At a reset, after that: gives up what was not begun and waits for what is in flight, with all
     * vCPUs at rest. May be NULL. */
    void (*drain)(struct xenbus_dev *d);
    void (*destroy)(struct xenbus_dev *d);
    void (*describe)(struct xenbus_dev *d, struct dump *out);
};

/* First member of every back end. */
struct xenbus_dev {
    const struct xenbus_ops *ops;
    struct xen *x;
    struct xenbus_dev *next;
    unsigned id;              /* the device's number: 51712 for xvda */
    char front[96], back[96]; /* directories */
    enum xenbus_state state;  /* ours */
    struct xs_watch *watch;
    bool gone;
};

/* d is zeroed but for ops. Makes the directories and starts the protocol. */
MUST int xenbus_add(struct xen *x, struct xenbus_dev *d, unsigned id, struct err *e);
/* Asks the guest to let go, and removes the directories when it has. */
void xenbus_remove(struct xenbus_dev *d);
/* All of them. */
void xenbus_reset(struct xen *x);
void xenbus_destroy(struct xen *x);
struct xenbus_dev *xenbus_first(struct xen *x);

/* Keys of the front end (its directory) and of ours. */
uint64_t xenbus_read(struct xenbus_dev *d, const char *key, uint64_t otherwise);
bool xenbus_read_text(struct xenbus_dev *d, const char *key, char *buf, size_t size);
void xenbus_write(struct xenbus_dev *d, const char *key, const char *fmt, ...) PRINTF_LIKE(3, 4);
void xenbus_set_state(struct xenbus_dev *d, enum xenbus_state state);
/* Keys of a device that is connected changed: its state is written again, as it is, which the front
 * end watches. */
void xenbus_again(struct xenbus_dev *d);

#endif
