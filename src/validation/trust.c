/* SPDX-License-Identifier: Apache-2.0 */
/* trust.c - see trust.h. */
#define _GNU_SOURCE
#include "validation/trust.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "validation/text.h"
#include "validation/vjson.h"

enum { TRUST_VERSION = 1, TRUST_KEYS_MAX = 4096, TRUST_BYTES_MAX = 8 << 20, TRUST_ROLES = 5 };

static const char *const trust_words[TRUST_ROLES] = {"runner", "suite-owner", "guest-vendor",
                                                     "host-vendor", "publisher"};

unsigned trust_role_of(const char *word)
{
    for (unsigned i = 0; i < TRUST_ROLES; i++) {
        if (strcmp(word, trust_words[i]) == 0)
            return 1U << i;
    }
    return 0;
}

const char *trust_role_word(enum trust_role r)
{
    for (unsigned i = 0; i < TRUST_ROLES; i++) {
        if ((unsigned)r == 1U << i)
            return trust_words[i];
    }
    return "any role";
}

void trust_free(struct trust *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->key[i].name);
        free(t->key[i].from);
        free(t->key[i].until);
        free(t->key[i].revoked);
    }
    free(t->key);
    *t = (struct trust){0};
}

int trust_add(struct trust *t, const struct pubkey *key, const char *name, unsigned roles,
              struct err *e)
{
    struct trusted *grown =
        t->n < TRUST_KEYS_MAX ? reallocarray(t->key, t->n + 1, sizeof(*grown)) : NULL;

    if (!grown)
        return err_set(e, t->n < TRUST_KEYS_MAX ? ENOMEM : E2BIG, "no room for more trusted keys");
    t->key = grown;
    grown += t->n++;
    *grown = (struct trusted){.key = *key, .roles = roles};
    return vtext_set(&grown->name, name, e);
}

int trust_to_json(const struct trust *t, char **out, struct err *e)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();
    char text[KEY_PUBLIC_TEXT];

    vjson_add_number(o, "hospes-trust", TRUST_VERSION);
    for (size_t i = 0; i < t->n; i++) {
        const struct trusted *k = &t->key[i];
        struct json_object *item = json_object_new_object(), *roles = json_object_new_array();

        pubkey_to_text(&k->key, text);
        vjson_add_text(item, "keyid", k->key.id);
        vjson_add_text(item, "public", text);
        vjson_add_text(item, "name", k->name);
        for (unsigned r = 0; r < TRUST_ROLES; r++) {
            if (k->roles & 1U << r)
                json_object_array_add(roles, json_object_new_string(trust_words[r]));
        }
        json_object_object_add(item, "roles", roles);
        vjson_add_text(item, "from", k->from);
        vjson_add_text(item, "until", k->until);
        vjson_add_text(item, "revoked", k->revoked);
        json_object_array_add(list, item);
    }
    json_object_object_add(o, "keys", list);
    return vjson_print(o, out, e);
}

static void trust_read_time(struct vjson *j, struct json_object *o, const char *key, char **out)
{
    vjson_text(j, o, key, false, out);
    if (j->rc == 0 && *out && !vtime_good(*out))
        vjson_bad(j, key, "a time like 2026-11-27T23:05:00Z");
}

static unsigned trust_read_roles(struct vjson *j, struct json_object *o)
{
    struct json_object *list = vjson_list(j, o, "roles", true, TRUST_ROLES);
    unsigned roles = 0;

    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        unsigned one = v && json_object_is_type(v, json_type_string)
                           ? trust_role_of(json_object_get_string(v))
                           : 0;

        if (!one)
            vjson_bad(j, "roles",
                      "a list of runner, suite-owner, guest-vendor, host-vendor or "
                      "publisher");
        roles |= one;
    }
    return roles;
}

static void trust_read_key(struct vjson *j, struct trust *t, struct json_object *o)
{
    char *text = NULL, id[V_SHA_TEXT] = "";
    struct pubkey key = {.id = ""};
    struct trusted *at;

    vjson_sha(j, o, "keyid", id);
    vjson_text(j, o, "public", true, &text);
    if (j->rc == 0)
        j->rc = pubkey_from_text(text, &key, j->e);
    free(text);
    if (j->rc == 0 && strcmp(id, key.id) != 0)
        vjson_bad(j, "keyid", "the SHA-256 of its public key");
    if (j->rc == 0)
        j->rc = trust_add(t, &key, NULL, 0, j->e);
    if (j->rc < 0)
        return;
    at = &t->key[t->n - 1];
    vjson_text(j, o, "name", true, &at->name);
    at->roles = trust_read_roles(j, o);
    trust_read_time(j, o, "from", &at->from);
    trust_read_time(j, o, "until", &at->until);
    trust_read_time(j, o, "revoked", &at->revoked);
}

int trust_from_json(struct trust *t, const char *text, size_t len, struct err *e)
{
    struct json_object *list;
    uint64_t version = 0;
    struct vjson j;

    *t = (struct trust){0};
    vjson_open(&j, "the trust list", text, len, e);
    vjson_number(&j, j.top, "hospes-trust", true, INT32_MAX, &version);
    if (j.rc == 0 && version != TRUST_VERSION)
        vjson_bad(&j, "hospes-trust", "1, the only version that this program knows");
    list = vjson_list(&j, j.top, "keys", true, TRUST_KEYS_MAX);
    for (size_t i = 0; list && j.rc == 0 && i < json_object_array_length(list); i++)
        trust_read_key(&j, t, vjson_item(&j, list, i));
    vjson_close(&j);
    return j.rc;
}

int trust_read(const char *path, struct trust *t, struct err *e)
{
    static const unsigned all = (1U << TRUST_ROLES) - 1;
    struct pubkey key;
    char *text;
    size_t len;
    int rc = vtext_read(path, TRUST_BYTES_MAX, &text, &len, e);

    *t = (struct trust){0};
    if (rc < 0)
        return rc;
    if (text[0] == '{') {
        rc = trust_from_json(t, text, len, e);
    } else {
        free(text);
        rc = key_read_public(path, &key, e); /* names the file itself */
        if (rc == -EINVAL)
            rc = err_set(e, EINVAL,
                         "%s is neither a list of keys that are trusted nor a minisign public key",
                         path);
        return rc < 0 ? rc : trust_add(t, &key, path, all, e);
    }
    free(text);
    return rc < 0 ? err_wrap(e, "%s", path) : 0;
}

/* Why a listed key's signature does not count at that time; NULL when it does. */
static const char *trust_objection(const struct trusted *k, unsigned role, const char *when)
{
    if (role && !(k->roles & role))
        return "is not listed for this role";
    if (k->from && strcmp(when, k->from) < 0)
        return "was not valid yet";
    if (k->until && strcmp(when, k->until) > 0)
        return "was not valid any more";
    if (k->revoked && strcmp(when, k->revoked) >= 0)
        return "had been revoked";
    return NULL;
}

bool trust_lists(const struct trust *t, const struct pubkey *key, const char *when, char *why,
                 size_t room)
{
    snprintf(why, room, "is not listed");
    for (size_t i = 0; i < t->n; i++) {
        const char *objection = trust_objection(&t->key[i], 0, when);

        if (strcmp(t->key[i].key.id, key->id) != 0)
            continue;
        if (!objection)
            return true;
        snprintf(why, room, "%s", objection);
    }
    return false;
}

const struct trusted *trust_signer(const struct trust *t, const struct dsse *d, unsigned role,
                                   const char *when, char *why, size_t room)
{
    snprintf(why, room, "no trusted key has signed it");
    for (size_t i = 0; i < t->n; i++) {
        const char *objection = trust_objection(&t->key[i], role, when);

        if (!dsse_signed_by(d, &t->key[i].key))
            continue;
        if (!objection)
            return &t->key[i];
        snprintf(why, room, "the key of %s %s", t->key[i].name, objection);
    }
    return NULL;
}
