/* SPDX-License-Identifier: Apache-2.0 */
/* faults.h - who is told what is wrong with a catalogue, and how much there was. */
#ifndef HOSPES_CATALOGUE_FAULTS_H
#define HOSPES_CATALOGUE_FAULTS_H

#include "core/core.h"

struct faults {
    void (*each)(void *arg, const char *fault); /* a sentence each */
    void *arg;
    int count;
};

void faults_add(struct faults *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
