/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - what the software host boots: a Debian kernel, and an initramfs of busybox, the modules
 * that it needs and a script that mounts this machine's files and starts the agent.
 */
#ifndef HOSPES_SOFTHOST_IMAGE_H
#define HOSPES_SOFTHOST_IMAGE_H

#include "softhost/softhost.h"

struct soft_kernel {
    char image[SOFTHOST_PATH];   /* vmlinuz */
    char modules[SOFTHOST_PATH]; /* the folder with modules.dep */
};

/* said, else $HOSPES_SOFT_KERNEL, else the folder guests/ beside this program, else this machine's
 * own /boot and /lib/modules. EX_NO_HOST when there is none that has KVM for AMD. */
MUST int soft_kernel_find(const char *said, struct soft_kernel *out, struct err *e);

/* Writes the initramfs to `path`. */
MUST int soft_image_write(const struct soft_kernel *k, const char *path, struct err *e);

#endif
