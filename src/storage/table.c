/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - every image format. */
#include "storage/format/format.h"

const struct format_ops *const formats[] = {
    &raw_format, &qcow2_format,     &vhd_format,  &vhdx_format, &vdi_format, &qcow_format,
    &qed_format, &parallels_format, &vmdk_format, &xva_format,  NULL,
};
