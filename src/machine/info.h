/* SPDX-License-Identifier: Apache-2.0 */
/* info.h - the JSON that info_text() and its kind fill; for control.c only. */
#ifndef HOSPES_MACHINE_INFO_H
#define HOSPES_MACHINE_INFO_H

#include "board/device.h"
#include "machine/control.h"

struct info {
    struct dump dump; /* of the current part */
    struct json_object *top, *part;
};

/* A key that is there already gets a number behind it. */
void info_add(struct dump *d, const char *key, const char *value);

#endif
