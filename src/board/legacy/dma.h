/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dma.h - the PC's two DMA controllers, for devices of the ISA bus. Any thread.
 */
#ifndef HOSPES_BOARD_LEGACY_DMA_H
#define HOSPES_BOARD_LEGACY_DMA_H

#include "board/device.h"

MUST int dma_create(const struct env *env, struct device **out, struct err *e);

/* Bytes that channel 0 to 3 still wants to move in that direction; 0 while it is masked. */
size_t dma_wanted(struct device *d, unsigned channel, bool to_memory);
/* Moves up to n bytes as the guest has programmed the channel; returns how many. *end: the count
 * ran out with them. What leads outside memory counts as moved. */
size_t dma_move(struct device *d, unsigned channel, void *buf, size_t n, bool to_memory, bool *end);

#endif
