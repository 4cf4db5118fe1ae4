/* SPDX-License-Identifier: Apache-2.0 */
/* unit.h - cmocka with the headers that it forgets. */
#ifndef HOSPES_TESTS_UNIT_H
#define HOSPES_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#endif
