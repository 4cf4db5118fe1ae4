/* SPDX-License-Identifier: Apache-2.0 */
/* hyperv.h - a guest on VMBus that does what the input says: messages, packets, indices, memory. */
#ifndef HOSPES_TESTS_FUZZ_HYPERV_H
#define HOSPES_TESTS_FUZZ_HYPERV_H

#include "fuzz.h"
#include "hyperv/hvguest.h"

struct fuzz_hyperv {
    struct hvguest g;
    const uint8_t *data;
    size_t size;
    unsigned channels; /* open ones */
    uint32_t relid[16];
};

/* Contact, offers, and every offered channel open. The device is on the bus already. */
void fuzz_hyperv_start(struct fuzz_hyperv *z, const uint8_t *data, size_t size);
/* Plays the input to its end. */
void fuzz_hyperv_play(struct fuzz_hyperv *z);
void fuzz_hyperv_run(struct fuzz_hyperv *z);

#endif
