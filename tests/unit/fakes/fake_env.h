/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_env.h - all that a device is given, with no KVM and no CPU: the test plays the guest.
 *
 * RAM lies at 0; the clock stands still until fake_env_advance(); doorbells are kept and rung by
 * fake_env_write() and fake_env_out() as the host kernel would.
 */
#ifndef HOSPES_TESTS_FAKE_ENV_H
#define HOSPES_TESTS_FAKE_ENV_H

#include "board/bus.h"
#include "board/device.h"
#include "board/pci.h"
#include "fakes/fake_irqs.h"

enum { FAKE_BELLS = 512 };

struct fake_bell {
    bool used, match;
    enum bus_kind kind;
    uint64_t addr, value;
    unsigned size;
    int fd;
};

struct fake_env {
    struct env env; /* env.id is "dut" */
    struct fake_irqs irqs;
    struct doorbells doorbells;
    struct fake_bell bell[FAKE_BELLS];
};

/* ram: bytes, a multiple of 4 KiB. Fails the test when it cannot. PCI windows as on the board. */
void fake_env_create(struct fake_env *f, uint64_t ram);
/* Destroys the PCI functions too. Fails the test when an interrupt was not released. */
void fake_env_destroy(struct fake_env *f);

/* From now on writes to a doorbell signal its fd instead of calling io(). Off at first. */
void fake_env_use_doorbells(struct fake_env *f);

/* Serves the loop until nothing is left to do. */
void fake_env_run(struct fake_env *f);
void fake_env_advance(struct fake_env *f, uint64_t ns);

/* Guest accesses. */
uint64_t fake_env_in(struct fake_env *f, uint64_t port, unsigned size);
void fake_env_out(struct fake_env *f, uint64_t port, unsigned size, uint64_t v);
uint64_t fake_env_read(struct fake_env *f, uint64_t addr, unsigned size);
void fake_env_write(struct fake_env *f, uint64_t addr, unsigned size, uint64_t v);

#endif
