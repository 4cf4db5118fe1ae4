/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - results for other programs: JUnit XML as CI systems read it, and TAP version 13. */
#ifndef HOSPES_VALIDATION_REPORT_H
#define HOSPES_VALIDATION_REPORT_H

#include "core/core.h"
#include "validation/record.h"
#include "validation/text.h"

void report_junit(const struct vrecord *r, size_t n, struct vbuf *out);
void report_tap(const struct vrecord *r, size_t n, struct vbuf *out);

/* "12 checks: 11 PASS, 1 SKIP" */
void report_counts(const struct vrecord *r, struct vbuf *out);

#endif
