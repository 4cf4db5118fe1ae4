/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus.h - routes guest accesses to devices; one bus for ports, one for memory.
 *
 * Lookups take no lock: ports are a flat table, memory is a sorted table that is replaced as a
 * whole when it changes. Claims come from the loop or from a vCPU thread that moves a BAR.
 */
#ifndef HOSPES_BOARD_BUS_H
#define HOSPES_BOARD_BUS_H

#include "board/device.h"

MUST int bus_create(enum bus_kind kind, struct bus **out, struct err *e);
void bus_destroy(struct bus *b);
void bus_set_doorbells(struct bus *b, const struct doorbells *fast);

/* d answers [base, base+len) as its region number `region`; offsets are relative to base.
 * -EEXIST on overlap: the board treats that as a bug, while a BAR that the guest moved onto
 * something else is simply not decoded. -EINVAL when the range wraps or leaves the bus. */
MUST int bus_claim(struct bus *b, uint64_t base, uint64_t len, struct device *d, unsigned region);
/* All claims of d for that region; doorbells inside go with them. */
void bus_release(struct bus *b, struct device *d, unsigned region);

/* A doorbell inside a region of d: a write of `size` bytes (0: any size, memory only) at base+off
 * (with `value` if match) may signal fd instead of calling io(). Takes effect at once when the
 * region is claimed, and again whenever it is. Failure is not an error: io() still works. */
MUST int bus_doorbell(struct bus *b, struct device *d, unsigned region, uint64_t off, unsigned size,
                      bool match, uint64_t value, int fd);
void bus_doorbells_drop(struct bus *b, struct device *d);

/* A guest access. Unclaimed reads give all ones, unclaimed writes are dropped; false tells so.
 * An access that crosses a region's end is split by the caller's hardware rule: bytes. */
bool bus_access(struct bus *b, uint64_t addr, unsigned size, enum access dir, uint64_t *val);

#endif
