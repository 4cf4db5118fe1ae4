/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm.h - a machine as a validation run sees it: a console to talk to, facts to ask for, a plug to
 * pull.
 *
 * The machine is another process, so that its end, whatever it is, is a result and not ours. Tests
 * use one that is made of a script. Calls are for one thread.
 */
#ifndef HOSPES_VALIDATION_VM_H
#define HOSPES_VALIDATION_VM_H

#include "core/core.h"

struct json_object;
struct vbuf;
struct vm;

/* Strings are the caller's and must last until start() returns; NULL: not wanted. */
struct vm_spec {
    const char *program; /* the hospes, or QEMU, to start */
    const char *work;    /* an empty folder for sockets and messages */
    const char *name;    /* of the machine; its console's messages go to WORK/NAME.vmm */
    const char *persona; /* with its options */
    unsigned cpus;
    uint64_t memory;
    const char *kernel, *initrd, *append;
    const char *image, *firmware;   /* a guest of its own, opened as a snapshot */
    const char *disk, *disk_format; /* a disk that is written to */
    const char *nic[4];
    size_t nics;
};

struct vm_ops {
    const char *name;
    MUST int (*start)(const struct vm_spec *s, struct vm **out, struct err *e);
    /* Console bytes: their number, 0 once the machine has ended, -EAGAIN after timeout_ms. */
    MUST ssize_t (*read)(struct vm *v, void *buf, size_t room, int timeout_ms);
    /* Types at the console. -errno when nobody is there. */
    MUST int (*type)(struct vm *v, const char *text);
    /* What `hospes info --json` prints; *out is released by the caller. -ENOTSUP: it has no such
     * thing, with e filled. */
    MUST int (*info)(struct vm *v, struct json_object **out, struct err *e);
    /* Asks the guest (see control.h). -ENOTSUP: this guest has no such channel. */
    MUST int (*ask)(struct vm *v, const char *what, uint64_t value, struct err *e);
    /* Registers and last exits, as JSON; -ENOTSUP. */
    MUST int (*state)(struct vm *v, struct json_object **out, struct err *e);
    /* What each thread of the process does, as the kernel tells it. */
    void (*threads)(struct vm *v, struct vbuf *out);
    /* Writes what the guest's screen shows as a PNG file; -errno where there is none. */
    MUST int (*screen)(struct vm *v, const char *path, struct err *e);
    /* Makes a disk image for a guest, or gives it a new size. */
    MUST int (*disk)(const char *program, const char *path, const char *format, uint64_t bytes,
                     bool resize, struct err *e);
    /* Gives the machine one more disk; words: how, as behind --disk FILE. id: what the machine
     * calls it. -ENOTSUP: it takes none, with e filled. */
    MUST int (*attach)(struct vm *v, const char *path, const char *words, char *id, size_t room,
                       struct err *e);
    /* Takes it away, or asks the guest to give it up. */
    MUST int (*detach)(struct vm *v, const char *id, struct err *e);
    void (*plug)(struct vm *v); /* pulls it */
    /* Pulls the plug if need be, waits and frees. The exit code of the process, 128 + N after
     * signal N. *why: what it said about its end, malloc()ed, may be NULL. */
    int (*end)(struct vm *v, char **why);
};

extern const struct vm_ops vm_hospes;
extern const struct vm_ops vm_qemu; /* plain QEMU: no persona, no info, no ask */

#endif
