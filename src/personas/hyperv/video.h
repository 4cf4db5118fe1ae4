/* SPDX-License-Identifier: Apache-2.0 */
/* video.h - Hyper-V's synthetic video: a frame buffer in the bus's memory window. */
#ifndef HOSPES_PERSONAS_HYPERV_VIDEO_H
#define HOSPES_PERSONAS_HYPERV_VIDEO_H

#include "vmbus.h"

struct hub;
struct video;

/* [base, base+size): where a guest may put the frame buffer. hub may be NULL: nobody looks. */
MUST int video_create(struct vmbus *b, struct hub *hub, gpa_t base, uint64_t size,
                      struct video **out, struct err *e);
void video_destroy(struct video *v); /* NULL is fine; the bus still stands */

#endif
