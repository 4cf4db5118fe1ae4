/* SPDX-License-Identifier: Apache-2.0 */
/* db.c - SQLite, and the choice between the two; see db.h. */
#include "catalogue/db.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/dl.h"
#include "core/err.h"

enum { DB_KEPT = 4, DB_COLUMNS = 64, DB_BUSY_MS = 10000 };

/* Loaded when it is first used: see core/dl.h. */
DL_DECLARE(sqlite3_bind_text);
DL_DECLARE(sqlite3_busy_timeout);
DL_DECLARE(sqlite3_close);
DL_DECLARE(sqlite3_column_count);
DL_DECLARE(sqlite3_column_text);
DL_DECLARE(sqlite3_errcode);
DL_DECLARE(sqlite3_errmsg);
DL_DECLARE(sqlite3_finalize);
DL_DECLARE(sqlite3_open);
DL_DECLARE(sqlite3_prepare_v2);
DL_DECLARE(sqlite3_reset);
DL_DECLARE(sqlite3_sql);
DL_DECLARE(sqlite3_step);
static const struct dl_symbol libsqlite3[] = {
    DL_SYMBOL(sqlite3_bind_text),   DL_SYMBOL(sqlite3_busy_timeout),
    DL_SYMBOL(sqlite3_close),       DL_SYMBOL(sqlite3_column_count),
    DL_SYMBOL(sqlite3_column_text), DL_SYMBOL(sqlite3_errcode),
    DL_SYMBOL(sqlite3_errmsg),      DL_SYMBOL(sqlite3_finalize),
    DL_SYMBOL(sqlite3_open),        DL_SYMBOL(sqlite3_prepare_v2),
    DL_SYMBOL(sqlite3_reset),       DL_SYMBOL(sqlite3_sql),
    DL_SYMBOL(sqlite3_step),        {NULL, NULL},
};
#define sqlite3_bind_text dl_sqlite3_bind_text
#define sqlite3_busy_timeout dl_sqlite3_busy_timeout
#define sqlite3_close dl_sqlite3_close
#define sqlite3_column_count dl_sqlite3_column_count
#define sqlite3_column_text dl_sqlite3_column_text
#define sqlite3_errcode dl_sqlite3_errcode
#define sqlite3_errmsg dl_sqlite3_errmsg
#define sqlite3_finalize dl_sqlite3_finalize
#define sqlite3_open dl_sqlite3_open
#define sqlite3_prepare_v2 dl_sqlite3_prepare_v2
#define sqlite3_reset dl_sqlite3_reset
#define sqlite3_sql dl_sqlite3_sql
#define sqlite3_step dl_sqlite3_step

struct sqlite {
    struct db d; /* first */
    sqlite3 *s;
    char *where;
    sqlite3_stmt *last;          /* that runs now */
    sqlite3_stmt *kept[DB_KEPT]; /* that ran before, by turns */
    unsigned turn;
};

static struct sqlite *sqlite_of(struct db *d)
{
    return container_of(d, struct sqlite, d);
}

static int sqlite_error(struct sqlite *q, struct err *e)
{
    static const struct {
        int code, is;
        const char *advice;
    } known[] = {
        {SQLITE_FULL, ENOSPC, "; make room there"},
        {SQLITE_BUSY, EBUSY, "; try again when the other process is done"},
        {SQLITE_NOTADB, EIO, "; delete the file, it is made again"},
        {SQLITE_CORRUPT, EIO, "; delete the file, it is made again"},
        {SQLITE_ERROR, EIO, "; delete the file, it is made again"}, /* other tables than ours */
    };
    int code = sqlite3_errcode(q->s);
    const char *text = sqlite3_errmsg(q->s);

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (code == known[i].code)
            return err_set(e, known[i].is, "the index %s: %s%s", q->where, text, known[i].advice);
    }
    return err_set(e, EIO, "the index %s: %s", q->where, text);
}

static void sqlite_db_close(struct db *d)
{
    struct sqlite *q = sqlite_of(d);

    for (unsigned i = 0; i < DB_KEPT; i++)
        sqlite3_finalize(q->kept[i]);
    sqlite3_close(q->s);
    free(q->where);
    free(q);
}

static int sqlite_db_open(const char *where, struct db **out, struct err *e)
{
    int rc = dl_load("libsqlite3.so.0", "libsqlite3-0", libsqlite3, e);
    struct sqlite *q = rc < 0 ? NULL : calloc(1, sizeof(*q));

    if (rc < 0)
        return rc;
    if (q)
        q->where = strdup(where);
    if (!q || !q->where) {
        free(q);
        return err_set(e, ENOMEM, "no memory for the catalogue's index");
    }
    q->d.ops = &db_sqlite;
    if (sqlite3_open(where, &q->s) != SQLITE_OK) {
        rc = err_set(e, EIO, "cannot open the index %s: %s", where,
                     q->s ? sqlite3_errmsg(q->s) : "no memory");

        sqlite_db_close(&q->d);
        return rc;
    }
    sqlite3_busy_timeout(q->s, DB_BUSY_MS);
    *out = &q->d;
    return 0;
}

static int sqlite_prepare(struct sqlite *q, const char *sql, struct err *e)
{
    sqlite3_stmt **slot;

    for (unsigned i = 0; i < DB_KEPT; i++) {
        if (q->kept[i] && strcmp(sqlite3_sql(q->kept[i]), sql) == 0) {
            q->last = q->kept[i];
            return 0;
        }
    }
    slot = &q->kept[q->turn++ % DB_KEPT];
    sqlite3_finalize(*slot);
    *slot = q->last = NULL;
    if (sqlite3_prepare_v2(q->s, sql, -1, slot, NULL) != SQLITE_OK)
        return sqlite_error(q, e);
    q->last = *slot;
    return 0;
}

static int sqlite_run(struct db *d, const char *sql, const char *const *param, unsigned params,
                      db_row_fn *fn, void *arg, struct err *e)
{
    struct sqlite *q = sqlite_of(d);
    const char *value[DB_COLUMNS];
    int rc = sqlite_prepare(q, sql, e), step;

    for (unsigned i = 0; rc == 0 && i < params; i++) {
        if (sqlite3_bind_text(q->last, (int)i + 1, param[i], -1, SQLITE_TRANSIENT) != SQLITE_OK)
            rc = sqlite_error(q, e);
    }
    while (rc == 0 && (step = sqlite3_step(q->last)) != SQLITE_DONE) {
        unsigned n = (unsigned)sqlite3_column_count(q->last);

        if (step != SQLITE_ROW) {
            rc = sqlite_error(q, e);
            break;
        }
        if (n > DB_COLUMNS)
            n = DB_COLUMNS;
        for (unsigned i = 0; i < n; i++)
            value[i] = (const char *)sqlite3_column_text(q->last, (int)i);
        if (fn)
            rc = fn(arg, value, n);
    }
    if (q->last)
        sqlite3_reset(q->last);
    return rc;
}

static void sqlite_guard(const char *table, const char *event, char out[DB_GUARD])
{
    snprintf(out, DB_GUARD,
             "CREATE TRIGGER %.16s_%.16s AFTER %.16s ON %.16s BEGIN DELETE FROM state; END", table,
             event, event, table);
}

const struct db_ops db_sqlite = {
    .name = "SQLite",
    .by_bytes = "",
    .begin = {"BEGIN IMMEDIATE"},
    .guard = sqlite_guard,
    .open = sqlite_db_open,
    .close = sqlite_db_close,
    .run = sqlite_run,
};

int db_open(const char *where, struct db **out, struct err *e)
{
    bool pg = strncmp(where, "postgresql://", 13) == 0 || strncmp(where, "postgres://", 11) == 0;

    return (pg ? &db_postgres : &db_sqlite)->open(where, out, e);
}

void db_close(struct db *d)
{
    if (d)
        d->ops->close(d);
}

int db_run(struct db *d, const char *sql, const char *const *param, unsigned params, db_row_fn *fn,
           void *arg, struct err *e)
{
    return d->ops->run(d, sql, param, params, fn, arg, e);
}
