/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, envelopes, trust, and bundles in which any changed byte is found. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "fake_vm.h"
#include "lab.h"
#include "unit.h"
#include "validation/bundle.h"
#include "validation/pack.h"
#include "validation/trust.h"

static struct lab lab;
static struct seckey one, two;
static char path[400];

static int set_up(void **state)
{
    struct vrecord r;
    struct err e = {0};

    lab_open(&lab, NULL, "");
    fake_info = "{\"persona\":\"kvm\",\"guest\":[{\"id\":\"guest\",\"model\":\"x\"}]}";
    for (size_t i = 0; i < 2; i++) {
        lab_run(&lab, i, &r);
        vrecord_free(&r);
    }
    assert_int_equal(key_make(&one, &e), 0);
    assert_int_equal(key_make(&two, &e), 0);
    snprintf(path, sizeof(path), "%s/b.tar.zst", lab.dir);
    return 0;
}

static int tear_down(void **state)
{
    lab_close(&lab);
    return 0;
}

static void make(void)
{
    struct err e = {0};

    if (bundle_write(lab.out, path, &one, 1, &e) < 0)
        fail_msg("%s", e.msg);
}

static struct bundle *take(void)
{
    struct bundle *b;
    struct err e = {0};

    if (bundle_read(path, &b, &e) < 0)
        fail_msg("%s", e.msg);
    return b;
}

static void the_same_results_give_the_same_bytes(void **state)
{
    struct bundle *a, *b;
    struct stat st;

    make();
    a = take();
    assert_int_equal(bundle_records(a), 2);
    assert_string_equal(bundle_record(a, 0)->cell, "linux.kvm.c1.m256.raw.user");
    assert_int_equal(stat(path, &st), 0);
    make();
    b = take();
    assert_string_equal(bundle_sha256(a), bundle_sha256(b));
    assert_false(bundle_packed_elsewhere(a));
    bundle_free(a);
    bundle_free(b);
}

static void any_changed_byte_is_found(void **state)
{
    struct err e = {0};
    struct bundle *b;
    char *data;
    size_t len;

    make();
    assert_int_equal(vtext_read(path, 1 << 24, &data, &len, &e), 0);
    for (size_t i = 0; i < len; i++) {
        for (int bit = 0; bit < 8; bit += 7) {
            data[i] ^= (char)(1 << bit);
            memset(&e, 0, sizeof(e));
            if (bundle_parse(data, len, "b", &b, &e) == 0)
                fail_msg("bit %d of byte %zu of %zu may be changed", bit, i, len);
            assert_true(e.msg[0]);
            data[i] ^= (char)(1 << bit);
        }
    }
    assert_true(bundle_parse(data, len - 1, "b", &b, &e) < 0);
    assert_true(bundle_parse(data, 0, "b", &b, &e) < 0);
    free(data);
}

/* Packs members as they are, without making anything follow. */
static int pack_and_read(const struct vmembers *l, struct err *e)
{
    struct bundle *b;
    size_t tar_len, len;
    char *tar, *zst;
    int rc;

    assert_int_equal(tar_pack(l, &tar, &tar_len, e), 0);
    assert_int_equal(zst_pack(tar, tar_len, &zst, &len, e), 0);
    rc = bundle_parse(zst, len, "b", &b, e);
    if (rc == 0)
        bundle_free(b);
    free(tar);
    free(zst);
    return rc;
}

static void members_of(const struct bundle *b, struct vmembers *l)
{
    struct err e = {0};
    const char *data;
    size_t len;

    for (size_t i = 0; bundle_file_name(b, i); i++) {
        assert_true(bundle_file(b, bundle_file_name(b, i), &data, &len));
        assert_int_equal(vmembers_add(l, bundle_file_name(b, i), data, len, &e), 0);
    }
}

/* Whoever changes a member and packs anew is found, and the member is named. */
static void a_changed_member_is_named(void **state)
{
    struct vmembers l = {0};
    struct err e = {0};
    struct bundle *b;

    make();
    b = take();
    members_of(b, &l);
    assert_int_equal(pack_and_read(&l, &e), 0);
    for (size_t i = 0; i < l.n; i++) {
        struct vmember *m = &l.m[i];
        const char *base = strrchr(m->name, '/') ? strrchr(m->name, '/') + 1 : m->name;

        if (m->len == 0)
            continue;
        for (size_t at = 0; at < m->len; at += 1 + m->len / 256) {
            m->data[at] ^= 1;
            memset(&e, 0, sizeof(e));
            if (pack_and_read(&l, &e) == 0)
                fail_msg("byte %zu of %s may be changed", at, m->name);
            /* A key and its signature accuse each other. */
            if (!strstr(e.msg, base) && !strstr(e.msg, "cells/") && !strstr(e.msg, ".minisig"))
                fail_msg("%s is changed, and this is said: %s", m->name, e.msg);
            m->data[at] ^= 1;
        }
    }
    for (size_t i = 0; i < l.n; i++) { /* and whoever leaves one out */
        struct vmembers fewer = {.m = l.m, .n = l.n - 1};
        struct vmember last = l.m[l.n - 1], gone = l.m[i];

        memmove(&l.m[i], &l.m[i + 1], (l.n - 1 - i) * sizeof(gone));
        if (pack_and_read(&fewer, &e) == 0)
            fail_msg("%s may be left out", gone.name);
        memmove(&l.m[i + 1], &l.m[i], (l.n - 1 - i) * sizeof(gone));
        l.m[i] = gone;
        (void)last;
    }
    assert_int_equal(vmembers_add(&l, "cells/linux.kvm.c1.m256.raw.user/more.log", "x", 1, &e), 0);
    assert_true(pack_and_read(&l, &e) < 0);
    vmembers_free(&l);
    bundle_free(b);
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
    static const char *const bad[] = {"../x", "/x",     "a//b", "a/",  "",    ".x",
                                      "a/.b", "a/../b", "A",    "a b", "a\nb"};
    struct vmembers l = {0};
    struct err e = {0};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_true(vmembers_add(&l, bad[i], "", 0, &e) < 0);
    assert_int_equal(vmembers_add(&l, "a/b", "", 0, &e), 0);
    assert_int_equal(vmembers_add(&l, "a/b", "", 0, &e), -EEXIST);
    vmembers_free(&l);
}

static void two_may_sign(void **state)
{
    struct err e = {0};
    struct bundle *b;

    make();
    assert_int_equal(bundle_countersign(path, path, &two, &e), 0);
    b = take();
    assert_int_equal(bundle_statement(b)->sigs, 2);
    assert_true(dsse_signed_by(bundle_statement(b), &one.pub));
    assert_true(dsse_signed_by(bundle_statement(b), &two.pub));
    bundle_free(b);
    assert_int_equal(bundle_countersign(path, path, &two, &e), 0); /* again: the same */
    b = take();
    assert_int_equal(bundle_statement(b)->sigs, 2);
    bundle_free(b);
}

static void only_listed_keys_in_their_time_count(void **state)
{
    struct trust t = {0};
    struct err e = {0};
    struct bundle *b;
    char why[300], *text;

    make();
    b = take();
    assert_int_equal(trust_add(&t, &two.pub, "two", ROLE_RUNNER, &e), 0);
    assert_null(trust_signer(&t, bundle_statement(b), 0, bundle_finished(b), why, sizeof(why)));
    assert_false(trust_lists(&t, &one.pub, bundle_finished(b), why, sizeof(why)));
    assert_int_equal(trust_add(&t, &one.pub, "one", ROLE_RUNNER, &e), 0);
    assert_true(trust_lists(&t, &one.pub, bundle_finished(b), why, sizeof(why)));
    assert_non_null(
        trust_signer(&t, bundle_statement(b), ROLE_RUNNER, bundle_finished(b), why, sizeof(why)));
    assert_null(trust_signer(&t, bundle_statement(b), ROLE_GUEST_VENDOR, bundle_finished(b), why,
                             sizeof(why)));
    assert_non_null(strstr(why, "role"));
    assert_int_equal(vtext_set(&t.key[1].revoked, "2001-01-01T00:00:00Z", &e), 0);
    assert_null(trust_signer(&t, bundle_statement(b), 0, bundle_finished(b), why, sizeof(why)));
    assert_non_null(strstr(why, "revoked"));
    why[0] = '\0';
    assert_false(trust_lists(&t, &one.pub, bundle_finished(b), why, sizeof(why)));
    assert_non_null(strstr(why, "revoked"));
    assert_int_equal(trust_to_json(&t, &text, &e), 0);
    trust_free(&t);
    assert_int_equal(trust_from_json(&t, text, strlen(text), &e), 0);
    assert_int_equal(t.n, 2);
    assert_string_equal(t.key[1].revoked, "2001-01-01T00:00:00Z");
    free(text);
    trust_free(&t);
    bundle_free(b);
}

static void a_bundle_needs_a_key_and_results(void **state)
{
    struct err e = {0};

    assert_true(bundle_write(lab.out, path, NULL, 0, &e) < 0);
    assert_true(bundle_write(lab.dir, path, &one, 1, &e) < 0);
    assert_int_equal(access(path, F_OK), -1);
}

static void keys_come_back_from_their_files(void **state)
{
    struct err e = {0};
    struct seckey back;
    struct pubkey pub;
    char base[300], file[320], *text;
    size_t len;

    snprintf(base, sizeof(base), "%s/k", lab.dir);
    assert_int_equal(key_write(&one, base, "k\nin two lines", &e), 0);
    assert_int_equal(key_write(&two, base, "k", &e), -EEXIST);
    snprintf(file, sizeof(file), "%s.key", base);
    assert_int_equal(key_read_secret(file, &back, &e), 0);
    assert_memory_equal(&back, &one, sizeof(one));
    assert_true(key_read_public(file, &pub, &e) < 0);
    assert_int_equal(vtext_read(file, 4096, &text, &len, &e), 0);
    text[len - 4] = text[len - 4] == 'A' ? 'B' : 'A';
    assert_int_equal(vtext_write(file, text, len, &e), 0);
    free(text);
    assert_true(key_read_secret(file, &back, &e) < 0);
    snprintf(file, sizeof(file), "%s.pub", base);
    assert_int_equal(key_read_public(file, &pub, &e), 0);
    assert_string_equal(pub.id, one.pub.id);
    assert_true(key_read_secret(file, &back, &e) < 0);
}

static void a_minisign_signature_covers_its_comment(void **state)
{
    struct err e = {0};
    char *sig, *at;

    assert_int_equal(minisig_make(&one, "data", 4, "comment 1", &sig, &e), 0);
    assert_true(minisig_good(&one.pub, sig, "data", 4));
    assert_false(minisig_good(&two.pub, sig, "data", 4));
    assert_false(minisig_good(&one.pub, sig, "dat1", 4));
    at = strstr(sig, "comment 1");
    at[8] = '2';
    assert_false(minisig_good(&one.pub, sig, "data", 4));
    free(sig);
}

static void an_envelope_has_one_form(void **state)
{
    static const char payload[] = "{\"a\": 1}";
    struct dsse d, back;
    struct err e = {0};
    char *text, *longer;

    assert_int_equal(dsse_create(&d, DSSE_CLAIM, payload, strlen(payload), &e), 0);
    assert_int_equal(dsse_sign(&d, &one, &e), 0);
    assert_int_equal(dsse_sign(&d, &two, &e), 0);
    assert_int_equal(dsse_to_json(&d, &text, &e), 0);
    assert_int_equal(dsse_from_json(&back, text, strlen(text), &e), 0);
    assert_true(dsse_signed_by(&back, &one.pub));
    assert_string_equal(back.payload, payload);
    dsse_free(&back);
    assert_true(asprintf(&longer, "%s ", text) > 0);
    assert_true(dsse_from_json(&back, longer, strlen(longer), &e) < 0);
    dsse_free(&back);
    free(longer);
    d.type[0] = 'A'; /* the type is signed, too */
    assert_false(dsse_signed_by(&d, &one.pub));
    dsse_free(&d);
    free(text);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_same_results_give_the_same_bytes),
        TEST(any_changed_byte_is_found),
        TEST(a_changed_member_is_named),
        TEST(names_that_lead_elsewhere_are_refused),
        TEST(two_may_sign),
        TEST(only_listed_keys_in_their_time_count),
        TEST(a_bundle_needs_a_key_and_results),
        TEST(keys_come_back_from_their_files),
        TEST(a_minisign_signature_covers_its_comment),
        TEST(an_envelope_has_one_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
