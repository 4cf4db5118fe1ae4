/* SPDX-License-Identifier: Apache-2.0 */
/* validate.h - what the parts of `hospes validate` have in common. */
#ifndef HOSPES_CLI_VALIDATE_H
#define HOSPES_CLI_VALIDATE_H

#include "cli/cli.h"
#include "validation/key.h"
#include "validation/runner.h"

enum { VALIDATE_KEYS = 16, VALIDATE_ERROR = 2 };

struct validate_args {
    const char *out, *bundle, *host, *control, *trust, *role, *base, *cell;
    const char *key[VALIDATE_KEYS];
    size_t keys;
    unsigned jobs; /* 0: decide */
    bool again, json, suites;
    bool soft;             /* cells run in software hosts; see validate_soft() */
    const char *suite_dir; /* of vplan_read() */
};

/* Rows of option tables. */
int validate_set_out(void *arg, const char *value, struct err *e);
int validate_set_bundle(void *arg, const char *value, struct err *e);
int validate_set_host(void *arg, const char *value, struct err *e);
int validate_set_control(void *arg, const char *value, struct err *e);
int validate_set_trust(void *arg, const char *value, struct err *e);
int validate_set_role(void *arg, const char *value, struct err *e);
int validate_set_base(void *arg, const char *value, struct err *e);
int validate_set_cell(void *arg, const char *value, struct err *e);
int validate_set_suite_dir(void *arg, const char *value, struct err *e);
int validate_set_key(void *arg, const char *value, struct err *e);
int validate_set_jobs(void *arg, const char *value, struct err *e);
int validate_set_again(void *arg, const char *value, struct err *e);
int validate_set_json(void *arg, const char *value, struct err *e);
int validate_set_suites(void *arg, const char *value, struct err *e);

/* Parses; wants between least and most operands, which stand in argv from 1 on, with NULL behind
 * them. 1: help was printed. */
MUST int validate_parse(const struct cli_command *c, int argc, char **argv, struct validate_args *a,
                        int least, int most, struct err *e);

/* Everything that running cells needs; freed by validate_job_free(). */
struct validate_job {
    struct vplan plan;
    struct vfacts host;
    struct runner_cfg cfg;
    char self[4096], out[1024], command[1200];
};
/* path: of the plan. Opens the results folder. */
MUST int validate_job_open(struct validate_job *j, const struct validate_args *a, const char *path,
                           struct err *e);
void validate_job_free(struct validate_job *j);
/* Runs all cells, `jobs` at a time, with progress on a terminal; returns the exit code. */
MUST int validate_run_cells(struct validate_job *j, const struct validate_args *a, struct err *e);
/* Does it take a software host to run guests? Says why, once. */
bool validate_soft(const struct validate_args *a);

/* Packs and signs out with the keys of a; tells where. */
MUST int validate_bundle(const struct validate_args *a, const char *out, struct err *e);
/* One line per cell, then a sum. */
void validate_table(const struct vrecord *r, size_t n, bool json);
/* The exit code of many. */
int validate_exit(const struct vrecord *r, size_t n);

extern const struct cli_command validate_plan, validate_run, validate_run_cell, validate_collect,
    validate_show, validate_replay, validate_contract, validate_key, validate_countersign,
    validate_verify;

#endif
