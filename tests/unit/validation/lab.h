/* SPDX-License-Identifier: Apache-2.0 */
/* lab.h - a results folder that a plan on fake machines filled. */
#ifndef HOSPES_TESTS_LAB_H
#define HOSPES_TESTS_LAB_H

#include "validation/runner.h"
#include "validation/text.h"

struct lab {
    char dir[256], out[300], suite[300], plan_path[300];
    struct vplan plan;
    struct vfacts host;
    struct runner_cfg cfg;
};

/* suite: its text, NULL for lab_suite; lines: more of the plan. */
void lab_open(struct lab *l, const char *suite, const char *lines);
void lab_close(struct lab *l);
/* Runs cell i; r is the caller's to free. */
void lab_run(struct lab *l, size_t i, struct vrecord *r);
extern const char lab_suite[];

#endif
