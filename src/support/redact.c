/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redact.c - see redact.h. Line by line, each rule over the whole line; blocks between BEGIN and
 * END lines (PEM) go as a whole. A rule that takes too much costs a word of a log, one that takes
 * too little costs a password: they are greedy.
 */
#define _GNU_SOURCE
#include "support/redact.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

enum { FOUND_MAX = 100000, MATCHES = 8, LINE_MAX_BYTES = 1 << 20 };

#define KEYWORDS                                                                                   \
    "[A-Za-z0-9_.-]*(pass(word|wd|phrase|code)?|secret|token|api[_-]?key|apikey|credentials?|"     \
    "private[_-]?key|access[_-]?key|auth[_-]?key|encryption[_-]?key|session[_-]?id|cookie|psk|"    \
    "pwd|passwd|pw|luks[_-]?key|otp|pin)[A-Za-z0-9_.-]*"

/* Rules whose group `part` is a secret. */
static const struct {
    const char *kind, *expr;
    unsigned part;
} secrets[] = {
    {"authorization", "(bearer|basic|digest|negotiate)[ \t]+([A-Za-z0-9._~+/=:-]{6,})", 2},
    {"authorization", "(authorization|x-auth-token|set-cookie|cookie)[ \t]*[:=][ \t]*(.+)$", 2},
    {"password", "[\"']?" KEYWORDS "[\"']?[ \t]*[:=][ \t]*\"([^\"]*)\"", 3},
    {"password", "[\"']?" KEYWORDS "[\"']?[ \t]*[:=][ \t]*'([^']*)'", 3},
    {"password", "[\"']?" KEYWORDS "[\"']?[ \t]*[:=][ \t]*[\"']?([^][ \t\"',;&(){}]+)", 3},
    {"password", "(^|[ \t])(-p|--pass|--password|--token|--secret)[ =]([^ \t]+)", 3},
    {"password", "(-u|--user|--proxy-user)[ =]+[\"']?[^ :\"']+:([^ \t\"']+)", 2},
    {"password", "(mysql|mariadb|sshpass)[^ ]*([ \t].*)?[ \t]-p([^ \t]+)", 3},
    {"password",
     "(^|[ \t])(password|passwd|passphrase|secret|requirepass|masterauth|r[ow]community|community)"
     "[ \t]+[\"']?([^ \t\"',;:=]+)",
     3},
    {"password", "\"auth\"[ \t]*:[ \t]*\"([^\"]+)\"", 1},
    {"password", KEYWORDS "[\"'][^{}<>]*value[\"']?[ \t]*[:=][ \t]*[\"']([^\"']+)", 3},
    {"password", "password[^<>]*>[ \t]*(<value>)?([^< \t][^<]*)<", 2},
    {"password", "<value>([^<]+)</value>", 1},
    {"password", "secret,[^ ]*data=([^, \t]+)", 1},
    /* What chpasswd reads: a user, a colon, a password, nothing else in the line. */
    {"password", "^[ \t-]*[A-Za-z_][A-Za-z0-9_-]*:([^ \t:/\"'<>][^ \t:<>]{5,})$", 1},
    {"password", "(chpasswd|list):[ \t]*[\"']?[A-Za-z0-9_.-]+:([^ \t\"',]+)", 2},
    {"password", "://[^/@: \t\"]*:([^@/ \t\"]+)@", 1},
    {"password", "[A-Za-z0-9_.-]+:([^:@/ \t\"'=]+)@", 1}, /* netroot=iscsi:USER:PASSWORD@... */
    {"password-hash", "(\\$(1|5|6|7|2[abxy]|y|gy|argon2[a-z]*)\\$[./A-Za-z0-9$,=+-]{8,})", 1},
    {"token",
     "((gh[opsur]_|github_pat_|glpat-|xox[abprs]-|sk-|sk_live_|rk_live_|AKIA|ASIA|AIza|ya29\\.|"
     "npm_|dop_v1_|hvs\\.)[A-Za-z0-9_-]{10,})",
     1},
    {"token", "(eyJ[A-Za-z0-9_-]{6,}\\.[A-Za-z0-9_-]{6,}\\.[A-Za-z0-9_-]*)", 1},
    {"signature",
     "[?&](sig|signature|x-amz-signature|x-amz-credential|key|access_token|code)=([^& \t\"]+)", 2},
};

/* Rules whose group 1 gets a false name. */
static const struct {
    const char *kind, *expr;
} names[] = {
    {"uuid", "([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"},
    {"mac", "(([0-9a-f]{2}[:-]){5}[0-9a-f]{2})"},
    {"mail", "([A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+)"},
    {"ip", "(([0-9]{1,3}\\.){3}[0-9]{1,3})"},
    {"ip", "(([0-9a-f]{1,4}:){2,7}(:?[0-9a-f]{1,4}){1,6}|([0-9a-f]{1,4}:){1,6}:([0-9a-f]{1,4})?)"},
    {"user", "/home/([A-Za-z0-9._-]+)"},
    {"key", "(AAAA[BC]3NzaC1[A-Za-z0-9+/=]{20,})"},
};

struct redactor {
    uint8_t key[REDACT_KEY];
    regex_t secret[ARRAY_SIZE(secrets)], name[ARRAY_SIZE(names)];
    unsigned secrets, names; /* compiled */
    struct {
        char *kind, *word;
    } word[REDACT_NAMES];
    size_t words;
    struct redact_found *found;
    size_t founds, removed;
    bool block; /* between BEGIN and END */
};

/* --- false names --- */

static const char *false_name(struct redactor *r, const char *kind, const char *value, char out[64])
{
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    char text[512];
    size_t n = 0;
    struct redact_found *more;

    for (; value[n] && n + 1 < sizeof(text); n++)
        text[n] = (char)tolower((unsigned char)value[n]);
    text[n] = '\0';
    crypto_auth_hmacsha256(mac, (const uint8_t *)text, n, r->key);
    snprintf(out, 64, "%.16s-%02x%02x%02x%02x", kind, mac[0], mac[1], mac[2], mac[3]);
    for (size_t i = 0; i < r->founds; i++) {
        if (strcmp(r->found[i].as, out) == 0)
            return out;
    }
    more = r->founds < FOUND_MAX ? realloc(r->found, (r->founds + 1) * sizeof(*more)) : NULL;
    if (more) {
        r->found = more;
        more[r->founds++] = (struct redact_found){strdup(kind), strdup(text), strdup(out)};
        if (!more[r->founds - 1].kind || !more[r->founds - 1].value || !more[r->founds - 1].as)
            r->founds--; /* it goes without an entry in the map */
    }
    return out;
}

/* Not a time of day, nor a place on a PCI bus: eight groups, or fewer with a gap. */
static bool v6_address(const char *value)
{
    unsigned colons = 0;

    for (const char *p = value; *p; p++)
        colons += *p == ':';
    return colons == 7 || (colons >= 2 && strstr(value, "::") != NULL);
}

/* Addresses that say nothing of anyone. */
static bool harmless(const char *kind, const char *value)
{
    unsigned a, b, c, d;
    char more;

    if (strcmp(kind, "mac") == 0)
        return strcasecmp(value, "ff:ff:ff:ff:ff:ff") == 0 ||
               strcmp(value, "00:00:00:00:00:00") == 0;
    if (strcmp(kind, "uuid") == 0)
        return strspn(value, "0-") == strlen(value);
    if (strcmp(kind, "ip") != 0)
        return false;
    if (strcmp(value, "::1") == 0 || strcmp(value, "::") == 0)
        return true;
    if (sscanf(value, "%u.%u.%u.%u%c", &a, &b, &c, &d, &more) != 4)
        return !v6_address(value);
    return a > 255 || b > 255 || c > 255 || d > 255 || a == 127 || a == 0 || a == 255;
}

/* --- one line --- */

static void replace(struct vbuf *line, size_t from, size_t to, const char *with)
{
    struct vbuf out = {0};

    vbuf_add(&out, line->data, from);
    vbuf_add(&out, with, strlen(with));
    vbuf_add(&out, line->data + to, line->len - to);
    vbuf_add(&out, "", 1); /* regexec() wants an end */
    out.len--;
    vbuf_free(line);
    *line = out;
}

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Removes what the rule finds, from `at` on, until it finds nothing. */
static void secret_rule(struct redactor *r, struct vbuf *line, size_t i)
{
    regmatch_t m[MATCHES];
    size_t at = 0;
    char with[64];

    snprintf(with, sizeof(with), "[%s removed]", secrets[i].kind);
    while (!line->failed && at < line->len &&
           regexec(&r->secret[i], line->data + at, MATCHES, m, at ? REG_NOTBOL : 0) == 0) {
        const regmatch_t *p = &m[secrets[i].part];
        size_t from = at + (size_t)p->rm_so, to = at + (size_t)p->rm_eo;

        if (p->rm_so < 0 || from == to || line->data[from] == '[') {
            at += m[0].rm_eo > 0 ? (size_t)m[0].rm_eo : 1;
            continue;
        }
        replace(line, from, to, with);
        r->removed++;
        at = from + strlen(with);
    }
}

static void name_rule(struct redactor *r, struct vbuf *line, size_t i)
{
    regmatch_t m[MATCHES];
    char value[512], as[64];
    size_t at = 0;

    while (!line->failed && at < line->len &&
           regexec(&r->name[i], line->data + at, MATCHES, m, at ? REG_NOTBOL : 0) == 0) {
        size_t from = at + (size_t)m[1].rm_so, to = at + (size_t)m[1].rm_eo;
        bool inside = (from > 0 && word_char(line->data[from - 1])) ||
                      (to < line->len && word_char(line->data[to]));

        snprintf(value, sizeof(value), "%.*s", (int)(to - from), line->data + from);
        if (m[1].rm_so < 0 || from == to || inside || harmless(names[i].kind, value)) {
            at = to > at ? to : at + 1;
            continue;
        }
        replace(line, from, to, false_name(r, names[i].kind, value, as));
        at = from + strlen(as);
    }
}

static void word_rule(struct redactor *r, struct vbuf *line, const char *kind, const char *word)
{
    size_t n = strlen(word), at = 0;
    char as[64], *p;

    while (!line->failed && at < line->len && (p = strcasestr(line->data + at, word))) {
        size_t from = (size_t)(p - line->data), to = from + n;

        if ((from > 0 && word_char(line->data[from - 1])) || word_char(line->data[to])) {
            at = to;
            continue;
        }
        replace(line, from, to, false_name(r, kind, word, as));
        at = from + strlen(as);
    }
}

/* Long runs of mixed letters and digits are keys of some kind; digests are not mixed. */
static void blob_rule(struct redactor *r, struct vbuf *line)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-=";

    for (size_t at = 0; !line->failed && at < line->len;) {
        size_t n = strspn(line->data + at, set);
        bool upper = false, low = false, digit = false;

        for (size_t k = 0; k < n; k++) {
            upper |= isupper((unsigned char)line->data[at + k]) != 0;
            low |= islower((unsigned char)line->data[at + k]) != 0;
            digit |= isdigit((unsigned char)line->data[at + k]) != 0;
        }
        if (n >= 32 && upper && low && digit && memchr(line->data + at, '/', n) == NULL) {
            replace(line, at, at + n, "[key removed]");
            r->removed++;
            n = strlen("[key removed]");
        }
        at += n ? n : 1;
    }
}

static void redact_line(struct redactor *r, const char *text, size_t len, struct vbuf *out)
{
    struct vbuf line = {0};

    if (len > LINE_MAX_BYTES)
        len = LINE_MAX_BYTES;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        vbuf_add(&line, (unsigned char)c < 0x20 && c != '\t' ? "?" : &c, 1);
    }
    vbuf_add(&line, "", 1);
    if (line.failed) {
        vbuf_free(&line);
        return;
    }
    line.len--;
    if (strstr(line.data, "-----BEGIN ")) {
        r->block = !strstr(line.data, "-----END ");
        r->removed++;
        vbuf_print(out, "[block removed]");
        vbuf_free(&line);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
        secret_rule(r, &line, i);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        name_rule(r, &line, i);
    for (size_t i = 0; i < r->words; i++)
        word_rule(r, &line, r->word[i].kind, r->word[i].word);
    blob_rule(r, &line);
    if (!line.failed)
        vbuf_add(out, line.data, line.len);
    vbuf_free(&line);
}

void redact(struct redactor *r, const char *text, size_t len, struct vbuf *out)
{
    r->block = false;
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - text) - at : len - at;

        if (r->block) {
            r->block = memmem(text + at, n, "-----END ", 9) == NULL;
        } else {
            redact_line(r, text + at, n, out);
            if (end)
                vbuf_add(out, "\n", 1);
        }
        at += n + 1;
    }
}

/* --- life --- */

int redactor_name(struct redactor *r, const char *kind, const char *word, struct err *e)
{
    if (!word || strlen(word) < 3 || strcmp(word, "localhost") == 0 || strcmp(word, "root") == 0)
        return 0;
    if (r->words == REDACT_NAMES)
        return err_set(e, ENOSPC, "more than %d names to hide", REDACT_NAMES);
    r->word[r->words].kind = strdup(kind);
    r->word[r->words].word = strdup(word);
    if (!r->word[r->words].kind || !r->word[r->words].word)
        return err_set(e, ENOMEM, "no memory for a name");
    r->words++;
    return 0;
}

size_t redactor_removed(const struct redactor *r)
{
    return r->removed;
}

const struct redact_found *redactor_found(const struct redactor *r, size_t i)
{
    return i < r->founds ? &r->found[i] : NULL;
}

void redactor_free(struct redactor *r)
{
    if (!r)
        return;
    for (unsigned i = 0; i < r->secrets; i++)
        regfree(&r->secret[i]);
    for (unsigned i = 0; i < r->names; i++)
        regfree(&r->name[i]);
    for (size_t i = 0; i < r->words; i++) {
        free(r->word[i].kind);
        free(r->word[i].word);
    }
    for (size_t i = 0; i < r->founds; i++) {
        free(r->found[i].kind);
        free(r->found[i].value);
        free(r->found[i].as);
    }
    free(r->found);
    sodium_memzero(r->key, sizeof(r->key));
    free(r);
}

int redactor_create(const uint8_t key[REDACT_KEY], struct redactor **out, struct err *e)
{
    struct redactor *r = calloc(1, sizeof(*r));
    int code = 0;

    if (!r)
        return err_set(e, ENOMEM, "no memory for the redactor");
    memcpy(r->key, key, sizeof(r->key));
    for (; code == 0 && r->secrets < ARRAY_SIZE(secrets); r->secrets += code == 0)
        code = regcomp(&r->secret[r->secrets], secrets[r->secrets].expr, REG_EXTENDED | REG_ICASE);
    for (; code == 0 && r->names < ARRAY_SIZE(names); r->names += code == 0)
        code = regcomp(&r->name[r->names], names[r->names].expr, REG_EXTENDED | REG_ICASE);
    if (code) {
        redactor_free(r);
        return err_set(e, ENOMEM, "a rule of the redactor cannot be compiled");
    }
    *out = r;
    return 0;
}
