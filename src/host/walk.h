/* SPDX-License-Identifier: Apache-2.0 */
/* walk.h - page tables of 64-bit guests, read where KVM would have to be asked. */
#ifndef HOSPES_HOST_WALK_H
#define HOSPES_HOST_WALK_H

#include "core/gmem.h"

/* Guest-virtual to guest-physical in long mode, by the tables at cr3, five levels of them with
 * la57. What the entries permit is not looked at. 0; -EFAULT: not present, or not canonical. Any
 * thread; the guest may change its tables meanwhile, and gets the old or the new address. */
MUST int walk_long(struct gmem *m, uint64_t cr3, bool la57, uint64_t va, gpa_t *out);

#endif
