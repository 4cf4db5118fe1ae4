/* SPDX-License-Identifier: Apache-2.0 */
/*
 * powercut.h - what the parts of the power-cut test have in common.
 *
 * One log holds, in one order, every change that storage/ makes to files below one folder
 * (record.c) and everything that the client of a disk asks for and is told (powercut.c). cut.c
 * rebuilds the files as a power cut would leave them at a place of the log, and model.c says what a
 * disk may then hold.
 */
#ifndef HOSPES_TESTS_POWERCUT_H
#define HOSPES_TESTS_POWERCUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SECTOR = 512,
    FILES_MAX = 32,
    NAME_LEN = 64,
    OPS_MAX = 4096,
};

/* --- the log --- */

enum event_kind {
    EV_WRITE,    /* data at off begins to go to a file */
    EV_TRUNCATE, /* to len */
    EV_ALLOCATE, /* fallocate() with mode */
    EV_SYNC,
    EV_END,   /* of event `of`, with the result res */
    EV_ISSUE, /* the client asks for op */
    EV_DONE,  /* op is answered, and not durable for that alone */
    EV_FLUSH, /* the client's flush begins */
    EV_FLUSHED,
    EV_FUA, /* op is answered, and durable */
};

struct event {
    enum event_kind kind;
    unsigned file, of, op;
    uint64_t off, len;
    int mode, res;
    uint8_t *data;
};

struct log {
    struct event *v;
    size_t n, room;
    char names[FILES_MAX][NAME_LEN];
    unsigned files;
};
extern struct log the_log;

/* Records what happens below dir from now on; lie: syncs do nothing and are not recorded, though
 * they report success. */
void record_start(const char *dir, bool lie);
void record_stop(void);
void log_clear(void);
/* A client's event, in its place among the others. */
void log_client(enum event_kind kind, unsigned op);
/* From now on no log is kept, but which pieces of the files below dir are changed is. */
void record_changes(const char *dir);
/* Bytes from off on of one of the log's files are about to change. */
void changed(unsigned file, uint64_t off, uint64_t len);
/* The next changed piece of a file at or after *off, forgotten by that; false: no more. */
bool changed_next(unsigned file, uint64_t *off);
enum { PIECE = 16384, PIECES = 8192 }; /* no file may have more */

/* --- the client's operations and what they promise --- */

enum op_kind { OP_WRITE, OP_ZERO, OP_TRIM, OP_FLUSH };

struct op {
    enum op_kind kind;
    uint64_t lba, n;
    bool fua;
};
extern struct op ops[OPS_MAX]; /* by number; 0 is none */

struct model;
struct model *model_create(uint64_t sectors, bool parent);
void model_destroy(struct model *m);
void model_event(struct model *m, const struct event *x);
bool model_touched(const struct model *m, uint64_t lba);
/* Aftermath: n sectors that nobody touched were written with `op` and flushed. */
void model_settle(struct model *m, uint64_t lba, uint64_t n, uint32_t op);
/* That never happened. */
void model_unsettle(struct model *m, uint64_t lba, uint64_t n);
/* May n sectors from lba on hold data (NULL: zeroes)? why: 160 bytes. */
bool model_check(const struct model *m, uint64_t lba, uint64_t n, const uint8_t *data, char *why);

/* What op writes to its sectors; op 0: what the parent holds, zeroes in places. */
void stamp(uint8_t *to, uint64_t lba, uint64_t n, uint32_t op);
enum { OP_PARENT = 1000000, OP_AFTER = 2000000 };
bool parent_has(uint64_t lba); /* its sector is stamped with OP_PARENT */

/* --- cutting --- */

struct row {
    const char *name, *format, *options;
    const char *parent; /* a child of an image of this format, which holds something */
};

struct cut_cfg {
    const struct row *row;
    const char *dir; /* with base/ in it, as it was when the log began */
    uint64_t bytes;
    unsigned points; /* places of the log that are tried; 0: all that differ */
    unsigned aftermath, seed;
    bool verbose;
};
struct cut_result {
    unsigned cuts, bad, repaired;
};
void cut_all(const struct cut_cfg *c, struct cut_result *out);

#endif
