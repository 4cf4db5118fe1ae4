/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.h - a hostile driver for a virtio device: the input is a program of register accesses,
 * ring and memory writes, doorbells and rounds of the loop. No CPU.
 */
#ifndef HOSPES_TESTS_FUZZ_VIRTIO_H
#define HOSPES_TESTS_FUZZ_VIRTIO_H

#include "fakes/fake_env.h"
#include "fuzz.h"
#include "personas/kvm/devices.h"

struct fuzz_virtio {
    struct fake_env f;
    const uint8_t *data; /* what is left of the input */
    size_t size;
    uint64_t bar[6];
    void *back; /* the target's own */
};

struct fuzz_virtio_target {
    unsigned queues;
    void (*create)(struct fuzz_virtio *z, const struct virtio_options *o);
    /* Something happens behind the device; takes its parameters from the input. */
    void (*event)(struct fuzz_virtio *z);
    void (*let_go)(struct fuzz_virtio *z);     /* of requests held back; may be NULL */
    void (*before_end)(struct fuzz_virtio *z); /* the device still lives; may be NULL */
};

uint64_t fuzz_take(struct fuzz_virtio *z, unsigned bytes); /* 0 past the end */
void fuzz_virtio(const struct fuzz_virtio_target *t, const uint8_t *data, size_t size);

#endif
