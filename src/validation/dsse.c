/* SPDX-License-Identifier: Apache-2.0 */
/* dsse.c - see dsse.h. */
#define _GNU_SOURCE
#include "validation/dsse.h"

#include <errno.h>
#include <json-c/json.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "validation/vjson.h"

int dsse_create(struct dsse *d, const char *type, const void *payload, size_t len, struct err *e)
{
    memset(d, 0, sizeof(*d));
    if (len > DSSE_PAYLOAD_MAX)
        return err_set(e, E2BIG, "a statement of %zu bytes is too long", len);
    d->type = strdup(type);
    d->payload = malloc(len + 1);
    if (!d->type || !d->payload) {
        dsse_free(d);
        return err_set(e, ENOMEM, "no memory for a statement");
    }
    memcpy(d->payload, payload, len);
    d->payload[len] = '\0';
    d->len = len;
    return 0;
}

void dsse_free(struct dsse *d)
{
    free(d->type);
    free(d->payload);
    memset(d, 0, sizeof(*d));
}

/* PAE(type, payload) of protocol.md; malloc()ed. */
static char *dsse_pae(const struct dsse *d, size_t *len)
{
    char head[512], *out;
    int n = snprintf(head, sizeof(head), "DSSEv1 %zu %s %zu ", strlen(d->type), d->type, d->len);

    if (n < 0 || (size_t)n >= sizeof(head))
        return NULL;
    out = malloc((size_t)n + d->len);
    if (!out)
        return NULL;
    memcpy(out, head, (size_t)n);
    memcpy(out + n, d->payload, d->len);
    *len = (size_t)n + d->len;
    return out;
}

int dsse_sign(struct dsse *d, const struct seckey *k, struct err *e)
{
    size_t len, i = 0;
    char *pae;

    while (i < d->sigs && strcmp(d->sig[i].keyid, k->pub.id) < 0)
        i++;
    if (i == d->sigs || strcmp(d->sig[i].keyid, k->pub.id) != 0) {
        if (d->sigs == DSSE_SIGS_MAX)
            return err_set(e, E2BIG, "a statement has room for %d signatures", DSSE_SIGS_MAX);
        memmove(&d->sig[i + 1], &d->sig[i], (d->sigs - i) * sizeof(d->sig[0]));
        d->sigs++;
    }
    pae = dsse_pae(d, &len);
    if (!pae)
        return err_set(e, ENOMEM, "no memory to sign");
    memcpy(d->sig[i].keyid, k->pub.id, sizeof(k->pub.id));
    key_sign(k, pae, len, d->sig[i].sig);
    free(pae);
    return 0;
}

bool dsse_signed_by(const struct dsse *d, const struct pubkey *k)
{
    bool good = false;

    for (size_t i = 0; i < d->sigs && !good; i++) {
        size_t len;
        char *pae;

        if (strcmp(d->sig[i].keyid, k->id) != 0)
            continue;
        pae = dsse_pae(d, &len);
        good = pae && key_verify(k, pae, len, d->sig[i].sig);
        free(pae);
    }
    return good;
}

int dsse_to_json(const struct dsse *d, char **out, struct err *e)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();
    size_t room = sodium_base64_encoded_len(d->len, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(room), sig[128];

    if (!text) {
        json_object_put(o);
        json_object_put(list);
        return err_set(e, ENOMEM, "no memory for a statement");
    }
    sodium_bin2base64(text, room, (const uint8_t *)d->payload, d->len,
                      sodium_base64_VARIANT_ORIGINAL);
    vjson_add_text(o, "payloadType", d->type);
    vjson_add_text(o, "payload", text);
    free(text);
    for (size_t i = 0; i < d->sigs; i++) {
        struct json_object *s = json_object_new_object();

        sodium_bin2base64(sig, sizeof(sig), d->sig[i].sig, KEY_SIG, sodium_base64_VARIANT_ORIGINAL);
        vjson_add_text(s, "keyid", d->sig[i].keyid);
        vjson_add_text(s, "sig", sig);
        json_object_array_add(list, s);
    }
    json_object_object_add(o, "signatures", list);
    return vjson_print(o, out, e);
}

static void dsse_read_sig(struct vjson *j, struct dsse *d, struct json_object *o)
{
    struct dsse_sig *s = &d->sig[d->sigs];
    char *text = NULL;
    size_t got = 0;

    vjson_sha(j, o, "keyid", s->keyid);
    vjson_text(j, o, "sig", true, &text);
    if (j->rc == 0 && (sodium_base642bin(s->sig, KEY_SIG, text, strlen(text), NULL, &got, NULL,
                                         sodium_base64_VARIANT_ORIGINAL) < 0 ||
                       got != KEY_SIG))
        vjson_bad(j, "sig", "an Ed25519 signature in base64");
    if (j->rc == 0 && d->sigs && strcmp(d->sig[d->sigs - 1].keyid, s->keyid) >= 0)
        vjson_bad(j, "signatures", "in the order of key ids");
    free(text);
    d->sigs += j->rc == 0;
}

/* The payload may be longer than other texts. */
static void dsse_read_payload(struct vjson *j, struct dsse *d)
{
    struct json_object *v = NULL;
    const char *text;
    size_t len, got = 0;

    if (j->rc < 0)
        return;
    if (!json_object_object_get_ex(j->top, "payload", &v) ||
        !json_object_is_type(v, json_type_string)) {
        vjson_bad(j, "payload", "there");
        return;
    }
    text = json_object_get_string(v);
    len = (size_t)json_object_get_string_len(v);
    d->payload = malloc(len / 4 * 3 + 4);
    if (!d->payload) {
        j->rc = err_set(j->e, ENOMEM, "no memory for a statement");
        return;
    }
    if (sodium_base642bin((uint8_t *)d->payload, len / 4 * 3 + 3, text, len, NULL, &got, NULL,
                          sodium_base64_VARIANT_ORIGINAL) < 0)
        vjson_bad(j, "payload", "base64");
    d->payload[got] = '\0';
    d->len = got;
}

int dsse_from_json(struct dsse *d, const char *text, size_t len, struct err *e)
{
    struct json_object *list;
    char *again = NULL;
    struct vjson j;

    memset(d, 0, sizeof(*d));
    vjson_open(&j, "the signed statement", text, len, e);
    vjson_text(&j, j.top, "payloadType", true, &d->type);
    if (j.rc == 0 && strlen(d->type) > 200)
        vjson_bad(&j, "payloadType", "short enough");
    dsse_read_payload(&j, d);
    list = vjson_list(&j, j.top, "signatures", true, DSSE_SIGS_MAX);
    for (size_t i = 0; list && j.rc == 0 && i < json_object_array_length(list); i++)
        dsse_read_sig(&j, d, vjson_item(&j, list, i));
    if (j.rc == 0) {
        j.rc = dsse_to_json(d, &again, e);
        vjson_same(&j, text, len, again);
    }
    vjson_close(&j);
    return j.rc;
}
