/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softhost.h - a host that can run guests, on a machine that cannot: QEMU's emulation of an AMD
 * processor with SVM runs a Debian kernel with KVM, which sees this machine's files through 9p.
 *
 * The processor comes from QEMU, the commands from us: an agent inside (soft-agent, a hidden
 * subcommand of this program) runs what softhost_exec() sends over a virtio port, several at a
 * time. No daemon outside: QEMU holds the ports, a lock file per port says which one is free.
 *
 * Not modelled: 32-bit user space and OVMF as guests bring QEMU's nested SVM down.
 * Threads: the calls block and are for the main thread of a program that has no other.
 */
#ifndef HOSPES_SOFTHOST_SOFTHOST_H
#define HOSPES_SOFTHOST_SOFTHOST_H

#include "core/core.h"

enum { SOFTHOST_PATH = 512, SOFTHOST_FORWARDS = 32, SOFTHOST_CPUS = 8 };

/* A port of this machine that leads to the same address and port inside. */
struct softhost_forward {
    bool udp;
    char addr[64]; /* IPv4, "" for all */
    uint16_t port;
};

struct softhost_cfg {
    const char *dir;    /* its sockets and files; made when missing */
    const char *kernel; /* folder with vmlinuz and lib/modules; NULL: look for one */
    unsigned cpus;      /* up to SOFTHOST_CPUS; 0: 1, for more are less reliable */
    uint64_t memory;    /* bytes; 0: half of this machine's */
    unsigned idle;      /* seconds without a command after which it powers itself off */
    struct softhost_forward forward[SOFTHOST_FORWARDS];
    size_t forwards;
};

struct softhost_command {
    char *const
        *argv; /* argv[0] is looked up in $PATH inside; the environment and folder are ours */
    int in, out, err;
    void (*ready)(void *arg); /* when the command says so through $HOSPES_READY_FD, if
                               * that has the inode $HOSPES_READY_INODE; may be NULL */
    void *arg;
    /* After that, connections to `relay` are served by the socket `relay_to` inside. May be NULL.
     */
    const char *relay, *relay_to;
};

/* Starts it unless it runs; returns before its kernel is up. */
MUST int softhost_start(const struct softhost_cfg *c, struct err *e);

/* Runs one command and waits for its end. *code: its exit code, 128 + N after signal N. -errno: it
 * cannot be started, or (EX_NO_HOST) the software host did not come up, or died. */
MUST int softhost_exec(const char *dir, const struct softhost_command *cmd, int *code,
                       struct err *e);

/* Pulls its plug and waits for the end. Nothing happens when it does not run. */
void softhost_stop(const char *dir);
bool softhost_running(const char *dir);
/* Removes the folder of one that does not run, with all that softhost_start() put there. */
void softhost_remove(const char *dir);

/* Inside: QEMU may lose the notice of an interrupt (docs/reference/softhost.md), and then nobody
 * looks for it until the next one comes; if it was the tick, and a guest spins, none does for
 * minutes. A timer of its own sees to it that one does, as long as the descriptor that is returned
 * is open. */
MUST int softhost_pulse(struct err *e);

/* Inside: serves the ports until none has been used for `idle` seconds. */
MUST int softhost_agent(unsigned idle, struct err *e);

/* Copies between standard input and output and a socket, both ways, until one side ends. */
MUST int softhost_connect(const char *path, struct err *e);

#endif
