/* SPDX-License-Identifier: Apache-2.0 */
/* models.c - the emulated network cards. */
#include "board/nic/nic.h"

extern const struct nic_model nic_e1000, nic_e1000e, nic_rtl8139, nic_dec21140;

const struct nic_model *const nic_models[] = {&nic_e1000, &nic_e1000e, &nic_rtl8139, &nic_dec21140,
                                              NULL};
