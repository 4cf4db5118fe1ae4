/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - what the image formats share, and their names for table.c.
 */
#ifndef HOSPES_STORAGE_FORMAT_FORMAT_H
#define HOSPES_STORAGE_FORMAT_FORMAT_H

#include "storage/disk.h"

extern const struct format_ops parallels_format;
extern const struct format_ops qcow2_format;
extern const struct format_ops qcow_format;
extern const struct format_ops qed_format;
extern const struct format_ops raw_format;
extern const struct format_ops vdi_format;
extern const struct format_ops vhd_format;
extern const struct format_ops vhdx_format;
extern const struct format_ops vmdk_format;
extern const struct format_ops xva_format;

/* The format that c names, or else the one that the file's content shows. */
MUST int format_choose(struct disk *file, const struct disk_cfg *c, const struct format_ops **out,
                       struct err *e);

#endif
