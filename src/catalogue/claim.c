/* SPDX-License-Identifier: Apache-2.0 */
/* claim.c - claims and notes as structs and as JSON; see claim.h. */
#include "catalogue/claim.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "validation/vjson.h"

enum { CLAIM_VERSION = 1, NOTE_VERSION = 1 };

const char *const claim_kind_words[CLAIM_KINDS] = {"tested", "inherited", "vendor-stated",
                                                   "planned", "unknown"};
const char *const claim_level_words[CLAIM_LEVELS] = {
    "Supported", "Tech preview", "Legacy", "Deprecated", "Terminated", "Unsupported", "Unknown"};
const char *const claim_maturity_words[CLAIM_MATURITIES] = {"experimental", "preview", "stable",
                                                            "deprecated"};
const char *const claim_owner_words[CLAIM_OWNERS] = {"host-vendor", "guest-vendor", "both",
                                                     "nobody"};

static const char *const host_keys[] = {"vendor", "product", "version", "edition", "os", NULL};
static const char *const guest_keys[] = {"vendor", "product", "version", "edition", "arch", NULL};

void claim_init(struct claim *c)
{
    *c = (struct claim){.kind = CLAIM_UNKNOWN,
                        .level = LEVEL_UNKNOWN,
                        .maturity = MATURITY_EXPERIMENTAL,
                        .owner = OWNER_NOBODY};
}

void claim_free(struct claim *c)
{
    vfacts_free(&c->host);
    vfacts_free(&c->guest);
    free(c->made);
    free(c->persona);
    free(c->firmware);
    for (size_t i = 0; i < c->notes; i++)
        free(c->note[i]);
    free(c->cell);
    free(c->rule);
    free(c->url);
    free(c->seen);
    free(c->quote);
    free(c->planned_for);
    claim_init(c);
}

static int copy_facts(struct vfacts *to, const struct vfacts *from, const char *const *keys,
                      struct err *e)
{
    int rc = 0;

    for (size_t i = 0; keys[i] && rc == 0; i++)
        rc = vfacts_set(to, keys[i], vfacts_get(from, keys[i]), e);
    return rc;
}

int claim_of_record(struct claim *c, const struct vrecord *r, const char *record_sha256,
                    const char *bundle_sha256, const char *made, struct err *e)
{
    int rc;

    claim_init(c);
    c->kind = CLAIM_TESTED;
    c->verdict = r->verdict;
    c->validated = r->validated;
    c->max_cpus = r->cpus;
    c->max_memory = r->memory;
    memcpy(c->bundle, bundle_sha256, sizeof(c->bundle));
    memcpy(c->record, record_sha256, sizeof(c->record));
    rc = copy_facts(&c->host, &r->host, host_keys, e);
    if (rc == 0)
        rc = copy_facts(&c->guest, &r->guest, guest_keys, e);
    /* A plan need not say what product a guest is; then its name stands for it. */
    if (rc == 0 && !vfacts_get(&c->guest, "product"))
        rc = vfacts_set(&c->guest, "product", vfacts_get(&r->guest, "name"), e);
    if (rc == 0)
        rc = vtext_set(&c->made, made, e);
    if (rc == 0)
        rc = vtext_set(&c->persona, r->persona, e);
    if (rc == 0)
        rc = vtext_set(&c->firmware, r->firmware, e);
    return rc < 0 ? rc : vtext_set(&c->cell, r->cell, e);
}

/* --- writing --- */

static struct json_object *facts_json(const struct vfacts *f)
{
    struct json_object *o = json_object_new_object();

    for (size_t i = 0; i < f->n; i++)
        vjson_add_text(o, f->fact[i].key, f->fact[i].value);
    return o;
}

static struct json_object *evidence_json(const struct claim *c)
{
    struct json_object *o = json_object_new_object();

    switch (c->kind) {
    case CLAIM_TESTED:
        vjson_add_text(o, "bundle", c->bundle);
        vjson_add_text(o, "cell", c->cell);
        vjson_add_text(o, "record", c->record);
        vjson_add_text(o, "verdict", vstatus_word(c->verdict));
        vjson_add_flag(o, "validated", c->validated);
        break;
    case CLAIM_INHERITED:
        vjson_add_text(o, "from", c->from);
        vjson_add_text(o, "rule", c->rule);
        break;
    case CLAIM_VENDOR_STATED:
        vjson_add_text(o, "url", c->url);
        vjson_add_text(o, "seen", c->seen);
        vjson_add_text(o, "quote", c->quote);
        break;
    case CLAIM_PLANNED:
        vjson_add_text(o, "for", c->planned_for);
        break;
    default:
        break;
    }
    return o;
}

int claim_to_json(const struct claim *c, char **out, struct err *e)
{
    struct json_object *o = json_object_new_object(), *notes = json_object_new_array();

    vjson_add_number(o, "hospes-claim", CLAIM_VERSION);
    vjson_add_text(o, "kind", claim_kind_words[c->kind]);
    vjson_add_text(o, "made", c->made);
    json_object_object_add(o, "host", facts_json(&c->host));
    json_object_object_add(o, "guest", facts_json(&c->guest));
    vjson_add_text(o, "persona", c->persona);
    vjson_add_text(o, "firmware", c->firmware);
    vjson_add_text(o, "level", claim_level_words[c->level]);
    vjson_add_text(o, "maturity", claim_maturity_words[c->maturity]);
    if (c->max_cpus)
        vjson_add_number(o, "max-cpus", c->max_cpus);
    if (c->max_memory)
        vjson_add_number(o, "max-memory", c->max_memory);
    vjson_add_text(o, "owner", claim_owner_words[c->owner]);
    if (c->preview)
        vjson_add_flag(o, "preview", true);
    for (size_t i = 0; i < c->notes; i++)
        json_object_array_add(notes, json_object_new_string(c->note[i]));
    json_object_object_add(o, "notes", notes);
    json_object_object_add(o, "evidence", evidence_json(c));
    return vjson_print(o, out, e);
}

/* --- reading --- */

static unsigned word_of(struct vjson *j, struct json_object *o, const char *key,
                        const char *const *words, unsigned n)
{
    char *text = NULL;
    unsigned i = 0;

    vjson_text(j, o, key, true, &text);
    while (j->rc == 0 && i < n && strcmp(words[i], text) != 0)
        i++;
    if (j->rc == 0 && i == n)
        vjson_bad(j, key, "one of the words that the reference page lists");
    free(text);
    return j->rc == 0 ? i : 0;
}

/* keys NULL: any. */
static void read_facts(struct vjson *j, struct json_object *o, const char *name,
                       const char *const *keys, struct vfacts *f)
{
    struct json_object *facts = vjson_object(j, o, name, true);

    if (!facts || j->rc < 0)
        return;
    json_object_object_foreach(facts, key, value)
    {
        size_t i = 0;

        if (j->rc < 0)
            return;
        while (keys && keys[i] && strcmp(keys[i], key) != 0)
            i++;
        if ((keys && !keys[i]) || !json_object_is_type(value, json_type_string) || f->n >= 32)
            vjson_bad(j, name, "an object of texts under the keys that the reference page lists");
        else if (vfacts_set(f, key, json_object_get_string(value), j->e) < 0)
            j->rc = -ENOMEM;
    }
}

static void read_notes(struct vjson *j, struct claim *c)
{
    struct json_object *list = vjson_list(j, j->top, "notes", true, CLAIM_NOTES_MAX);

    for (size_t i = 0; list && j->rc == 0 && i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i);

        if (!json_object_is_type(v, json_type_string)) {
            vjson_bad(j, "notes", "a list of texts");
            return;
        }
        c->note[i] = strdup(json_object_get_string(v));
        c->notes += c->note[i] != NULL;
    }
}

static void read_evidence(struct vjson *j, struct claim *c)
{
    struct json_object *o = vjson_object(j, j->top, "evidence", true);
    char *verdict = NULL;

    if (!o || j->rc < 0)
        return;
    switch (c->kind) {
    case CLAIM_TESTED:
        vjson_sha(j, o, "bundle", c->bundle);
        vjson_text(j, o, "cell", true, &c->cell);
        vjson_sha(j, o, "record", c->record);
        vjson_text(j, o, "verdict", true, &verdict);
        vjson_flag(j, o, "validated", true, &c->validated);
        if (j->rc == 0 && !vstatus_of(verdict, &c->verdict))
            vjson_bad(j, "verdict", "a status word");
        free(verdict);
        break;
    case CLAIM_INHERITED:
        vjson_sha(j, o, "from", c->from);
        vjson_text(j, o, "rule", true, &c->rule);
        break;
    case CLAIM_VENDOR_STATED:
        vjson_text(j, o, "url", true, &c->url);
        vjson_text(j, o, "seen", true, &c->seen);
        vjson_text(j, o, "quote", true, &c->quote);
        break;
    case CLAIM_PLANNED:
        vjson_text(j, o, "for", true, &c->planned_for);
        break;
    default:
        break;
    }
}

static void check_claim(struct vjson *j, const struct claim *c)
{
    if (j->rc < 0)
        return;
    if (!vtime_good(c->made))
        vjson_bad(j, "made", "a time like 2026-11-27T23:05:00Z");
    else if (!vfacts_get(&c->guest, "product") || !vfacts_get(&c->host, "product"))
        vjson_bad(j, "product", "a text, for host and guest");
    else if (c->preview && c->level == LEVEL_SUPPORTED)
        vjson_bad(j, "preview", "false: a run of unreleased software never gives Supported");
    else if (c->kind == CLAIM_PLANNED && c->level == LEVEL_SUPPORTED)
        vjson_bad(j, "level", "another word than Supported: it is only planned");
}

int claim_from_json(struct claim *c, const char *text, size_t len, struct err *e)
{
    uint64_t version = 0;
    char *again = NULL;
    struct vjson j;

    claim_init(c);
    vjson_open(&j, "the claim", text, len, e);
    vjson_number(&j, j.top, "hospes-claim", true, INT32_MAX, &version);
    if (j.rc == 0 && version != CLAIM_VERSION)
        vjson_bad(&j, "hospes-claim", "1, the only version that this program knows");
    c->kind = (enum claim_kind)word_of(&j, j.top, "kind", claim_kind_words, CLAIM_KINDS);
    vjson_text(&j, j.top, "made", true, &c->made);
    read_facts(&j, j.top, "host", host_keys, &c->host);
    read_facts(&j, j.top, "guest", guest_keys, &c->guest);
    vjson_text(&j, j.top, "persona", true, &c->persona);
    vjson_text(&j, j.top, "firmware", true, &c->firmware);
    c->level = (enum claim_level)word_of(&j, j.top, "level", claim_level_words, CLAIM_LEVELS);
    c->maturity =
        (enum claim_maturity)word_of(&j, j.top, "maturity", claim_maturity_words, CLAIM_MATURITIES);
    vjson_number(&j, j.top, "max-cpus", false, INT32_MAX, &c->max_cpus);
    vjson_number(&j, j.top, "max-memory", false, INT64_MAX, &c->max_memory);
    c->owner = (enum claim_owner)word_of(&j, j.top, "owner", claim_owner_words, CLAIM_OWNERS);
    vjson_flag(&j, j.top, "preview", false, &c->preview);
    read_notes(&j, c);
    read_evidence(&j, c);
    check_claim(&j, c);
    if (j.rc == 0)
        j.rc = claim_to_json(c, &again, e);
    if (j.rc == 0)
        vjson_same(&j, text, len, again);
    vjson_close(&j);
    return j.rc;
}

/* --- notes --- */

void note_init(struct note *n)
{
    *n = (struct note){.id = NULL};
}

void note_free(struct note *n)
{
    free(n->id);
    free(n->made);
    free(n->text);
    vfacts_free(&n->scope);
    free(n->since);
    free(n->resolved_in);
    free(n->issue);
    note_init(n);
}

int note_to_json(const struct note *n, char **out, struct err *e)
{
    struct json_object *o = json_object_new_object();

    vjson_add_number(o, "hospes-note", NOTE_VERSION);
    vjson_add_text(o, "id", n->id);
    vjson_add_text(o, "made", n->made);
    vjson_add_text(o, "text", n->text);
    vjson_add_flag(o, "erratum", n->erratum);
    json_object_object_add(o, "applies-to", facts_json(&n->scope));
    vjson_add_text(o, "since", n->since);
    vjson_add_text(o, "resolved-in", n->resolved_in);
    vjson_add_text(o, "issue", n->issue);
    return vjson_print(o, out, e);
}

bool note_id_good(const char *id)
{
    size_t n = strlen(id);

    return n > 0 && n <= 64 && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

int note_from_json(struct note *n, const char *text, size_t len, struct err *e)
{
    static const char *const scope_keys[] = {"host-vendor",
                                             "host-product",
                                             "host-version",
                                             "guest-vendor",
                                             "guest-product",
                                             "guest-version",
                                             "guest-edition",
                                             "guest-arch",
                                             "persona",
                                             "firmware",
                                             NULL};
    uint64_t version = 0;
    char *again = NULL;
    struct vjson j;

    note_init(n);
    vjson_open(&j, "the note", text, len, e);
    vjson_number(&j, j.top, "hospes-note", true, INT32_MAX, &version);
    if (j.rc == 0 && version != NOTE_VERSION)
        vjson_bad(&j, "hospes-note", "1, the only version that this program knows");
    vjson_text(&j, j.top, "id", true, &n->id);
    if (j.rc == 0 && !note_id_good(n->id))
        vjson_bad(&j, "id", "1 to 64 of a-z, 0-9 and -");
    vjson_text(&j, j.top, "made", true, &n->made);
    vjson_text(&j, j.top, "text", true, &n->text);
    vjson_flag(&j, j.top, "erratum", true, &n->erratum);
    read_facts(&j, j.top, "applies-to", scope_keys, &n->scope);
    vjson_text(&j, j.top, "since", false, &n->since);
    vjson_text(&j, j.top, "resolved-in", false, &n->resolved_in);
    vjson_text(&j, j.top, "issue", false, &n->issue);
    if (j.rc == 0 && !vtime_good(n->made))
        vjson_bad(&j, "made", "a time like 2026-11-27T23:05:00Z");
    if (j.rc == 0)
        j.rc = note_to_json(n, &again, e);
    if (j.rc == 0)
        vjson_same(&j, text, len, again);
    vjson_close(&j);
    return j.rc;
}

bool claim_fits(const char *pattern, const char *text)
{
    size_t n = strlen(pattern);

    if (n && pattern[n - 1] == '*')
        return strncmp(pattern, text ? text : "", n - 1) == 0;
    return text && strcmp(pattern, text) == 0;
}

static const char *scope_value(const struct claim *c, const char *key)
{
    if (strncmp(key, "host-", 5) == 0)
        return vfacts_get(&c->host, key + 5);
    if (strncmp(key, "guest-", 6) == 0)
        return vfacts_get(&c->guest, key + 6);
    return strcmp(key, "persona") == 0 ? c->persona : c->firmware;
}

bool note_concerns(const struct note *n, const struct claim *c)
{
    const char *version = vfacts_get(&c->host, "version");

    for (size_t i = 0; i < c->notes; i++) {
        if (strcmp(c->note[i], n->id) == 0)
            return true;
    }
    if (n->scope.n == 0)
        return false; /* only where a claim names it */
    for (size_t i = 0; i < n->scope.n; i++) {
        if (!claim_fits(n->scope.fact[i].value, scope_value(c, n->scope.fact[i].key)))
            return false;
    }
    if (n->since && version && claim_version_cmp(version, n->since) < 0)
        return false;
    return !(n->resolved_in && version && claim_version_cmp(version, n->resolved_in) >= 0);
}

int claim_version_cmp(const char *a, const char *b)
{
    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            size_t na, nb;

            a += strspn(a, "0");
            b += strspn(b, "0");
            na = strspn(a, "0123456789");
            nb = strspn(b, "0123456789");
            if (na != nb)
                return na < nb ? -1 : 1;
            if (strncmp(a, b, na) != 0)
                return strncmp(a, b, na);
            a += na;
            b += nb;
        } else if (*a != *b) {
            return (unsigned char)*a - (unsigned char)*b;
        } else {
            a++;
            b++;
        }
    }
    return (unsigned char)*a - (unsigned char)*b;
}
