/* SPDX-License-Identifier: Apache-2.0 */
/* db_postgres.c - PostgreSQL behind db.h, by libpq. */
#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/db.h"
#include "core/err.h"

enum { PG_COLUMNS = 64 };

struct postgres {
    struct db d; /* first */
    PGconn *c;
    char *last; /* the statement that is prepared under the name "s" */
};

static struct postgres *postgres_of(struct db *d)
{
    return container_of(d, struct postgres, d);
}

/* libpq's messages end in a line feed. */
static int postgres_error(struct postgres *q, const char *text, struct err *e)
{
    int n = (int)strcspn(text, "\n");

    return err_set(e, PQstatus(q->c) == CONNECTION_OK ? EIO : EHOSTUNREACH,
                   "the catalogue's index in PostgreSQL: %.*s", n > 200 ? 200 : n, text);
}

static void postgres_close(struct db *d)
{
    struct postgres *q = postgres_of(d);

    PQfinish(q->c);
    free(q->last);
    free(q);
}

static int postgres_open(const char *where, struct db **out, struct err *e)
{
    struct postgres *q = calloc(1, sizeof(*q));
    int rc;

    if (!q)
        return err_set(e, ENOMEM, "no memory for the catalogue's index");
    q->d.ops = &db_postgres;
    q->c = PQconnectdb(where);
    if (!q->c || PQstatus(q->c) != CONNECTION_OK) {
        rc = postgres_error(q, q->c ? PQerrorMessage(q->c) : "no memory", e);
        postgres_close(&q->d);
        return rc;
    }
    *out = &q->d;
    return 0;
}

static int postgres_prepare(struct postgres *q, const char *sql, struct err *e)
{
    PGresult *r;
    int rc = 0;

    if (q->last && strcmp(q->last, sql) == 0)
        return 0;
    free(q->last);
    q->last = NULL;
    PQclear(PQexec(q->c, "DEALLOCATE ALL"));
    r = PQprepare(q->c, "s", sql, 0, NULL);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        rc = postgres_error(q, PQresultErrorMessage(r), e);
    else
        q->last = strdup(sql);
    PQclear(r);
    return rc;
}

static int postgres_rows(PGresult *r, db_row_fn *fn, void *arg)
{
    const char *value[PG_COLUMNS];
    unsigned columns = (unsigned)PQnfields(r);
    int rc = 0;

    if (columns > PG_COLUMNS)
        columns = PG_COLUMNS;
    for (int row = 0; fn && rc == 0 && row < PQntuples(r); row++) {
        for (unsigned i = 0; i < columns; i++)
            value[i] = PQgetisnull(r, row, (int)i) ? NULL : PQgetvalue(r, row, (int)i);
        rc = fn(arg, value, columns);
    }
    return rc;
}

static int postgres_run(struct db *d, const char *sql, const char *const *param, unsigned params,
                        db_row_fn *fn, void *arg, struct err *e)
{
    struct postgres *q = postgres_of(d);
    int rc = postgres_prepare(q, sql, e);
    ExecStatusType status;
    PGresult *r;

    if (rc < 0)
        return rc;
    r = PQexecPrepared(q->c, "s", (int)params, param, NULL, NULL, 0);
    status = PQresultStatus(r);
    if (status == PGRES_TUPLES_OK)
        rc = postgres_rows(r, fn, arg);
    else if (status != PGRES_COMMAND_OK)
        rc = postgres_error(q, PQresultErrorMessage(r), e);
    PQclear(r);
    return rc;
}

const struct db_ops db_postgres = {
    .name = "PostgreSQL", .open = postgres_open, .close = postgres_close, .run = postgres_run};
