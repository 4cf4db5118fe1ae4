/* SPDX-License-Identifier: Apache-2.0 */
/* validate_sign.c - `hospes validate` key, verify and countersign. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "cli/line.h"
#include "cli/validate.h"
#include "core/path.h"
#include "validation/bundle.h"
#include "validation/trust.h"
#include "validation/vjson.h"

static int key_main(int argc, char **argv)
{
    struct validate_args a = {0};
    struct seckey key;
    struct err e = {0};
    int rc = validate_parse(&validate_key, argc, argv, &a, 1, 1, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && (!*argv[1] || argv[1][strlen(argv[1]) - 1] == '/'))
        rc = err_exit(&e, EX_USAGE_, EINVAL,
                      "a key wants a name, of which its files are NAME.key and NAME.pub");
    if (rc == 0)
        rc = key_make(&key, &e);
    if (rc == 0)
        rc = key_write(&key, argv[1], path_last(argv[1]), &e);
    if (rc == 0)
        printf("%s.key (keep it secret), %s.pub, key id %s\n", argv[1], argv[1], key.pub.id);
    seckey_wipe(&key);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command validate_key = {
    .name = "validate key",
    .args = "NAME",
    .about = "Makes a pair of keys: NAME.key and NAME.pub, files as minisign's.",
    .run = key_main,
};

/* --- verify --- */

static int verify_role(const struct validate_args *a, unsigned *role, struct err *e)
{
    *role = a->role ? trust_role_of(a->role) : 0;
    if (a->role && !*role)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--role is runner, suite-owner, guest-vendor, host-vendor or publisher, "
                        "not %s",
                        a->role);
    return 0;
}

static size_t verify_validated(const struct bundle *b)
{
    size_t n = 0;

    for (size_t i = 0; i < bundle_records(b); i++)
        n += bundle_record(b, i)->validated;
    return n;
}

static void verify_tell(const struct bundle *b)
{
    const struct dsse *d = bundle_statement(b);
    size_t n = bundle_records(b);

    printf("sound: every byte of %s agrees with its statement\n", bundle_name(b));
    if (bundle_packed_elsewhere(b))
        printf("note: another release of zstd packed it, so the packing itself was not compared\n");
    printf("file %s\nfinished %s, %zu cell%s, %zu validated\n", bundle_sha256(b),
           bundle_finished(b), n, n == 1 ? "" : "s", verify_validated(b));
    for (size_t i = 0; i < d->sigs; i++)
        printf("signed by key %s\n", d->sig[i].keyid);
}

/* who NULL: nobody was asked for, or none of those has signed. */
static void verify_json(const struct bundle *b, const char *who)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();
    const struct dsse *d = bundle_statement(b);

    vjson_add_text(o, "bundle", bundle_name(b));
    vjson_add_text(o, "sha256", bundle_sha256(b));
    vjson_add_text(o, "finished", bundle_finished(b));
    vjson_add_number(o, "cells", bundle_records(b));
    vjson_add_number(o, "validated", verify_validated(b));
    for (size_t i = 0; i < d->sigs; i++)
        json_object_array_add(list, json_object_new_string(d->sig[i].keyid));
    json_object_object_add(o, "signed-by", list);
    vjson_add_text(o, "trusted", who);
    line_json(o);
}

/* Into who, 64 bytes, whom the list trusts. */
static int verify_trust(const struct bundle *b, const struct validate_args *a, unsigned role,
                        char *who, struct err *e)
{
    const struct trusted *key;
    struct trust t = {0};
    char why[300];
    int rc = trust_read(a->trust, &t, e);

    if (rc == 0) {
        key = trust_signer(&t, bundle_statement(b), role, bundle_finished(b), why, sizeof(why));
        if (key)
            snprintf(who, 64, "%s", key->name);
        else
            rc = err_exit(e, EX_BAD_INPUT, EACCES, "%s: %s", bundle_name(b), why);
    }
    trust_free(&t);
    return rc;
}

static int verify_bundle(const struct validate_args *a, const struct bundle *b, unsigned role,
                         struct err *e)
{
    char who[64] = "";
    int rc = 0;

    if (!a->json)
        verify_tell(b);
    if (a->trust)
        rc = verify_trust(b, a, role, who, e);
    if (a->json)
        verify_json(b, *who ? who : NULL);
    else if (*who)
        printf("trusted: %s signed it%s%s\n", who, a->role ? " as " : "", a->role ? a->role : "");
    else if (!a->trust)
        printf("nobody was asked for: give --trust to say whom you trust\n");
    return rc;
}

static int verify_main(int argc, char **argv)
{
    struct validate_args a = {0};
    struct bundle *b = NULL;
    struct err e = {0};
    unsigned role = 0;
    int rc = validate_parse(&validate_verify, argc, argv, &a, 1, 1, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0)
        rc = verify_role(&a, &role, &e);
    if (rc == 0 && a.role && !a.trust)
        rc = err_exit(&e, EX_USAGE_, EINVAL, "--role needs --trust: who has that role?");
    if (rc == 0)
        rc = bundle_read(argv[1], &b, &e);
    if (rc == 0)
        rc = verify_bundle(&a, b, role, &e);
    bundle_free(b);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option verify_options[] = {
    {"trust", "FILE", "a trust list or a .pub file: one of its keys must have signed",
     validate_set_trust},
    {"role", "ROLE", "that key must be listed for this role", validate_set_role},
    {"json", NULL, "print one JSON object", validate_set_json},
    {NULL},
};

const struct cli_command validate_verify = {
    .name = "validate verify",
    .args = "[OPTION...] BUNDLE",
    .about = "Checks every byte of a bundle, and who signed it.",
    .more = "Ends with 0 if it is sound and, with --trust, signed by a key of that list; else 65.",
    .options = verify_options,
    .run = verify_main,
};

/* --- countersign --- */

static int countersign_main(int argc, char **argv)
{
    struct validate_args a = {0};
    struct seckey key;
    struct err e = {0};
    int rc = validate_parse(&validate_countersign, argc, argv, &a, 1, 1, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && a.keys != 1)
        rc = err_exit(&e, EX_USAGE_, EINVAL, "countersign wants one --key FILE");
    if (rc == 0)
        rc = key_read_secret(a.key[0], &key, &e);
    if (rc == 0) {
        rc = bundle_countersign(argv[1], a.out ? a.out : argv[1], &key, &e);
        seckey_wipe(&key);
    }
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option countersign_options[] = {
    {"key", "FILE", "the secret key that signs", validate_set_key},
    {"out", "FILE", "write the bundle there (default: in its place)", validate_set_out},
    {NULL},
};

const struct cli_command validate_countersign = {
    .name = "validate countersign",
    .args = "--key FILE [OPTION...] BUNDLE",
    .about = "Checks a bundle and adds a signature to those that it has.",
    .options = countersign_options,
    .run = countersign_main,
};
