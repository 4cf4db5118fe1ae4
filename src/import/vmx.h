/* SPDX-License-Identifier: Apache-2.0 */
/* vmx.h - what reading and writing a .vmx share. */
#ifndef HOSPES_IMPORT_VMX_H
#define HOSPES_IMPORT_VMX_H

#include "core/core.h"

/* Do guests of that hardware version ("vmx-13") print the first three fields of uuid.bios in the
 * other byte order? */
bool vmx_swaps_uuid(const char *hardware);

#endif
