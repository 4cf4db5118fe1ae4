/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db.h - the few things that the catalogue's index wants of a database: SQLite by default,
 * PostgreSQL where many read at once.
 *
 * The SQL is the part that both understand. Parameters are $1, $2, ... in order of their first use,
 * and texts; a number in a text is as good. One thread per database.
 */
#ifndef HOSPES_CATALOGUE_DB_H
#define HOSPES_CATALOGUE_DB_H

#include "core/core.h"

struct db;

/* Called for each row; value[i] is NULL for NULL. Nonzero ends the query and is returned by it. */
typedef int db_row_fn(void *arg, const char *const *value, unsigned columns);

enum { DB_BEGIN = 2, DB_GUARD = 200 };

struct db_ops {
    const char *name;
    const char *by_bytes; /* behind a text in ORDER BY: in the order of strcmp() */
    /* Statements that begin a transaction which one writer has at a time; NULL behind the last. */
    const char *begin[DB_BEGIN];
    /* The statement after which each `event` (INSERT, UPDATE, DELETE) on `table` empties the table
     * `state`. out is not cut short. */
    void (*guard)(const char *table, const char *event, char out[DB_GUARD]);
    MUST int (*open)(const char *where, struct db **out, struct err *e);
    void (*close)(struct db *d);
    /* Runs one statement. The same text is prepared once as long as it is used again and again. fn
     * may be NULL. 0, what fn returned, or -errno with e. */
    MUST int (*run)(struct db *d, const char *sql, const char *const *param, unsigned params,
                    db_row_fn *fn, void *arg, struct err *e);
};

struct db {
    const struct db_ops *ops;
};

extern const struct db_ops db_sqlite, db_postgres;

/* "postgresql://..." or a file. */
MUST int db_open(const char *where, struct db **out, struct err *e);
void db_close(struct db *d); /* NULL is fine */
MUST int db_run(struct db *d, const char *sql, const char *const *param, unsigned params,
                db_row_fn *fn, void *arg, struct err *e);

#endif
