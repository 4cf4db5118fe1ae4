/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h - what every fuzz target defines. Input is hostile; nothing may crash, hang or leak. */
#ifndef HOSPES_TESTS_FUZZ_FUZZ_H
#define HOSPES_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0. Must leave nothing behind: one process makes millions of calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
