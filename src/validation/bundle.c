/* SPDX-License-Identifier: Apache-2.0 */
/* bundle.c - reads a bundle and believes nothing in it; see bundle.h. */
#define _GNU_SOURCE
#include "validation/bundle.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "validation/bundle_priv.h"
#include "validation/text.h"

struct bundle {
    struct vmembers members;
    struct bundle_facts facts;
    struct dsse statement;
    char sha256[V_SHA_TEXT];
    bool elsewhere;
};

void bundle_free(struct bundle *b)
{
    if (!b)
        return;
    vmembers_free(&b->members);
    bundle_facts_free(&b->facts);
    dsse_free(&b->statement);
    free(b);
}

/* --- what must follow from the records --- */

static int same_text(void *arg, struct vmembers *l, const char *name, const char *text, size_t len,
                     struct err *e)
{
    const struct vmember *m = vmembers_find(l, name);

    if (!m)
        return err_set(e, EINVAL, "member %s is missing", name);
    for (size_t i = 0; i < len && i < m->len; i++) {
        if (m->data[i] != text[i])
            return err_set(e, EINVAL, "member %s does not follow from the records: byte %zu", name,
                           i);
    }
    if (m->len != len)
        return err_set(e, EINVAL,
                       "member %s does not follow from the records: it has %zu bytes, "
                       "not %zu",
                       name, m->len, len);
    return 0;
}

static int read_packer(struct bundle *b, struct err *e)
{
    const struct vmember *m = vmembers_find(&b->members, "manifest.json");
    char *packer = NULL;
    struct vjson j;

    if (!m)
        return err_set(e, EINVAL, "there is no manifest.json");
    vjson_open(&j, "manifest.json", m->data, m->len, e);
    vjson_text(&j, j.top, "packer", true, &packer);
    if (j.rc == 0)
        snprintf(b->facts.packer, sizeof(b->facts.packer), "%s", packer);
    free(packer);
    vjson_close(&j);
    return j.rc;
}

/* --- signatures --- */

static int read_envelope(const struct bundle *b, const char *name, const char *payload,
                         struct dsse *d, struct err *e)
{
    const struct vmember *m = vmembers_find(&b->members, name);
    int rc;

    memset(d, 0, sizeof(*d));
    if (!m)
        return err_set(e, EINVAL, "member %s is missing: the bundle is not signed", name);
    rc = dsse_from_json(d, m->data, m->len, e);
    if (rc < 0)
        return err_wrap(e, "%s", name);
    if (strcmp(d->type, DSSE_INTOTO) != 0)
        return err_set(e, EINVAL, "%s carries \"%.60s\", not an in-toto statement", name, d->type);
    if (strcmp(d->payload, payload) != 0 || d->len != strlen(payload))
        return err_set(e, EINVAL, "%s states something else than the records", name);
    if (d->sigs == 0)
        return err_set(e, EINVAL, "%s has no signature", name);
    return 0;
}

static int check_signer(const struct bundle *b, const struct dsse *other, const char *keyid,
                        struct err *e)
{
    const struct vmember *sums = vmembers_find(&b->members, "SHA256SUMS"), *pub, *sig;
    char name[64], text[KEY_PUBLIC_TEXT], wanted[512];
    const char *line;
    struct pubkey key;
    int rc;

    snprintf(name, sizeof(name), "signatures/%.16s.pub", keyid);
    pub = vmembers_find(&b->members, name);
    if (!pub)
        return err_set(e, EINVAL,
                       "signatures/statement.json has a signature whose key %s is missing", name);
    line = strchr(pub->data, '\n');
    rc = pubkey_from_text(line ? line + 1 : "", &key, e);
    if (rc < 0)
        return err_wrap(e, "%s", name);
    pubkey_to_text(&key, text);
    snprintf(wanted, sizeof(wanted), "untrusted comment: %.16s\n%s\n", key.id, text);
    if (strcmp(key.id, keyid) != 0 || strcmp(pub->data, wanted) != 0 || strlen(wanted) != pub->len)
        return err_set(e, EINVAL, "%s is not the key that signatures/statement.json names", name);
    if (!dsse_signed_by(&b->statement, &key))
        return err_set(e, EINVAL, "signatures/statement.json: the signature of key %.16s is bad",
                       keyid);
    if (!dsse_signed_by(other, &key))
        return err_set(e, EINVAL, "signatures/test-result.json: the signature of key %.16s is bad",
                       keyid);
    snprintf(name, sizeof(name), "signatures/%.16s.minisig", keyid);
    sig = vmembers_find(&b->members, name);
    if (!sig || !sums)
        return err_set(e, EINVAL, "member %s is missing", sig ? "SHA256SUMS" : name);
    if (!minisig_ours(sig->data, sig->len) || !minisig_good(&key, sig->data, sums->data, sums->len))
        return err_set(e, EINVAL, "%s is no good signature of SHA256SUMS", name);
    return 0;
}

/* Nothing that no signature vouches for. */
static int check_strays(const struct bundle *b, const struct dsse *other, struct err *e)
{
    size_t n = 0;

    if (other->sigs != b->statement.sigs)
        return err_set(e, EINVAL, "the two statements do not have the same signers");
    for (size_t i = 0; i < b->members.n; i++)
        n += strncmp(b->members.m[i].name, "signatures/", 11) == 0;
    if (n != 2 + 2 * b->statement.sigs)
        return err_set(e, EINVAL, "signatures/ holds files of no signature");
    return 0;
}

static int check_signatures(struct bundle *b, struct err *e)
{
    char *payload = NULL, *result = NULL;
    struct dsse other = {0};
    int rc = bundle_statement_text(&b->facts, &b->members, &payload, e);

    if (rc == 0)
        rc = bundle_test_result_text(&b->facts, &b->members, &result, e);
    if (rc == 0)
        rc = read_envelope(b, "signatures/statement.json", payload, &b->statement, e);
    if (rc == 0)
        rc = read_envelope(b, "signatures/test-result.json", result, &other, e);
    if (rc == 0)
        rc = check_strays(b, &other, e);
    for (size_t i = 0; rc == 0 && i < b->statement.sigs; i++)
        rc = check_signer(b, &other, b->statement.sig[i].keyid, e);
    dsse_free(&other);
    free(payload);
    free(result);
    return rc;
}

/* --- reading --- */

/* The same packer gives the same file. */
static int check_packing(struct bundle *b, const char *tar, size_t tar_len, const char *data,
                         size_t len, struct err *e)
{
    char ours[64], *again;
    size_t n, i = 0;
    int rc;

    zst_packer(ours, sizeof(ours));
    b->elsewhere = strcmp(ours, b->facts.packer) != 0;
    if (b->elsewhere)
        return 0;
    rc = zst_pack(tar, tar_len, &again, &n, e);
    if (rc < 0)
        return rc;
    while (i < n && i < len && again[i] == data[i])
        i++;
    free(again);
    if (i < n || i < len)
        return err_set(e, EINVAL, "byte %zu of the file is not what packing its members gives", i);
    return 0;
}

/* Names the member that was changed, before anything that follows from it is found to differ. The
 * list itself is judged later: bundle_derive() makes it again. */
static int check_sums(const struct bundle *b, struct err *e)
{
    const struct vmember *sums = vmembers_find(&b->members, "SHA256SUMS"), *m;
    char sha[V_SHA_TEXT], name[V_NAME_MAX + 1];

    for (size_t at = 0; sums && at < sums->len;) {
        const char *line = sums->data + at, *end = memchr(line, '\n', sums->len - at);
        size_t n = end ? (size_t)(end - line) : sums->len - at, skip = V_SHA_TEXT - 1 + 2;

        at += n + 1;
        if (n <= skip || n - skip > V_NAME_MAX)
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)(n - skip), line + skip);
        m = vmembers_find(&b->members, name);
        if (!m)
            return err_set(e, EINVAL, "member %s is missing, which SHA256SUMS lists", name);
        sha256_text(m->data, m->len, sha);
        if (memcmp(sha, line, V_SHA_TEXT - 1) != 0)
            return err_set(e, EINVAL, "member %s is not what SHA256SUMS says", name);
    }
    return 0;
}

static int bundle_fill(struct bundle *b, const char *data, size_t len, struct err *e)
{
    char *tar = NULL;
    size_t tar_len;
    int rc = zst_unpack(data, len, BUNDLE_BYTES_MAX, &tar, &tar_len, e);

    if (rc < 0)
        return rc;
    rc = tar_unpack(tar, tar_len, &b->members, e);
    if (rc == 0)
        rc = check_sums(b, e);
    if (rc == 0)
        rc = bundle_facts_read(&b->facts, &b->members, e);
    if (rc == 0)
        rc = read_packer(b, e);
    if (rc == 0)
        rc = bundle_derive(&b->facts, &b->members, same_text, NULL, e);
    if (rc == 0)
        rc = check_signatures(b, e);
    if (rc == 0)
        rc = check_packing(b, tar, tar_len, data, len, e);
    free(tar);
    return rc;
}

int bundle_parse(const void *data, size_t len, const char *path, struct bundle **out, struct err *e)
{
    struct bundle *b = calloc(1, sizeof(*b));
    int rc;

    if (!b)
        return err_set(e, ENOMEM, "no memory for a bundle");
    sha256_text(data, len, b->sha256);
    rc = bundle_fill(b, data, len, e);
    if (rc < 0) {
        bundle_free(b);
        return err_wrap(e, "%s", path);
    }
    *out = b;
    return 0;
}

int bundle_read(const char *path, struct bundle **out, struct err *e)
{
    char *data;
    size_t len;
    int rc = vtext_read(path, BUNDLE_BYTES_MAX, &data, &len, e);

    if (rc < 0)
        return rc;
    rc = bundle_parse(data, len, path, out, e);
    free(data);
    return rc;
}

const char *bundle_sha256(const struct bundle *b)
{
    return b->sha256;
}

const char *bundle_name(const struct bundle *b)
{
    return b->facts.record[0].plan;
}

const char *bundle_finished(const struct bundle *b)
{
    return b->facts.finished;
}

bool bundle_packed_elsewhere(const struct bundle *b)
{
    return b->elsewhere;
}

const struct dsse *bundle_statement(const struct bundle *b)
{
    return &b->statement;
}

size_t bundle_records(const struct bundle *b)
{
    return b->facts.records;
}

const struct vrecord *bundle_record(const struct bundle *b, size_t i)
{
    return &b->facts.record[i];
}

const char *bundle_record_sha256(const struct bundle *b, size_t i)
{
    return b->facts.record_sha[i];
}

bool bundle_file(const struct bundle *b, const char *name, const char **data, size_t *len)
{
    const struct vmember *m = vmembers_find(&b->members, name);

    if (!m)
        return false;
    *data = m->data;
    *len = m->len;
    return true;
}

const char *bundle_file_name(const struct bundle *b, size_t i)
{
    return i < b->members.n ? b->members.m[i].name : NULL;
}
