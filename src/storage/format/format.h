/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - what the image formats share, and their names for table.c.
 */
#ifndef HOSPES_STORAGE_FORMAT_FORMAT_H
#define HOSPES_STORAGE_FORMAT_FORMAT_H

#include "storage/disk.h"

extern const struct format_ops qcow2_format;
extern const struct format_ops raw_format;
extern const struct format_ops vhd_format;

#endif
