/* SPDX-License-Identifier: Apache-2.0 */
/* key.c - see key.h. File layouts: minisign(1), "Signature format" and "Secret key format". */
#define _GNU_SOURCE
#include "validation/key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"

enum {
    KEY_FILE_MAX = 4096,
    KEY_PUB_BYTES = 2 + KEY_NUMBER + KEY_PUBLIC,
    /* algorithm, kdf, checksum algorithm, salt, two limits; number, secret key, checksum */
    KEY_SEC_HEAD = 2 + 2 + 2 + 32 + 8 + 8,
    KEY_SEC_BYTES = KEY_SEC_HEAD + KEY_NUMBER + KEY_SECRET + 32,
    KEY_MINISIG_BYTES = 2 + KEY_NUMBER + KEY_SIG,
    KEY_COMMENT_MAX = 512,
};

static bool key_ready(void)
{
    return sodium_init() >= 0; /* any number of times, any thread */
}

static void key_id(struct pubkey *k)
{
    sha256_text(k->key, sizeof(k->key), k->id);
}

void sha256_text(const void *data, size_t len, char out[V_SHA_TEXT])
{
    unsigned char digest[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(digest, data, len);
    sodium_bin2hex(out, V_SHA_TEXT, digest, sizeof(digest));
}

int sha256_file(const char *path, char out[V_SHA_TEXT], uint64_t *size, struct err *e)
{
    unsigned char digest[crypto_hash_sha256_BYTES], *buf = malloc(MiB);
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    crypto_hash_sha256_state st;
    uint64_t sum = 0;
    ssize_t n = 0;

    if (fd < 0 || !buf) {
        rc = err_set(e, fd < 0 ? errno : ENOMEM, "cannot read %s: %s", path, strerror(errno));
        goto out;
    }
    crypto_hash_sha256_init(&st);
    while ((n = read(fd, buf, MiB)) > 0) {
        crypto_hash_sha256_update(&st, buf, (unsigned long long)n);
        sum += (uint64_t)n;
    }
    if (n < 0)
        rc = err_set(e, errno, "cannot read %s: %s", path, strerror(errno));
    crypto_hash_sha256_final(&st, digest);
    sodium_bin2hex(out, V_SHA_TEXT, digest, sizeof(digest));
    if (size)
        *size = sum;
out:
    if (fd >= 0)
        close(fd);
    free(buf);
    return rc;
}

int key_make(struct seckey *out, struct err *e)
{
    if (!key_ready())
        return err_set(e, EIO, "libsodium finds no random numbers");
    crypto_sign_keypair(out->pub.key, out->key);
    key_id(&out->pub);
    sodium_hex2bin(out->pub.number, KEY_NUMBER, out->pub.id, (size_t)2 * KEY_NUMBER, NULL, NULL,
                   NULL);
    return 0;
}

void seckey_wipe(struct seckey *k)
{
    sodium_memzero(k, sizeof(*k));
}

/* --- files --- */

/* A text that must not exist yet; synced, or gone after an error. */
static int key_write_text(const char *path, unsigned mode, const char *text, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    size_t len = strlen(text);

    if (fd < 0 && errno == EEXIST)
        return err_exit(e, EX_USAGE_, EEXIST, "%s is there already: choose another name", path);
    if (fd < 0)
        return err_set(e, errno, "cannot make %s: %s", path, strerror(errno));
    if (write(fd, text, len) != (ssize_t)len || fsync(fd) < 0) {
        int rc = err_set(e, errno ? errno : ENOSPC, "cannot write %s: %s", path, strerror(errno));

        close(fd);
        unlink(path);
        return rc;
    }
    close(fd);
    return 0;
}

/* The bytes in base64 on line `line` (from 0) of a text. */
static bool key_decode_line(const char *text, unsigned line, uint8_t *out, size_t size)
{
    size_t got = 0, len;
    const char *end;

    for (; line > 0; line--) {
        text = strchr(text, '\n');
        if (!text)
            return false;
        text++;
    }
    len = strcspn(text, "\r\n");
    if (sodium_base642bin(out, size, text, len, NULL, &got, &end, sodium_base64_VARIANT_ORIGINAL) <
        0)
        return false;
    return got == size && end == text + len;
}

void pubkey_to_text(const struct pubkey *k, char out[KEY_PUBLIC_TEXT])
{
    uint8_t b[KEY_PUB_BYTES];

    memcpy(b, "Ed", 2);
    memcpy(b + 2, k->number, KEY_NUMBER);
    memcpy(b + 2 + KEY_NUMBER, k->key, KEY_PUBLIC);
    sodium_bin2base64(out, KEY_PUBLIC_TEXT, b, sizeof(b), sodium_base64_VARIANT_ORIGINAL);
}

int pubkey_from_text(const char *text, struct pubkey *out, struct err *e)
{
    uint8_t b[KEY_PUB_BYTES];

    if (!key_decode_line(text, 0, b, sizeof(b)) || memcmp(b, "Ed", 2) != 0)
        return err_set(e, EINVAL, "\"%.60s\" is no minisign public key", text);
    memcpy(out->number, b + 2, KEY_NUMBER);
    memcpy(out->key, b + 2 + KEY_NUMBER, KEY_PUBLIC);
    key_id(out);
    return 0;
}

static void key_checksum(const struct seckey *k, uint8_t out[32])
{
    crypto_generichash_state st;

    crypto_generichash_init(&st, NULL, 0, 32);
    crypto_generichash_update(&st, (const uint8_t *)"Ed", 2);
    crypto_generichash_update(&st, k->pub.number, KEY_NUMBER);
    crypto_generichash_update(&st, k->key, KEY_SECRET);
    crypto_generichash_final(&st, out, 32);
}

/* One line, whatever the name is. */
static void comment_of(const char *text, char out[200])
{
    snprintf(out, 200, "%s", text);
    for (char *c = out; *c; c++)
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c;
}

int key_write(const struct seckey *k, const char *base, const char *name, struct err *e)
{
    char path[1024], text[1024], b64[512], comment[200];
    uint8_t b[KEY_SEC_BYTES] = "Ed\0\0B2", *at = b + KEY_SEC_HEAD;
    int n = snprintf(path, sizeof(path), "%s.key", base), rc;

    if (n < 0 || (size_t)n >= sizeof(path))
        return err_exit(e, EX_USAGE_, ENAMETOOLONG, "the name of the key is too long");
    comment_of(name, comment);
    memcpy(at, k->pub.number, KEY_NUMBER);
    memcpy(at + KEY_NUMBER, k->key, KEY_SECRET);
    key_checksum(k, at + KEY_NUMBER + KEY_SECRET);
    sodium_bin2base64(b64, sizeof(b64), b, sizeof(b), sodium_base64_VARIANT_ORIGINAL);
    snprintf(text, sizeof(text), "untrusted comment: secret key of %s\n%s\n", comment, b64);
    rc = key_write_text(path, 0600, text, e);
    sodium_memzero(b, sizeof(b));
    sodium_memzero(b64, sizeof(b64));
    sodium_memzero(text, sizeof(text));
    if (rc < 0)
        return rc;
    pubkey_to_text(&k->pub, b64);
    snprintf(text, sizeof(text), "untrusted comment: %s\n%.100s\n", comment, b64);
    snprintf(path, sizeof(path), "%s.pub", base);
    rc = key_write_text(path, 0644, text, e);
    if (rc < 0) { /* half a pair is no use */
        snprintf(path, sizeof(path), "%s.key", base);
        unlink(path);
    }
    return rc;
}

static int key_read_text(const char *path, char out[KEY_FILE_MAX], struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, KEY_FILE_MAX - 1);
    int code = errno;

    if (fd >= 0)
        close(fd);
    if (n < 0)
        return err_set(e, code, "cannot read the key %s: %s", path, strerror(code));
    out[n] = '\0';
    return 0;
}

int key_read_public(const char *path, struct pubkey *out, struct err *e)
{
    char text[KEY_FILE_MAX];
    uint8_t b[KEY_PUB_BYTES];
    int rc = key_read_text(path, text, e);

    if (rc < 0)
        return rc;
    if (!key_decode_line(text, 1, b, sizeof(b)) || memcmp(b, "Ed", 2) != 0)
        return err_set(e, EINVAL, "%s is no minisign public key: give a .pub file", path);
    memcpy(out->number, b + 2, KEY_NUMBER);
    memcpy(out->key, b + 2 + KEY_NUMBER, KEY_PUBLIC);
    key_id(out);
    return 0;
}

static int key_decode_secret(const char *path, const uint8_t *b, struct seckey *out, struct err *e)
{
    uint8_t sum[32];

    if (memcmp(b, "Ed", 2) != 0)
        return err_set(e, EINVAL, "%s is no minisign secret key: give a .key file", path);
    if (memcmp(b + 2, "\0\0", 2) != 0)
        return err_set(e, EINVAL,
                       "%s has a password: take it off with minisign -C -W -s FILE, or make a key "
                       "with hospes validate key",
                       path);
    b += KEY_SEC_HEAD;
    memcpy(out->pub.number, b, KEY_NUMBER);
    memcpy(out->key, b + KEY_NUMBER, KEY_SECRET);
    key_checksum(out, sum);
    crypto_sign_ed25519_sk_to_pk(out->pub.key, out->key);
    key_id(&out->pub);
    /* Keys that minisign wrote without a password may carry a checksum of zeros. */
    if (sodium_memcmp(sum, b + KEY_NUMBER + KEY_SECRET, sizeof(sum)) != 0 &&
        !sodium_is_zero(b + KEY_NUMBER + KEY_SECRET, sizeof(sum)))
        return err_set(e, EINVAL, "%s is damaged: its checksum is wrong", path);
    return 0;
}

int key_read_secret(const char *path, struct seckey *out, struct err *e)
{
    char text[KEY_FILE_MAX];
    uint8_t b[KEY_SEC_BYTES];
    int rc = key_ready() ? key_read_text(path, text, e) : err_set(e, EIO, "libsodium fails");

    if (rc < 0)
        return rc;
    if (!key_decode_line(text, 1, b, sizeof(b)))
        rc = err_set(e, EINVAL, "%s is no minisign secret key: give a .key file", path);
    else
        rc = key_decode_secret(path, b, out, e);
    sodium_memzero(text, sizeof(text));
    sodium_memzero(b, sizeof(b));
    return rc;
}

/* --- signatures --- */

void key_sign(const struct seckey *k, const void *data, size_t len, uint8_t sig[KEY_SIG])
{
    crypto_sign_detached(sig, NULL, data, len, k->key);
}

bool key_verify(const struct pubkey *k, const void *data, size_t len, const uint8_t sig[KEY_SIG])
{
    return crypto_sign_verify_detached(sig, data, len, k->key) == 0;
}

/* What the second signature of a minisign file covers: the first one and the trusted comment. */
static size_t minisig_global(const uint8_t sig[KEY_SIG], const char *comment, size_t len,
                             uint8_t out[KEY_SIG + KEY_COMMENT_MAX])
{
    memcpy(out, sig, KEY_SIG);
    memcpy(out + KEY_SIG, comment, len);
    return KEY_SIG + len;
}

static int minisig_print(const uint8_t b[KEY_MINISIG_BYTES], const char *comment, size_t n,
                         const uint8_t global[KEY_SIG], char **out)
{
    char one[128], two[128];

    sodium_bin2base64(one, sizeof(one), b, KEY_MINISIG_BYTES, sodium_base64_VARIANT_ORIGINAL);
    sodium_bin2base64(two, sizeof(two), global, KEY_SIG, sodium_base64_VARIANT_ORIGINAL);
    return asprintf(out,
                    "untrusted comment: signature of a hospes bundle\n%s\ntrusted comment: %.*s\n"
                    "%s\n",
                    one, (int)n, comment, two);
}

int minisig_make(const struct seckey *k, const void *data, size_t len, const char *comment,
                 char **out, struct err *e)
{
    uint8_t hash[64], b[KEY_MINISIG_BYTES], global[KEY_SIG], all[KEY_SIG + KEY_COMMENT_MAX];

    if (strlen(comment) > KEY_COMMENT_MAX || strchr(comment, '\n'))
        return err_set(e, EINVAL, "a signature's comment is one line of up to %d bytes",
                       KEY_COMMENT_MAX);
    crypto_generichash(hash, sizeof(hash), data, len, NULL, 0);
    memcpy(b, "ED", 2);
    memcpy(b + 2, k->pub.number, KEY_NUMBER);
    key_sign(k, hash, sizeof(hash), b + 2 + KEY_NUMBER);
    key_sign(k, all, minisig_global(b + 2 + KEY_NUMBER, comment, strlen(comment), all), global);
    if (minisig_print(b, comment, strlen(comment), global, out) < 0)
        return err_set(e, ENOMEM, "no memory for a signature");
    return 0;
}

/* The parts of a signature file; comment is inside the text. */
static bool minisig_parts(const char *text, uint8_t b[KEY_MINISIG_BYTES], const char **comment,
                          size_t *n, uint8_t global[KEY_SIG])
{
    static const char trusted[] = "trusted comment: ";
    const char *at = strchr(text, '\n');

    at = at ? strchr(at + 1, '\n') : NULL;
    if (!at || strncmp(++at, trusted, strlen(trusted)) != 0)
        return false;
    *comment = at + strlen(trusted);
    *n = strcspn(*comment, "\n");
    return *n <= KEY_COMMENT_MAX && key_decode_line(text, 1, b, KEY_MINISIG_BYTES) &&
           key_decode_line(text, 3, global, KEY_SIG);
}

bool minisig_ours(const char *text, size_t len)
{
    uint8_t b[KEY_MINISIG_BYTES], global[KEY_SIG];
    const char *comment;
    char *again = NULL;
    size_t n;
    bool same;

    if (!minisig_parts(text, b, &comment, &n, global) ||
        minisig_print(b, comment, n, global, &again) < 0)
        return false;
    same = strlen(again) == len && memcmp(again, text, len) == 0;
    free(again);
    return same;
}

bool minisig_good(const struct pubkey *k, const char *text, const void *data, size_t len)
{
    uint8_t hash[64], b[KEY_MINISIG_BYTES], global[KEY_SIG], all[KEY_SIG + KEY_COMMENT_MAX];
    const char *comment;
    size_t n;

    if (!minisig_parts(text, b, &comment, &n, global))
        return false;
    if (memcmp(b, "ED", 2) != 0 || memcmp(b + 2, k->number, KEY_NUMBER) != 0)
        return false;
    crypto_generichash(hash, sizeof(hash), data, len, NULL, 0);
    return key_verify(k, hash, sizeof(hash), b + 2 + KEY_NUMBER) &&
           key_verify(k, all, minisig_global(b + 2 + KEY_NUMBER, comment, n, all), global);
}
