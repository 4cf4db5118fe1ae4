/* SPDX-License-Identifier: Apache-2.0 */
/* ovf_env.h - the environment that a machine from an OVF asks for: the values of its properties. */
#ifndef HOSPES_IMPORT_OVF_ENV_H
#define HOSPES_IMPORT_OVF_ENV_H

#include "import/ovf.h"

/* Makes guestinfo.ovfEnv (DSP0243, annex on the OVF environment) from the properties' defaults when
 * the machine wants it by VMware's channel, and tells of every property. */
void ovf_environment(struct ovf *o);

#endif
