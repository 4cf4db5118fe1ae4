/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key.h - Ed25519 keys in minisign's files (jedisct1/minisign, "Signature format"), signatures by
 * libsodium, and SHA-256.
 *
 * Not modelled: secret keys with a password (scrypt); they are refused with a sentence that says
 * so.
 */
#ifndef HOSPES_VALIDATION_KEY_H
#define HOSPES_VALIDATION_KEY_H

#include "core/core.h"
#include "validation/record.h"

enum { KEY_PUBLIC = 32, KEY_SECRET = 64, KEY_SIG = 64, KEY_NUMBER = 8, KEY_PUBLIC_TEXT = 64 };

struct pubkey {
    uint8_t number[KEY_NUMBER]; /* minisign's */
    uint8_t key[KEY_PUBLIC];
    char id[V_SHA_TEXT]; /* SHA-256 of key */
};

struct seckey {
    struct pubkey pub;
    uint8_t key[KEY_SECRET];
};

void sha256_text(const void *data, size_t len, char out[V_SHA_TEXT]);
/* Of a file, by name. size may be NULL. */
MUST int sha256_file(const char *path, char out[V_SHA_TEXT], uint64_t *size, struct err *e);

MUST int key_make(struct seckey *out, struct err *e);
/* Writes base.key (mode 0600) and base.pub; refuses to replace either. */
MUST int key_write(const struct seckey *k, const char *base, const char *name, struct err *e);
MUST int key_read_secret(const char *path, struct seckey *out, struct err *e);
MUST int key_read_public(const char *path, struct pubkey *out, struct err *e);
/* Text of the second line of a .pub file, there and back. */
void pubkey_to_text(const struct pubkey *k, char out[KEY_PUBLIC_TEXT]);
MUST int pubkey_from_text(const char *text, struct pubkey *out, struct err *e);
void seckey_wipe(struct seckey *k);

void key_sign(const struct seckey *k, const void *data, size_t len, uint8_t sig[KEY_SIG]);
bool key_verify(const struct pubkey *k, const void *data, size_t len, const uint8_t sig[KEY_SIG]);

/* A minisign signature (prehashed, "ED") of data with a trusted comment; *out is malloc()ed. */
MUST int minisig_make(const struct seckey *k, const void *data, size_t len, const char *comment,
                      char **out, struct err *e);
/* Both signatures of it are good, and made by k. */
bool minisig_good(const struct pubkey *k, const char *text, const void *data, size_t len);
/* Is it, to its last byte, as minisig_make() writes it? Its first line is signed by nobody. */
bool minisig_ours(const char *text, size_t len);

#endif
