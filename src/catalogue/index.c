/* SPDX-License-Identifier: Apache-2.0 */
/* index.c - tables of claims and notes; see index.h. */
#include "catalogue/index.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalogue/db.h"
#include "catalogue/faults.h"
#include "core/err.h"
#include "validation/key.h"
#include "validation/text.h"

enum { HOSTS_MAX = 256, SCHEMA = 3, COLUMNS = 28, WORDS_MAX = 8, NUMBER_TEXT = 24 };

struct index {
    const struct store *s;
    struct db *db;
    struct note *note;
    size_t notes;
    struct {
        char *name, newest[64];
    } host[HOSTS_MAX];
    size_t hosts;
    bool remade;
};

/* --- the tables --- */

static const char *const schema[] = {
    "CREATE TABLE IF NOT EXISTS state (schema INTEGER, n INTEGER, link TEXT)",
    ("CREATE TABLE IF NOT EXISTS claims (n INTEGER PRIMARY KEY, sha256 TEXT, kind INTEGER, "
     "made TEXT, signer TEXT, who TEXT, host TEXT, host_version TEXT, guest_name TEXT, "
     "guest_version TEXT, arch TEXT, persona TEXT, firmware TEXT, level INTEGER, maturity INTEGER, "
     "cpus BIGINT, memory BIGINT, owner INTEGER, preview INTEGER, verdict INTEGER, "
     "validated INTEGER, bundle TEXT, cell TEXT, record TEXT, evidence TEXT, notes TEXT, "
     "search TEXT, spare TEXT)"),
    "CREATE TABLE IF NOT EXISTS notes (n INTEGER PRIMARY KEY)",
    /* What a question is matched against, and what every one needs: small beside the claims. */
    "CREATE TABLE IF NOT EXISTS guests (search TEXT PRIMARY KEY)",
    ("CREATE TABLE IF NOT EXISTS hosts (host TEXT, host_version TEXT, "
     "PRIMARY KEY (host, host_version))"),
    "CREATE INDEX IF NOT EXISTS claims_by_guest ON claims (search, persona)",
};

static const char insert_claim[] =
    "INSERT INTO claims VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, "
    "$16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)";

static const char insert_guest[] = "INSERT INTO guests SELECT CAST($1 AS TEXT) WHERE NOT EXISTS "
                                   "(SELECT 1 FROM guests WHERE search = CAST($1 AS TEXT))";
static const char insert_host[] =
    "INSERT INTO hosts SELECT CAST($1 AS TEXT), CAST($2 AS TEXT) WHERE NOT EXISTS "
    "(SELECT 1 FROM hosts WHERE host = CAST($1 AS TEXT) AND host_version = CAST($2 AS TEXT))";

static int run(struct index *ix, const char *sql, struct err *e)
{
    return db_run(ix->db, sql, NULL, 0, NULL, NULL, e);
}

static const char *number(char text[NUMBER_TEXT], uint64_t v)
{
    snprintf(text, NUMBER_TEXT, "%llu", (unsigned long long)v);
    return text;
}

static const char *fact(const struct vfacts *f, const char *key)
{
    const char *v = vfacts_get(f, key);

    return v ? v : "";
}

/* "VENDOR PRODUCT EDITION", the vendor left out where the product begins with it. */
static void full_name(char *out, size_t room, const struct vfacts *f)
{
    const char *vendor = fact(f, "vendor"), *product = fact(f, "product");
    const char *edition = fact(f, "edition");
    bool twice = strncmp(product, vendor, strlen(vendor)) == 0;

    snprintf(out, room, "%s%s%s%s%s", twice ? "" : vendor, twice ? "" : " ", product,
             *edition ? " " : "", edition);
}

static void evidence_text(const struct claim *c, char *out, size_t room)
{
    out[0] = '\0';
    if (c->kind == CLAIM_INHERITED)
        snprintf(out, room, "%s (from %.16s)", c->rule, c->from);
    else if (c->kind == CLAIM_VENDOR_STATED)
        snprintf(out, room, "\"%s\" (%s, seen %s)", c->quote, c->url, c->seen);
    else if (c->kind == CLAIM_PLANNED)
        snprintf(out, room, "for %s", c->planned_for);
}

static void lower(char *text)
{
    for (; *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

static int add_claim(struct index *ix, const struct entry *x, struct err *e)
{
    const struct claim *c = &x->claim;
    char host[512], guest[512], evidence[2048], search[1024], notes[1024] = "";
    char t[9][NUMBER_TEXT];
    size_t at = 0;
    int rc;

    full_name(host, sizeof(host), &c->host);
    full_name(guest, sizeof(guest), &c->guest);
    evidence_text(c, evidence, sizeof(evidence));
    snprintf(search, sizeof(search), "%s %s %s", guest, fact(&c->guest, "version"),
             fact(&c->guest, "arch"));
    lower(search);
    for (size_t i = 0; i < c->notes && at < sizeof(notes); i++)
        at += (size_t)snprintf(notes + at, sizeof(notes) - at, "%s%s", i ? " " : "", c->note[i]);
    {
        const char *param[COLUMNS] = {number(t[0], x->n),
                                      x->sha256,
                                      number(t[1], c->kind),
                                      c->made,
                                      x->signer,
                                      x->who,
                                      host,
                                      fact(&c->host, "version"),
                                      guest,
                                      fact(&c->guest, "version"),
                                      fact(&c->guest, "arch"),
                                      c->persona,
                                      c->firmware,
                                      number(t[2], c->level),
                                      number(t[3], c->maturity),
                                      number(t[4], c->max_cpus),
                                      number(t[5], c->max_memory),
                                      number(t[6], c->owner),
                                      c->preview ? "1" : "0",
                                      number(t[7], c->verdict),
                                      c->validated ? "1" : "0",
                                      c->bundle,
                                      c->cell ? c->cell : "",
                                      c->record,
                                      evidence,
                                      notes,
                                      search,
                                      ""};

        rc = db_run(ix->db, insert_claim, param, COLUMNS, NULL, NULL, e);
    }
    if (rc == 0) {
        const char *param[] = {search};

        rc = db_run(ix->db, insert_guest, param, 1, NULL, NULL, e);
    }
    if (rc == 0 && c->kind == CLAIM_TESTED) {
        const char *param[] = {host, fact(&c->host, "version")};

        rc = db_run(ix->db, insert_host, param, 2, NULL, NULL, e);
    }
    return rc;
}

static int add_entry(struct index *ix, uint32_t n, struct err *e)
{
    char text[NUMBER_TEXT];
    struct entry x;
    int rc = store_read(ix->s, n, &x, e);

    if (rc < 0)
        return rc;
    if (x.is_note) {
        const char *param[] = {number(text, n)};

        rc = db_run(ix->db, "INSERT INTO notes VALUES ($1)", param, 1, NULL, NULL, e);
    } else {
        rc = add_claim(ix, &x, e);
    }
    entry_free(&x);
    return rc;
}

/* --- what it rests on --- */

struct state {
    unsigned rows, schema;
    uint32_t n;
    char link[V_SHA_TEXT];
};

static int state_row(void *arg, const char *const *value, unsigned columns)
{
    struct state *t = arg;

    if (columns < 3 || !value[0] || !value[1] || !value[2])
        return 0;
    t->rows++;
    t->schema = (unsigned)strtoul(value[0], NULL, 10);
    t->n = (uint32_t)strtoul(value[1], NULL, 10);
    snprintf(t->link, sizeof(t->link), "%s", value[2]);
    return 0;
}

static int number_row(void *arg, const char *const *value, unsigned columns)
{
    if (columns && value[0])
        *(uint64_t *)arg = strtoull(value[0], NULL, 10);
    return 0;
}

/* The last claims and notes that have rows; 0: none has. */
struct last {
    uint64_t claim, note;
};

static int rows_last(struct index *ix, struct last *out, struct err *e)
{
    int rc;

    *out = (struct last){.claim = 0};
    rc = db_run(ix->db, "SELECT max(n) FROM claims", NULL, 0, number_row, &out->claim, e);
    return rc < 0 ? rc
                  : db_run(ix->db, "SELECT max(n) FROM notes", NULL, 0, number_row, &out->note, e);
}

/* What rows up to entry n rest on: the chain so far, and whose keys count. A table that went as a
 * whole shows in `last`. */
static int state_link(const struct index *ix, uint32_t n, const struct last *last,
                      char out[V_SHA_TEXT], struct err *e)
{
    struct vbuf b = {0};
    char *trust;
    int rc = trust_to_json(&ix->s->trust, &trust, e);

    if (rc < 0)
        return rc;
    store_link(ix->s, n, out);
    vbuf_print(&b, "%s %llu %llu %s", out, (unsigned long long)last->claim,
               (unsigned long long)last->note, trust);
    free(trust);
    if (b.failed)
        rc = err_set(e, ENOMEM, "no memory for the catalogue's index");
    else
        sha256_text(b.data, b.len, out);
    vbuf_free(&b);
    return rc;
}

static int state_write(struct index *ix, struct err *e)
{
    char link[V_SHA_TEXT], n[NUMBER_TEXT], version[NUMBER_TEXT];
    const char *param[] = {number(version, SCHEMA), number(n, ix->s->count), link};
    struct last last;
    int rc = rows_last(ix, &last, e);

    if (rc == 0)
        rc = state_link(ix, ix->s->count, &last, link, e);
    if (rc == 0)
        rc = run(ix, "DELETE FROM state", e);
    return rc < 0
               ? rc
               : db_run(ix->db, "INSERT INTO state VALUES ($1, $2, $3)", param, 3, NULL, NULL, e);
}

/* --- keeping up --- */

static int tables_make(struct index *ix, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(schema) && rc == 0; i++)
        rc = run(ix, schema[i], e);
    return rc;
}

/* So that nobody has to count the rows of a large index to see that somebody else changed them. */
static int guards_make(struct index *ix, struct err *e)
{
    static const char *const tables[] = {"claims", "notes"};
    static const char *const events[] = {"INSERT", "UPDATE", "DELETE"};
    char sql[DB_GUARD];
    int rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(tables) * ARRAY_SIZE(events) && rc == 0; i++) {
        ix->db->ops->guard(tables[i / ARRAY_SIZE(events)], events[i % ARRAY_SIZE(events)], sql);
        rc = run(ix, sql, e);
    }
    return rc;
}

static int tables_drop(struct index *ix, struct err *e)
{
    static const char *const drops[] = {"DROP TABLE IF EXISTS claims", "DROP TABLE IF EXISTS notes",
                                        "DROP TABLE IF EXISTS guests", "DROP TABLE IF EXISTS hosts",
                                        "DROP TABLE IF EXISTS state"};
    int rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(drops) && rc == 0; i++)
        rc = run(ix, drops[i], e);
    return rc;
}

static int fill(struct index *ix, uint32_t from, struct err *e)
{
    int rc = store_check(ix->s, from, e);

    for (uint32_t n = from + 1; rc == 0 && n <= ix->s->count; n++)
        rc = add_entry(ix, n, e);
    return rc < 0 ? rc : state_write(ix, e);
}

/* Does the index rest on this catalogue? Whoever changes a row takes `state` away: see
 * guards_make(). */
static int state_fits(struct index *ix, const struct state *t, bool *fits, struct err *e)
{
    char link[V_SHA_TEXT];
    struct last last;
    int rc;

    *fits = false;
    if (t->rows != 1 || t->schema != SCHEMA || t->n > ix->s->count)
        return 0;
    rc = rows_last(ix, &last, e);
    if (rc == 0)
        rc = state_link(ix, t->n, &last, link, e);
    if (rc == 0)
        *fits = strcmp(link, t->link) == 0;
    return rc;
}

static int state_read(struct index *ix, struct state *t, bool *fits, struct err *e)
{
    int rc;

    *t = (struct state){.rows = 0};
    rc = db_run(ix->db, "SELECT schema, n, link FROM state", NULL, 0, state_row, t, e);
    return rc < 0 ? rc : state_fits(ix, t, fits, e);
}

/* In a transaction that one process at a time has; what another has done meanwhile counts. */
static int update(struct index *ix, bool anew, struct err *e)
{
    struct state t = {.rows = 0};
    struct last last;
    bool fits = false;
    int rc = tables_make(ix, e);

    if (rc == 0)
        rc = state_read(ix, &t, &fits, e);
    if (rc < 0)
        return rc;
    if (!anew && fits)
        return t.n == ix->s->count ? 0 : fill(ix, t.n, e);
    rc = rows_last(ix, &last, e);
    ix->remade = !anew && rc == 0 && (last.claim || last.note || t.rows);
    if (rc == 0)
        rc = tables_drop(ix, e);
    if (rc == 0)
        rc = tables_make(ix, e);
    if (rc == 0)
        rc = guards_make(ix, e);
    return rc < 0 ? rc : fill(ix, 0, e);
}

static int update_alone(struct index *ix, bool anew, struct err *e)
{
    struct err ignored;
    int rc = 0;

    for (size_t i = 0; i < DB_BEGIN && ix->db->ops->begin[i]; i++) {
        rc = run(ix, ix->db->ops->begin[i], e);
        if (rc < 0)
            return rc;
    }
    rc = update(ix, anew, e);
    if (rc == 0)
        return run(ix, "COMMIT", e);
    (void)!run(ix, "ROLLBACK", &ignored);
    return rc;
}

int index_rebuild(struct index *ix, struct err *e)
{
    return update_alone(ix, true, e);
}

bool index_remade(const struct index *ix)
{
    return ix->remade;
}

/* Most of the time nothing is behind, and nobody is kept waiting to find that. */
static int keep_up(struct index *ix, struct err *e)
{
    struct err ignored = {0};
    struct state t = {.rows = 0};
    bool fits = false;

    if (state_read(ix, &t, &fits, &ignored) == 0 && fits && t.n == ix->s->count)
        return 0;
    return update_alone(ix, false, e);
}

/* --- notes --- */

/* A newer note of the same id says it anew: it takes the place of the older one. */
static struct note *note_place(struct index *ix, const char *id)
{
    struct note *more;

    for (size_t i = 0; i < ix->notes; i++) {
        if (strcmp(ix->note[i].id, id) == 0) {
            note_free(&ix->note[i]);
            return &ix->note[i];
        }
    }
    more = realloc(ix->note, (ix->notes + 1) * sizeof(*more));
    if (!more)
        return NULL;
    ix->note = more;
    return &ix->note[ix->notes++];
}

/* Only what somebody says whom trust.json lists: entries come from other catalogues as well. */
static int note_row(void *arg, const char *const *value, unsigned columns)
{
    struct index *ix = arg;
    struct entry x;
    struct note *n;
    struct err e;

    if (columns < 1 || !value[0])
        return 0;
    if (store_read(ix->s, (uint32_t)strtoul(value[0], NULL, 10), &x, &e) < 0)
        return 0; /* verify tells of it */
    n = x.is_note && x.signer[0] ? note_place(ix, x.note.id) : NULL;
    if (n) {
        *n = x.note;
        note_init(&x.note);
    }
    entry_free(&x);
    return 0;
}

const struct note *index_note(const struct index *ix, size_t i)
{
    return i < ix->notes ? &ix->note[i] : NULL;
}

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = words; (p = strstr(p, word)); p += n) {
        if ((p == words || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
            return true;
    }
    return false;
}

static const char *row_value(const struct index_row *r, const char *key)
{
    if (strcmp(key, "host-version") == 0)
        return r->host_version;
    if (strcmp(key, "guest-version") == 0)
        return r->guest_version;
    if (strcmp(key, "guest-arch") == 0)
        return r->arch;
    if (strcmp(key, "persona") == 0)
        return r->persona;
    if (strcmp(key, "firmware") == 0)
        return r->firmware;
    return strncmp(key, "host-", 5) == 0 ? r->host : r->guest_name;
}

/* Of names that the index holds as one text, the pattern may be any part. */
static bool row_fits(const struct index_row *r, const struct vfact *f)
{
    const char *v = row_value(r, f->key);
    size_t n = strlen(f->value);
    char part[256];

    if (v != r->host && v != r->guest_name)
        return claim_fits(f->value, v);
    snprintf(part, sizeof(part), "%.*s", (int)(n && f->value[n - 1] == '*' ? n - 1 : n), f->value);
    return strstr(v, part) != NULL;
}

bool index_note_concerns(const struct index *ix, size_t i, const struct index_row *r)
{
    const struct note *n = &ix->note[i];

    if (has_word(r->notes, n->id))
        return true;
    if (n->scope.n == 0)
        return false;
    for (size_t k = 0; k < n->scope.n; k++) {
        if (!row_fits(r, &n->scope.fact[k]))
            return false;
    }
    if (n->since && claim_version_cmp(r->host_version, n->since) < 0)
        return false;
    return !(n->resolved_in && claim_version_cmp(r->host_version, n->resolved_in) >= 0);
}

/* --- hosts --- */

static int host_row(void *arg, const char *const *value, unsigned columns)
{
    struct index *ix = arg;
    size_t i = 0;

    if (columns < 2 || !value[0] || !value[1])
        return 0;
    while (i < ix->hosts && strcmp(ix->host[i].name, value[0]) != 0)
        i++;
    if (i == HOSTS_MAX)
        return 0;
    if (i == ix->hosts) {
        ix->host[i].name = strdup(value[0]);
        if (!ix->host[i].name)
            return 0;
        ix->hosts++;
    }
    if (claim_version_cmp(value[1], ix->host[i].newest) > 0)
        snprintf(ix->host[i].newest, sizeof(ix->host[i].newest), "%s", value[1]);
    return 0;
}

const char *index_newest(const struct index *ix, const char *host)
{
    for (size_t i = 0; i < ix->hosts; i++) {
        if (strcmp(ix->host[i].name, host) == 0)
            return ix->host[i].newest;
    }
    return "";
}

const char *index_host(const struct index *ix, size_t i)
{
    return i < ix->hosts ? ix->host[i].name : NULL;
}

/* --- life --- */

int index_open(const struct store *s, const char *where, struct index **out, struct err *e)
{
    struct index *ix = calloc(1, sizeof(*ix));
    char path[STORE_PATH + 16];
    int rc;

    if (!ix)
        return err_set(e, ENOMEM, "no memory for the catalogue's index");
    ix->s = s;
    snprintf(path, sizeof(path), "%s/index.sqlite", s->dir);
    /* Without a right to write there, it lives in memory for as long as it is used. */
    if (!where)
        where = access(s->dir, W_OK) == 0 || access(path, R_OK) == 0 ? path : ":memory:";
    rc = db_open(where, &ix->db, e);
    if (rc == 0)
        rc = keep_up(ix, e);
    if (rc == 0)
        rc = db_run(ix->db, "SELECT n FROM notes ORDER BY n", NULL, 0, note_row, ix, e);
    if (rc == 0)
        rc = db_run(ix->db, "SELECT host, host_version FROM hosts", NULL, 0, host_row, ix, e);
    if (rc < 0) {
        index_close(ix);
        return rc;
    }
    *out = ix;
    return 0;
}

void index_close(struct index *ix)
{
    if (!ix)
        return;
    db_close(ix->db);
    for (size_t i = 0; i < ix->notes; i++)
        note_free(&ix->note[i]);
    free(ix->note);
    for (size_t i = 0; i < ix->hosts; i++)
        free(ix->host[i].name);
    free(ix);
}

/* --- rows --- */

struct rows {
    index_fn *fn;
    void *arg;
};

static unsigned small(const char *text, unsigned limit)
{
    unsigned long v = strtoul(text, NULL, 10);

    return v < limit ? (unsigned)v : limit - 1;
}

static int claim_row(void *arg, const char *const *v, unsigned columns)
{
    const struct rows *r = arg;
    struct index_row row;

    for (unsigned i = 0; i < COLUMNS; i++) {
        if (i >= columns || !v[i])
            return 0;
    }
    row = (struct index_row){
        .n = (uint32_t)strtoul(v[0], NULL, 10),
        .sha256 = v[1],
        .kind = (enum claim_kind)small(v[2], CLAIM_KINDS),
        .made = v[3],
        .signer = v[4],
        .who = v[5],
        .host = v[6],
        .host_version = v[7],
        .guest_name = v[8],
        .guest_version = v[9],
        .arch = v[10],
        .persona = v[11],
        .firmware = v[12],
        .level = (enum claim_level)small(v[13], CLAIM_LEVELS),
        .maturity = (enum claim_maturity)small(v[14], CLAIM_MATURITIES),
        .cpus = strtoull(v[15], NULL, 10),
        .memory = strtoull(v[16], NULL, 10),
        .owner = (enum claim_owner)small(v[17], CLAIM_OWNERS),
        .preview = *v[18] == '1',
        .verdict = (enum vstatus)small(v[19], V_STATUSES),
        .validated = *v[20] == '1',
        .bundle = v[21],
        .cell = v[22],
        .record = v[23],
        .evidence = v[24],
        .notes = v[25],
    };
    return r->fn(r->arg, &row);
}

/* Words of text as patterns for LIKE; their number. */
static unsigned words_of(const char *text, char word[WORDS_MAX][80])
{
    unsigned n = 0;

    while (text && n < WORDS_MAX) {
        size_t len;

        text += strspn(text, " ");
        len = strcspn(text, " ");
        if (!len)
            break;
        if (len < sizeof(word[0]) - 3) {
            snprintf(word[n], sizeof(word[0]), "%%%.*s%%", (int)len, text);
            lower(word[n++]);
        }
        text += len;
    }
    return n;
}

int index_rows(struct index *ix, const char *guest, const char *persona, index_fn *fn, void *arg,
               struct err *e)
{
    struct rows r = {fn, arg};
    char sql[1024], word[WORDS_MAX][80];
    const char *param[WORDS_MAX + 1], *by = ix->db->ops->by_bytes;
    unsigned n = words_of(guest, word);
    size_t at = (size_t)snprintf(sql, sizeof(sql), "SELECT * FROM claims");

    for (unsigned i = 0; i < n; i++) {
        param[i] = word[i];
        at += (size_t)snprintf(sql + at, sizeof(sql) - at, "%s search LIKE $%u",
                               i ? " AND" : " WHERE search IN (SELECT search FROM guests WHERE",
                               i + 1);
    }
    if (n)
        at += (size_t)snprintf(sql + at, sizeof(sql) - at, ")");
    if (persona) {
        param[n] = persona;
        at += (size_t)snprintf(sql + at, sizeof(sql) - at, "%s persona = $%u",
                               n ? " AND" : " WHERE", n + 1);
        n++;
    }
    snprintf(sql + at, sizeof(sql) - at,
             " ORDER BY guest_name%s, guest_version%s, arch%s, persona%s, made%s DESC, n DESC", by,
             by, by, by, by);
    return db_run(ix->db, sql, param, n, claim_row, &r, e);
}

/* --- checking it --- */

/* A digest per row of the claims, at its number; of the other tables, one that all rows are in. */
struct sums {
    char (*claim)[V_SHA_TEXT];
    uint32_t count; /* entries; claim[0] is that of the other tables */
    uint32_t odd;   /* rows of no entry, or of one that has a row already */
    bool failed;
};

static void sum_add(char sum[V_SHA_TEXT], const char *const *value, unsigned columns,
                    struct sums *m)
{
    struct vbuf b = {0};

    vbuf_print(&b, "%s", sum);
    for (unsigned i = 0; i < columns; i++)
        vbuf_print(&b, "|%s", value[i] ? value[i] : "");
    m->failed = m->failed || b.failed;
    if (!b.failed)
        sha256_text(b.data, b.len, sum);
    vbuf_free(&b);
}

static int sum_claim(void *arg, const char *const *value, unsigned columns)
{
    struct sums *m = arg;
    unsigned long n = columns && value[0] ? strtoul(value[0], NULL, 10) : 0;

    if (n == 0 || n > m->count || m->claim[n][0])
        m->odd++;
    else
        sum_add(m->claim[n], value, columns, m);
    return 0;
}

static int sum_other(void *arg, const char *const *value, unsigned columns)
{
    struct sums *m = arg;

    sum_add(m->claim[0], value, columns, m);
    return 0;
}

static int sums_of(struct index *ix, struct sums *m, struct err *e)
{
    const char *by = ix->db->ops->by_bytes;
    char sql[2][120];
    int rc;

    snprintf(sql[0], sizeof(sql[0]), "SELECT search FROM guests ORDER BY search%s", by);
    snprintf(sql[1], sizeof(sql[1]),
             "SELECT host, host_version FROM hosts ORDER BY host%s, host_version%s", by, by);
    m->count = ix->s->count;
    m->claim = calloc((size_t)m->count + 1, sizeof(*m->claim));
    if (!m->claim)
        return err_set(e, ENOMEM, "no memory for checking the catalogue's index");
    rc = db_run(ix->db, "SELECT * FROM claims ORDER BY n", NULL, 0, sum_claim, m, e);
    if (rc == 0)
        rc = db_run(ix->db, "SELECT n FROM notes ORDER BY n", NULL, 0, sum_other, m, e);
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(sql); i++)
        rc = db_run(ix->db, sql[i], NULL, 0, sum_other, m, e);
    if (rc == 0 && m->failed)
        rc = err_set(e, ENOMEM, "no memory for checking the catalogue's index");
    return rc;
}

static int sums_compare(const struct sums *a, const struct sums *b, struct faults *f)
{
    for (uint32_t n = 0; n <= a->count; n++) {
        if (strcmp(a->claim[n], b->claim[n]) == 0 && (n || a->odd == b->odd))
            continue;
        if (n)
            faults_add(f, "the index says of entry %u what the entry does not", n);
        else
            faults_add(f, "the index lists other notes, guests or hosts");
    }
    return f->count;
}

int index_verify(struct index *ix, void (*each)(void *arg, const char *fault), void *arg,
                 struct err *e)
{
    struct sums have = {.claim = NULL}, want = {.claim = NULL};
    struct index *fresh;
    int rc = index_open(ix->s, ":memory:", &fresh, e);

    if (rc < 0)
        return rc;
    rc = sums_of(ix, &have, e);
    if (rc == 0)
        rc = sums_of(fresh, &want, e);
    if (rc == 0)
        rc = sums_compare(&have, &want, &(struct faults){each, arg, 0});
    index_close(fresh);
    free(have.claim);
    free(want.claim);
    return rc;
}
