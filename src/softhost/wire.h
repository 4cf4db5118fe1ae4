/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - what goes over a port of the software host. Both ends are the same program, so numbers
 * are in the machine's own order.
 *
 * A client greets with WIRE_MAGIC and a nonce, and the agent echoes both: whatever an earlier
 * client left in the port lies before them. Then messages: length of the data, kind, data.
 */
#ifndef HOSPES_SOFTHOST_WIRE_H
#define HOSPES_SOFTHOST_WIRE_H

#include "core/core.h"

#define WIRE_MAGIC "\0\377hospes\377\1\377soft\0" /* WIRE_MAGIC_LEN bytes; the 1 is a version */

enum {
    WIRE_MAGIC_LEN = 16,
    WIRE_NONCE_LEN = 8,
    WIRE_HELLO_LEN = WIRE_MAGIC_LEN + WIRE_NONCE_LEN,
    WIRE_PORTS = 12,
    WIRE_CHUNK = 16384,        /* most of a stream in one message */
    WIRE_CREDIT = 65536,       /* standard input that may be under way */
    WIRE_MESSAGE_MAX = 1 << 21 /* START, with all of an environment */
};

enum wire_kind {
    /* To the agent. */
    WIRE_START = 1, /* struct wire_start, then its strings, each ended by 0 */
    WIRE_STDIN,
    WIRE_EOF,
    WIRE_WINDOW, /* struct wire_window */
    WIRE_SIGNAL, /* int */
    WIRE_BYE,
    /* From it. */
    WIRE_STDOUT,
    WIRE_STDERR,
    WIRE_READY,
    WIRE_CREDITED, /* uint32_t: bytes of standard input that have been passed on */
    WIRE_EXIT,     /* int: the exit code; last message */
    WIRE_FAILED,   /* int errno, then what failed as text; last message */
};

struct wire_window {
    uint16_t rows, cols;
};

/* Followed by argc strings, the working folder, and the environment. */
struct wire_start {
    uint32_t argc;
    uint32_t tty;
    struct wire_window window;
};

/* What has arrived, up to the next whole message. */
struct wire_in {
    unsigned char *buf;
    size_t have, used;
};

struct wire_msg {
    enum wire_kind kind;
    const unsigned char *data; /* until the next wire_fill() */
    size_t len;
};

/* Writes a whole message; waits while the descriptor is full. -EPIPE when the other side left. */
MUST int wire_send(int fd, enum wire_kind kind, const void *data, size_t len);
MUST int wire_send_all(int fd, const void *data, size_t len);

/* Reads what is there. Bytes read, 0 at the end, -EAGAIN, other -errno. */
MUST ssize_t wire_fill(struct wire_in *in, int fd);
/* The next message: 1, 0 when none is complete, -EPROTO. */
MUST int wire_next(struct wire_in *in, struct wire_msg *msg);
void wire_free(struct wire_in *in);

#endif
