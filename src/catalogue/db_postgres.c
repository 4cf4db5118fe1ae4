/* SPDX-License-Identifier: Apache-2.0 */
/* db_postgres.c - PostgreSQL behind db.h, by libpq. */
#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/db.h"
#include "core/dl.h"
#include "core/err.h"

enum { PG_COLUMNS = 64 };

/* Loaded when it is first used: see core/dl.h. */
DL_DECLARE(PQclear);
DL_DECLARE(PQconnectdb);
DL_DECLARE(PQerrorMessage);
DL_DECLARE(PQexec);
DL_DECLARE(PQexecPrepared);
DL_DECLARE(PQfinish);
DL_DECLARE(PQgetisnull);
DL_DECLARE(PQgetvalue);
DL_DECLARE(PQnfields);
DL_DECLARE(PQntuples);
DL_DECLARE(PQprepare);
DL_DECLARE(PQresultErrorMessage);
DL_DECLARE(PQresultStatus);
DL_DECLARE(PQstatus);
static const struct dl_symbol libpq[] = {
    DL_SYMBOL(PQclear),        DL_SYMBOL(PQconnectdb),    DL_SYMBOL(PQerrorMessage),
    DL_SYMBOL(PQexec),         DL_SYMBOL(PQexecPrepared), DL_SYMBOL(PQfinish),
    DL_SYMBOL(PQgetisnull),    DL_SYMBOL(PQgetvalue),     DL_SYMBOL(PQnfields),
    DL_SYMBOL(PQntuples),      DL_SYMBOL(PQprepare),      DL_SYMBOL(PQresultErrorMessage),
    DL_SYMBOL(PQresultStatus), DL_SYMBOL(PQstatus),       {NULL, NULL},
};
#define PQclear dl_PQclear
#define PQconnectdb dl_PQconnectdb
#define PQerrorMessage dl_PQerrorMessage
#define PQexec dl_PQexec
#define PQexecPrepared dl_PQexecPrepared
#define PQfinish dl_PQfinish
#define PQgetisnull dl_PQgetisnull
#define PQgetvalue dl_PQgetvalue
#define PQnfields dl_PQnfields
#define PQntuples dl_PQntuples
#define PQprepare dl_PQprepare
#define PQresultErrorMessage dl_PQresultErrorMessage
#define PQresultStatus dl_PQresultStatus
#define PQstatus dl_PQstatus

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
    int rc = dl_load("libpq.so.5", "libpq5", libpq, e);
    struct postgres *q = rc < 0 ? NULL : calloc(1, sizeof(*q));

    if (rc < 0)
        return rc;
    if (!q)
        return err_set(e, ENOMEM, "no memory for the catalogue's index");
    q->d.ops = &db_postgres;
    q->c = PQconnectdb(where);
    if (!q->c || PQstatus(q->c) != CONNECTION_OK) {
        rc = postgres_error(q, q->c ? PQerrorMessage(q->c) : "no memory", e);
        postgres_close(&q->d);
        return rc;
    }
    /* "relation exists already" is what IF NOT EXISTS is for. */
    PQclear(PQexec(q->c, "SET client_min_messages TO warning"));
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

static void postgres_guard(const char *table, const char *event, char out[DB_GUARD])
{
    snprintf(out, DB_GUARD,
             "CREATE RULE %.16s_%.16s AS ON %.16s TO %.16s DO ALSO DELETE FROM state", table, event,
             event, table);
}

const struct db_ops db_postgres = {
    .name = "PostgreSQL",
    .by_bytes = " COLLATE \"C\"",
    /* The number is ours; it stands for the tables of this module, made or not. */
    .begin = {"BEGIN", "SELECT pg_advisory_xact_lock(7305512348)"},
    .guard = postgres_guard,
    .open = postgres_open,
    .close = postgres_close,
    .run = postgres_run,
};
