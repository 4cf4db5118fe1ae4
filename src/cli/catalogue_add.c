/* SPDX-License-Identifier: Apache-2.0 */
/* catalogue_add.c - `hospes catalogue` add, errata, merge and verify: what changes a catalogue. */
#define _GNU_SOURCE
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalogue/index.h"
#include "catalogue/site.h"
#include "cli/catalogue.h"
#include "cli/line.h"
#include "validation/bundle.h"
#include "validation/text.h"
#include "validation/vjson.h"

/* --- add --- */

struct adding {
    const struct catalogue_args *a;
    struct store s;
    struct seckey key;
    size_t claims, validated;
};

/* What a catalogue is called when nobody says: as its folder. malloc()ed. */
static char *add_name(const char *dir)
{
    char *real = realpath(dir, NULL);
    const char *from = real ? real : dir, *slash;
    size_t n = strlen(from);
    char *name;

    while (n > 1 && from[n - 1] == '/')
        n--;
    slash = memrchr(from, '/', n);
    name = slash && n > 1 ? strndup(slash + 1, (size_t)(from + n - slash - 1)) : strndup(from, n);
    free(real);
    return name;
}

/* The one who makes a catalogue is the first whom it trusts. */
static int add_make(const char *dir, const struct catalogue_args *a, const struct seckey *key,
                    struct err *e)
{
    char path[STORE_PATH + 16], *name, *text = NULL;
    struct trust t = {.n = 0};
    struct stat st;
    int rc = 0;

    snprintf(path, sizeof(path), "%s/catalogue.json", dir);
    if (stat(path, &st) == 0)
        return 0;
    name = a->name ? strdup(a->name) : add_name(dir);
    if (!name)
        return err_set(e, ENOMEM, "no memory for a name");
    if (a->trust)
        rc = trust_read(a->trust, &t, e);
    if (rc == 0)
        rc = trust_add(&t, &key->pub, name,
                       ROLE_RUNNER | ROLE_SUITE_OWNER | ROLE_HOST_VENDOR | ROLE_GUEST_VENDOR |
                           ROLE_PUBLISHER,
                       e);
    if (rc == 0)
        rc = trust_to_json(&t, &text, e);
    if (rc == 0)
        rc = store_create(dir, name, text, e);
    trust_free(&t);
    free(text);
    free(name);
    return rc;
}

static int word(const char *text, const char *const *words, unsigned n, const char *option,
                unsigned *out, struct err *e)
{
    if (!text)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return 0;
        }
    }
    return err_exit(e, EX_USAGE_, EINVAL, "--%s has no word %s; see hospes catalogue add --help",
                    option, text);
}

static int add_options(struct claim *c, const struct catalogue_args *a, struct err *e)
{
    unsigned level = c->level, owner = c->owner, maturity = c->maturity;
    int rc = word(a->level, claim_level_words, CLAIM_LEVELS, "level", &level, e);

    if (rc == 0)
        rc = word(a->owner, claim_owner_words, CLAIM_OWNERS, "owner", &owner, e);
    if (rc == 0)
        rc = word(a->maturity, claim_maturity_words, CLAIM_MATURITIES, "maturity", &maturity, e);
    if (rc < 0)
        return rc;
    c->level = (enum claim_level)level;
    c->owner = (enum claim_owner)owner;
    c->maturity = (enum claim_maturity)maturity;
    c->preview = a->preview;
    if (a->preview && c->level == LEVEL_SUPPORTED)
        return err_exit(e, EX_USAGE_, EINVAL, "--preview never goes with --level Supported");
    if (!a->note)
        return 0;
    if (!note_id_good(a->note))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--note wants the id of a note, 1 to 64 of a-z, 0-9 and -, not %s",
                        a->note);
    c->note[0] = strdup(a->note);
    if (!c->note[0])
        return err_set(e, ENOMEM, "no memory for a note");
    c->notes = 1;
    return 0;
}

static int add_claim(struct adding *x, const struct claim *c, struct err *e)
{
    char *text;
    uint32_t n;
    int rc = claim_to_json(c, &text, e);

    if (rc < 0)
        return rc;
    rc = store_add(&x->s, DSSE_CLAIM, text, &x->key, &n, e);
    free(text);
    if (rc == 0 && n) {
        x->claims++;
        x->validated += c->kind == CLAIM_TESTED && c->validated;
    }
    return rc;
}

static int add_record(struct adding *x, const struct bundle *b, size_t i, struct err *e)
{
    struct claim c;
    int rc = claim_of_record(&c, bundle_record(b, i), bundle_record_sha256(b, i), bundle_sha256(b),
                             bundle_finished(b), e);

    if (rc == 0)
        rc = add_options(&c, x->a, e);
    if (rc == 0)
        rc = add_claim(x, &c, e);
    claim_free(&c);
    return rc;
}

/* A bundle counts when someone whom the catalogue trusts as a runner has signed it. */
static int add_bundle(struct adding *x, const char *path, struct err *e)
{
    struct bundle *b = NULL;
    char why[300];
    int rc = bundle_read(path, &b, e);

    if (rc == 0 && !trust_signer(&x->s.trust, bundle_statement(b), ROLE_RUNNER, bundle_finished(b),
                                 why, sizeof(why)))
        rc =
            err_exit(e, EX_BAD_INPUT, EACCES,
                     "%s is not added: %s as a runner; put the key into %s/trust.json if you trust "
                     "it",
                     path, why, x->s.dir);
    if (rc == 0)
        rc = store_add_bundle(&x->s, path, bundle_sha256(b), e);
    for (size_t i = 0; rc == 0 && i < bundle_records(b); i++)
        rc = add_record(x, b, i, e);
    bundle_free(b);
    return rc;
}

static int add_file(struct adding *x, const char *path, struct err *e)
{
    struct claim c;
    char *text;
    size_t len;
    int rc = vtext_read(path, 1 << 20, &text, &len, e);

    if (rc < 0)
        return rc;
    rc = claim_from_json(&c, text, len, e);
    free(text);
    if (rc == 0 && c.kind == CLAIM_TESTED)
        rc = err_exit(e, EX_BAD_INPUT, EINVAL,
                      "%s says tested: such a claim is made from its bundle, by adding that", path);
    else if (rc < 0)
        rc = err_wrap(e, "%s", path);
    if (rc == 0)
        rc = add_claim(x, &c, e);
    claim_free(&c);
    return rc;
}

/* Whoever signs with a key that counts for nobody here has most likely named another file. */
static int signer_counts(const struct store *s, const struct seckey *key, const char *path,
                         struct err *e)
{
    char now[VTIME_TEXT], why[300];

    vtime_now(now);
    if (trust_lists(&s->trust, &key->pub, now, why, sizeof(why)))
        return 0;
    return err_exit(e, EX_USAGE_, EACCES,
                    "the key %s %s in %s/trust.json: what it signs would count for nobody", path,
                    why, s->dir);
}

/* Before anything is made: what was said that cannot be meant. */
static int add_check(const struct catalogue_args *a, struct err *e)
{
    struct claim c;
    int rc;

    if (!a->key)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--key is missing: every claim is signed; hospes validate key makes one");
    if (a->name && !*a->name)
        return err_exit(e, EX_USAGE_, EINVAL, "--name wants a name, not an empty one");
    if (a->claim && (a->level || a->owner || a->maturity || a->note || a->preview))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--level, --owner, --maturity, --note and --preview are for bundles: a "
                        "claim says that itself");
    claim_init(&c);
    rc = add_options(&c, a, e);
    claim_free(&c);
    return rc;
}

static int add_all(struct adding *x, const char *dir, char **file, int n, struct err *e)
{
    int rc = add_check(x->a, e);

    if (rc == 0)
        rc = key_read_secret(x->a->key, &x->key, e);
    if (rc == 0)
        rc = add_make(dir, x->a, &x->key, e);
    if (rc == 0)
        rc = store_open(dir, true, &x->s, e);
    if (rc < 0)
        return rc;
    rc = signer_counts(&x->s, &x->key, x->a->key, e);
    for (int i = 0; i < n && rc == 0; i++)
        rc = x->a->claim ? add_file(x, file[i], e) : add_bundle(x, file[i], e);
    store_close(&x->s);
    return rc;
}

static int add_main(int argc, char **argv)
{
    struct catalogue_args a = {.key = NULL};
    struct adding x = {.a = &a, .s.lock = -1};
    struct err e = {0};
    int n, rc = catalogue_parse(&catalogue_add, argc, argv, &a, 2, -1, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0)
        rc = add_all(&x, argv[1], argv + 2, n - 1, &e);
    seckey_wipe(&x.key);
    if (rc == 0)
        printf("%zu claim%s added to %s, %zu of them validated\n", x.claims,
               x.claims == 1 ? "" : "s", argv[1], x.validated);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option add_options_table[] = {
    {"key", "FILE", "the secret key that signs the claims", catalogue_set_key},
    {"claim", NULL, "the files are claims as JSON, not bundles", catalogue_set_claim},
    {"level", "WORD",
     "Supported, Tech preview, Legacy, Deprecated, Terminated, Unsupported, Unknown",
     catalogue_set_level},
    {"owner", "WHO", "who supports it: host-vendor, guest-vendor, both, nobody",
     catalogue_set_owner},
    {"maturity", "WORD", "experimental, preview, stable, deprecated", catalogue_set_maturity},
    {"note", "ID", "a note that goes with the claims", catalogue_set_note},
    {"preview", NULL, "the software is not released yet", catalogue_set_preview},
    {"name", "NAME", "the name of a catalogue that is made now", catalogue_set_name},
    {"trust", "FILE", "whom a catalogue that is made now trusts besides", catalogue_set_trust},
    {NULL},
};

const struct cli_command catalogue_add = {
    .name = "catalogue add",
    .args = "[OPTION...] FOLDER BUNDLE...",
    .about = "Adds signed results, or claims of other kinds.",
    .more =
        "The folder becomes a catalogue when it is none. A bundle must be sound, and signed by\n"
        "a runner in the catalogue's trust.json.",
    .options = add_options_table,
    .run = add_main,
};

/* --- errata --- */

static int errata_fill(struct note *n, const struct catalogue_args *a, struct err *e)
{
    char made[VTIME_TEXT], key[64];
    int rc = 0;

    vtime_now(made);
    note_init(n);
    n->erratum = !a->remark;
    rc = vtext_set(&n->id, a->add, e);
    if (rc == 0)
        rc = vtext_set(&n->made, made, e);
    if (rc == 0)
        rc = vtext_set(&n->text, a->text, e);
    if (rc == 0)
        rc = vtext_set(&n->since, a->since, e);
    if (rc == 0)
        rc = vtext_set(&n->resolved_in, a->resolved, e);
    if (rc == 0)
        rc = vtext_set(&n->issue, a->issue, e);
    for (size_t i = 0; i < a->scopes && rc == 0; i++) {
        const char *value = strchr(a->scope[i], '=');

        snprintf(key, sizeof(key), "%.*s", (int)(value - a->scope[i]), a->scope[i]);
        rc = vfacts_set(&n->scope, key, value + 1, e);
    }
    return rc;
}

static bool text_empty(const char *text)
{
    return text && !text[strspn(text, " \t\n")];
}

/* What a note would say, and say to nobody. */
static int errata_check(const struct catalogue_args *a, struct err *e)
{
    for (size_t i = 0; i < a->scopes; i++) {
        const char *value = strchr(a->scope[i], '=') + 1, *star = strchr(value, '*');
        size_t key = (size_t)(value - a->scope[i]);

        if (!*value || (star && star[1]))
            return err_exit(
                e, EX_USAGE_, EINVAL,
                "--applies %s fits nothing: a value is a text, and * its last character",
                a->scope[i]);
        for (size_t k = 0; k < i; k++) {
            if (strncmp(a->scope[k], a->scope[i], key) == 0)
                return err_exit(e, EX_USAGE_, EINVAL,
                                "--applies has %.*s twice, and a claim has only one: write two "
                                "notes",
                                (int)key - 1, a->scope[i]);
        }
    }
    if (text_empty(a->text) || text_empty(a->since) || text_empty(a->resolved) ||
        text_empty(a->issue))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--text, --since, --resolved-in and --issue want something in them");
    if (a->since && a->resolved && claim_version_cmp(a->since, a->resolved) >= 0)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--since %s is not before --resolved-in %s: no version would have it",
                        a->since, a->resolved);
    return 0;
}

static int errata_add(const char *dir, const struct catalogue_args *a, struct err *e)
{
    struct seckey key = {.key = {0}};
    struct note n, again;
    struct store s;
    char *text = NULL;
    int rc;

    if (!a->key || !a->text)
        return err_exit(e, EX_USAGE_, EINVAL, "--add wants --text and --key as well");
    rc = errata_check(a, e);
    if (rc < 0)
        return rc;
    rc = errata_fill(&n, a, e);
    if (rc == 0)
        rc = note_to_json(&n, &text, e);
    note_free(&n);
    if (rc == 0) {
        rc = note_from_json(&again, text, strlen(text), e);
        note_free(&again);
    }
    if (rc == 0)
        rc = key_read_secret(a->key, &key, e);
    if (rc == 0)
        rc = store_open(dir, true, &s, e);
    if (rc == 0) {
        rc = signer_counts(&s, &key, a->key, e);
        if (rc == 0)
            rc = store_add(&s, DSSE_NOTE, text, &key, NULL, e);
        store_close(&s);
    }
    seckey_wipe(&key);
    free(text);
    return rc;
}

static void errata_print(const struct note *n)
{
    line_print(2, "%s %s, %.10s: %s", n->erratum ? "erratum" : "note", n->id, n->made, n->text);
    for (size_t i = 0; i < n->scope.n; i++)
        line_print(4, "  %s %s", n->scope.fact[i].key, n->scope.fact[i].value);
    if (n->since)
        line_print(4, "  since %s", n->since);
    if (n->resolved_in)
        line_print(4, "  resolved in %s", n->resolved_in);
    if (n->issue)
        line_print(4, "  %s", n->issue);
}

static void errata_json(const struct note *n)
{
    struct json_object *o = json_object_new_object(), *scope = json_object_new_object();

    vjson_add_text(o, "id", n->id);
    vjson_add_text(o, "made", n->made);
    vjson_add_text(o, "text", n->text);
    vjson_add_flag(o, "erratum", n->erratum);
    for (size_t i = 0; i < n->scope.n; i++)
        vjson_add_text(scope, n->scope.fact[i].key, n->scope.fact[i].value);
    json_object_object_add(o, "applies-to", scope);
    vjson_add_text(o, "since", n->since);
    vjson_add_text(o, "resolved-in", n->resolved_in);
    vjson_add_text(o, "issue", n->issue);
    line_json(o);
}

static int errata_list(const char *dir, const struct catalogue_args *a, struct err *e)
{
    const struct note *n;
    struct catalogue c;
    int rc;

    if (a->text || a->scopes || a->since || a->resolved || a->issue || a->remark || a->key)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--text and what goes with it are of a new note: give its id by --add");
    rc = catalogue_open(&c, dir, a, e);
    if (rc < 0)
        return rc;
    for (size_t i = 0; (n = index_note(c.ix, i)); i++) {
        if (a->json)
            errata_json(n);
        else
            errata_print(n);
    }
    catalogue_close(&c);
    return 0;
}

static int errata_main(int argc, char **argv)
{
    struct catalogue_args a = {.key = NULL};
    struct err e = {0};
    int n, rc = catalogue_parse(&catalogue_errata, argc, argv, &a, 1, 1, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0)
        rc = a.add ? errata_add(argv[1], &a, &e) : errata_list(argv[1], &a, &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option errata_options[] = {
    {"add", "ID", "write a note of this id: a-z, 0-9 and -", catalogue_set_add},
    {"text", "TEXT", "what it says", catalogue_set_text},
    {"applies", "KEY=VALUE", "which claims it is about: persona=xen, guest-product=Debian*, ...",
     catalogue_set_scope},
    {"since", "VERSION", "first host version that has it", catalogue_set_since},
    {"resolved-in", "VERSION", "first host version without it", catalogue_set_resolved},
    {"issue", "URL", "where it is worked on", catalogue_set_issue},
    {"remark", NULL, "it is no fault", catalogue_set_remark},
    {"key", "FILE", "the secret key that signs it", catalogue_set_key},
    {"json", NULL, "list one JSON object per note", catalogue_set_json},
    {"db", "WHERE", "the index: a file, or postgresql://...", catalogue_set_db},
    {NULL},
};

const struct cli_command catalogue_errata = {
    .name = "catalogue errata",
    .args = "[OPTION...] FOLDER",
    .about = "Lists notes and errata, or adds one.",
    .more =
        "A note may come long after the claims that it is about; they stay as they were signed.\n"
        "A newer one of the same id takes the place of the older one.",
    .options = errata_options,
    .run = errata_main,
};

/* --- merge --- */

struct merging {
    struct store *to;
    size_t entries, there, bundles;
};

/* The bundle that an entry rests on, unless it is here: also when only the entry had come before.
 */
static int merge_bundle(struct merging *m, const struct store *from, const struct entry *x,
                        struct err *e)
{
    char path[STORE_PATH], here[STORE_PATH];
    int rc;

    if (x->is_note || x->claim.kind != CLAIM_TESTED || store_bundle(m->to, x->claim.bundle, here) ||
        !store_bundle(from, x->claim.bundle, path))
        return 0;
    rc = store_add_bundle(m->to, path, x->claim.bundle, e);
    m->bundles += rc == 0;
    return rc;
}

static int merge_entry(struct merging *m, const struct store *from, uint32_t n, struct err *e)
{
    struct entry x;
    uint32_t got;
    int rc = store_read(from, n, &x, e);

    if (rc < 0)
        return rc;
    rc = store_add_envelope(m->to, &x.d, &got, e);
    m->entries += rc == 0 && got;
    m->there += rc == 0 && !got;
    if (rc == 0)
        rc = merge_bundle(m, from, &x, e);
    entry_free(&x);
    return rc;
}

static int merge_one(struct merging *m, const char *dir, struct err *e)
{
    struct store from;
    int rc = store_open(dir, false, &from, e);

    if (rc == 0)
        rc = store_check(&from, 0, e);
    for (uint32_t n = 1; rc == 0 && n <= from.count; n++)
        rc = merge_entry(m, &from, n, e);
    store_close(&from);
    return rc;
}

static int merge_main(int argc, char **argv)
{
    struct catalogue_args a = {.key = NULL};
    struct store to = {.lock = -1};
    struct merging m = {.to = &to};
    struct err e = {0};
    int n, rc = catalogue_parse(&catalogue_merge, argc, argv, &a, 2, -1, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0)
        rc = store_open(argv[1], true, &to, &e);
    for (int i = 2; rc == 0 && i <= n; i++)
        rc = merge_one(&m, argv[i], &e);
    store_close(&to);
    if (rc == 0)
        printf("%zu entr%s and %zu bundle%s added, %zu w%s there; whose keys count is in "
               "%s/trust.json\n",
               m.entries, m.entries == 1 ? "y" : "ies", m.bundles, m.bundles == 1 ? "" : "s",
               m.there, m.there == 1 ? "as" : "ere", argv[1]);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command catalogue_merge = {
    .name = "catalogue merge",
    .args = "FOLDER OTHER...",
    .about = "Takes over what other catalogues say, with their signatures.",
    .more =
        "Entries keep the signatures that they have; only those of keys in the catalogue's own\n"
        "trust.json count. Runners that disagree are shown as such.",
    .run = merge_main,
};

/* --- verify --- */

static void verify_fault(void *arg, const char *fault)
{
    (void)arg;
    line_complain("hospes: %s", fault);
}

/* The index is brought up to date first: it may only have been behind. Entries that cannot be read
 * have been named already, and then there is nothing to compare with. */
static int verify_index(const struct catalogue_args *a, struct store *s, struct err *e)
{
    char path[STORE_PATH + 16];
    struct index *ix;
    int rc;

    snprintf(path, sizeof(path), "%s/index.sqlite", s->dir);
    if (!a->db && access(path, F_OK) < 0)
        return 0;
    rc = index_open(s, a->db, &ix, e);
    if (rc < 0)
        return rc;
    if (index_remade(ix))
        fprintf(stderr,
                "hospes: the index did not fit, because somebody changed it, or other keys are "
                "trusted now, or an older hospes made it: it was made again\n");
    rc = index_verify(ix, verify_fault, NULL, e);
    index_close(ix);
    if (rc > 0)
        fprintf(stderr, "hospes: the index is made of the entries: delete %s\n",
                a->db ? "its tables" : path);
    return rc;
}

static int verify_main(int argc, char **argv)
{
    struct catalogue_args a = {.key = NULL};
    struct store s = {.lock = -1};
    struct err e = {0};
    uint32_t count = 0;
    int n, rc = catalogue_parse(&catalogue_verify, argc, argv, &a, 1, 2, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0)
        rc = store_open(argv[1], false, &s, &e);
    if (rc == 0) {
        count = s.count;
        rc = store_verify(&s, verify_fault, NULL, &e);
    }
    if (rc == 0)
        rc = verify_index(&a, &s, &e);
    if (rc == 0 && n > 1)
        rc = site_verify(&s, argv[2], a.host_version, verify_fault, NULL, &e);
    if (rc >= 0 && !s.root[0])
        printf("catalogue.json is of version 1: nothing vouches for its name and time\n");
    store_close(&s);
    if (rc < 0)
        return cli_fail(&e);
    printf("%u entr%s, %d fault%s\n", count, count == 1 ? "y" : "ies", rc, rc == 1 ? "" : "s");
    return rc ? EX_BAD_INPUT : EX_OK;
}

static const struct cli_option verify_options[] = {
    {"host-version", "VERSION", "with SITE: as it was built with", catalogue_set_host_version},
    {"db", "WHERE", "the index: a file, or postgresql://...", catalogue_set_db},
    {NULL},
};

const struct cli_command catalogue_verify = {
    .name = "catalogue verify",
    .args = "[OPTION...] FOLDER [SITE]",
    .about = "Checks the chain, every signature, every claim against its evidence, and the index.",
    .more =
        "SITE, which was built of FOLDER, is compared byte for byte with what FOLDER makes. Each\n"
        "fault is named in a line of its own. Exit codes: 0 sound, 65 not.",
    .options = verify_options,
    .run = verify_main,
};
