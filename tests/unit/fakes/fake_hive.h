/* SPDX-License-Identifier: Apache-2.0 */
/* fake_hive.h - writes a SYSTEM hive of Windows, by hivex. */
#ifndef HOSPES_TESTS_FAKE_HIVE_H
#define HOSPES_TESTS_FAKE_HIVE_H

/* services: "storvsc=0", or "pvscsi=0/3" with a StartOverride of 3; NULL at the end. 0 or -1. */
int fake_hive(const char *path, const char *const *services);

#endif
