/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redact.c - see redact.h. Line by line, each rule over the whole line; blocks between BEGIN and
 * END lines (PEM) go as a whole, and so do the lines below a key of YAML that wants a secret.
 */
#define _GNU_SOURCE
#include "support/redact.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "support/redact_rules.h"

/* LINE_MOST: what is behind it is left out, for a rule may take the square of a line's length. */
enum { FOUND_MAX = 100000, FOUND_SLOTS = 1 << 18, MATCHES = 8, ROUNDS = 8, LINE_MOST = 16384 };

struct redactor {
    uint8_t key[REDACT_KEY];
    regex_t secret[REDACT_SECRETS], id[REDACT_IDS], yaml_block, yaml_next;
    unsigned compiled; /* of all of these */
    struct {
        char *kind, *word;
    } word[REDACT_NAMES];
    size_t words;
    struct redact_found *found;
    size_t founds, removed;
    uint32_t *slot; /* of a false name: 1 + its place in found */
    bool block;     /* between BEGIN and END */
    int below;      /* lines that are further in belong to a secret; -1: none do */
    bool next;      /* only the next one may */
};

/* --- false names --- */

/* One spelling for all of a kind, so that each gets the same name. */
static void canonical(const char *kind, const char *value, char *out, size_t room)
{
    bool id = strcmp(kind, "uuid") == 0 || strcmp(kind, "mac") == 0;
    struct in6_addr a;
    size_t n = 0;

    if (strcmp(kind, "ip") == 0 && inet_pton(AF_INET6, value, &a) == 1) {
        if (IN6_IS_ADDR_V4MAPPED(&a))
            inet_ntop(AF_INET, &a.s6_addr[12], out, (socklen_t)room);
        else
            inet_ntop(AF_INET6, &a, out, (socklen_t)room);
        return;
    }
    for (; *value && n + 1 < room; value++) {
        if (!id || isxdigit((unsigned char)*value))
            out[n++] = (char)tolower((unsigned char)*value);
    }
    out[n] = '\0';
}

/* Where a false name is in r->slot, or where it would be. */
static uint32_t *slot_of(struct redactor *r, const uint8_t *mac, const char *as)
{
    size_t at = (mac[0] | (size_t)mac[1] << 8 | (size_t)mac[2] << 16) % FOUND_SLOTS;

    while (r->slot[at] && strcmp(r->found[r->slot[at] - 1].as, as) != 0)
        at = (at + 1) % FOUND_SLOTS;
    return &r->slot[at];
}

static const char *false_name(struct redactor *r, const char *kind, const char *value, char out[64])
{
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    char text[512];
    struct redact_found *more;
    uint32_t *slot;

    canonical(kind, value, text, sizeof(text));
    crypto_auth_hmacsha256(mac, (const uint8_t *)text, strlen(text), r->key);
    snprintf(out, 64, "%.16s-%02x%02x%02x%02x", kind, mac[0], mac[1], mac[2], mac[3]);
    slot = slot_of(r, mac, out);
    if (*slot)
        return out;
    more = r->founds < FOUND_MAX ? realloc(r->found, (r->founds + 1) * sizeof(*more)) : NULL;
    if (more) {
        r->found = more;
        more[r->founds] = (struct redact_found){strdup(kind), strdup(value), strdup(out)};
        if (more[r->founds].kind && more[r->founds].value && more[r->founds].as) {
            *slot = (uint32_t)++r->founds;
        } else { /* it goes without an entry in the map */
            free(more[r->founds].kind);
            free(more[r->founds].value);
            free(more[r->founds].as);
        }
    }
    return out;
}

static bool begins(const char *text, const char *with)
{
    return strncasecmp(text, with, strlen(with)) == 0;
}

/* "getty@tty1.service" is no mail. */
static bool unit_of_systemd(const char *value)
{
    static const char *const ends[] = {".service", ".socket", ".target", ".slice", ".scope",
                                       ".mount",   ".timer",  ".path",   ".device"};
    size_t n = strlen(value);

    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        if (n > strlen(ends[i]) && strcasecmp(value + n - strlen(ends[i]), ends[i]) == 0)
            return true;
    }
    return false;
}

/* "ip-1f3a90c2", which stands for something already. */
static bool is_false_name(const char *value, size_t len)
{
    const char *dash = memchr(value, '-', len);
    size_t n = dash ? (size_t)(dash - value) : 0;

    while (len && value[len - 1] == '.') /* it ends a sentence */
        len--;
    if (!dash || len != n + 9 || strspn(dash + 1, "0123456789abcdef") < 8)
        return false;
    for (size_t i = 0; i < REDACT_IDS; i++) {
        if (strlen(redact_ids[i].kind) == n && strncmp(value, redact_ids[i].kind, n) == 0)
            return true;
    }
    return n == 4 && strncmp(value, "host", n) == 0;
}

/* What says nothing of anyone. */
static bool harmless(const char *kind, const char *value)
{
    unsigned a, b, c, d;
    char more;

    if (strcmp(kind, "mac") == 0)
        return strspn(value, "fF:-") == strlen(value) || strspn(value, "0:-.") == strlen(value);
    if (strcmp(kind, "uuid") == 0)
        return strspn(value, "0- ") == strlen(value);
    if (strcmp(kind, "mail") == 0)
        return unit_of_systemd(value);
    if (strcmp(kind, "user") == 0)
        return strcasecmp(value, "Public") == 0 || begins(value, "Default") ||
               begins(value, "All Users");
    if (strcmp(kind, "serial") == 0)
        return !strpbrk(value, "0123456789") || begins(value, "tty") || begins(value, "com");
    if (strcmp(kind, "ip") != 0)
        return false;
    if (sscanf(value, "%u.%u.%u.%u%c", &a, &b, &c, &d, &more) != 4)
        return strcmp(value, "::1") == 0 || strspn(value, ":") == strlen(value);
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

/* Names of files join words by '_'. */
static bool word_char(char c)
{
    return isalnum((unsigned char)c) != 0;
}

/* Does the line hold one of the rule's words? */
static bool hinted(const struct redact_rule *rule, const char *line)
{
    char word[32];

    for (const char *p = rule->hints; p && *p; p += *p == '|') {
        size_t n = strcspn(p, "|");

        snprintf(word, sizeof(word), "%.*s", (int)n, p);
        if (strcasestr(line, word))
            return true;
        p += n;
    }
    return !rule->hints;
}

/* "[password removed]", perhaps in quotes, or the end of it: a rule was here before. */
static bool is_mark(const char *text)
{
    text += strspn(text, "\"'");
    if (strncmp(text, "removed]", 8) == 0)
        return true;
    if (*text != '[')
        return false;
    text += 1 + strspn(text + 1, "abcdefghijklmnopqrstuvwxyz-");
    return strncmp(text, " removed]", 9) == 0;
}

/* Where a word ends that may be one of KEY=VALUE,KEY=VALUE, or stands in brackets. */
static size_t list_end(const char *line, size_t from, size_t to)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    static const char open[] = "({[<", shut[] = ")}]>";

    for (size_t i = from + 1; i < to; i++) {
        size_t n = strchr(",;&", line[i]) ? strspn(line + i + 1, name) : 0;

        if (n && (line[i + 1 + n] == '=' || line[i + 1 + n] == ':'))
            to = i;
    }
    while (to > from + 1) {
        const char *at = strchr(shut, line[to - 1]);

        if (at ? memchr(line + from, open[at - shut], to - from) != NULL
               : !strchr(",;&", line[to - 1]))
            break;
        to--;
    }
    return to;
}

/* Removes what the rule finds, from `at` on, until it finds nothing. */
static void secret_rule(struct redactor *r, struct vbuf *line, size_t i)
{
    const struct redact_rule *rule = &redact_secrets[i];
    regmatch_t m[MATCHES];
    size_t at = 0;
    char with[64];

    if (!hinted(rule, line->data))
        return;
    snprintf(with, sizeof(with), "[%s removed]", rule->kind);
    while (!line->failed && at < line->len &&
           regexec(&r->secret[i], line->data + at, MATCHES, m, at ? REG_NOTBOL : 0) == 0) {
        const regmatch_t *p = &m[rule->part];
        size_t from = at + (size_t)p->rm_so, to = at + (size_t)p->rm_eo;

        if (p->rm_so < 0 || from == to || is_mark(line->data + from) ||
            is_false_name(line->data + from, to - from)) {
            at += m[0].rm_eo > 0 ? (size_t)m[0].rm_eo : 1;
            continue;
        }
        if (rule->list)
            to = list_end(line->data, from, to);
        replace(line, from, to, with);
        r->removed++;
        at = from + strlen(with);
    }
}

static void id_rule(struct redactor *r, struct vbuf *line, size_t i)
{
    const struct redact_rule *rule = &redact_ids[i];
    regmatch_t m[MATCHES];
    char value[512], as[64];
    size_t at = 0;

    if (!hinted(rule, line->data))
        return;
    while (!line->failed && at < line->len &&
           regexec(&r->id[i], line->data + at, MATCHES, m, at ? REG_NOTBOL : 0) == 0) {
        size_t from = at + (size_t)m[rule->part].rm_so, to = at + (size_t)m[rule->part].rm_eo;
        bool inside;

        if (strcmp(rule->kind, "user") == 0) { /* at the end of a sentence */
            while (to > from + 1 && line->data[to - 1] == '.')
                to--;
        }
        /* What the rule itself wants before a value is no part of a longer word. */
        inside =
            (m[rule->part].rm_so == m[0].rm_so && from > 0 && word_char(line->data[from - 1])) ||
            (to < line->len && word_char(line->data[to]));
        snprintf(value, sizeof(value), "%.*s", (int)(to - from), line->data + from);
        if (m[rule->part].rm_so < 0 || from == to || inside || harmless(rule->kind, value) ||
            is_false_name(value, strlen(value))) {
            at = to > at ? to : at + 1;
            continue;
        }
        replace(line, from, to, false_name(r, rule->kind, value, as));
        at = from + strlen(as);
    }
}

/* The run of an address's characters at `from`: is it one of IPv6? *to: where that ends. */
static bool v6_at(const char *line, size_t *from, size_t *to)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr a;

    if (*from && word_char(line[*from - 1])) /* "addr:fe80::1": behind the first colon */
        *from += strcspn(line + *from, ":") + 1;
    if (*from < *to && line[*from] == ':' && line[*from + 1] != ':')
        ++*from;
    while (*to > *from &&
           (line[*to - 1] == '.' || (line[*to - 1] == ':' && (*to < 2 || line[*to - 2] != ':'))))
        --*to;
    if (*from >= *to || *to - *from >= sizeof(text) || word_char(line[*to]))
        return false;
    snprintf(text, sizeof(text), "%.*s", (int)(*to - *from), line + *from);
    return inet_pton(AF_INET6, text, &a) == 1;
}

static void v6_rule(struct redactor *r, struct vbuf *line)
{
    static const char set[] = "0123456789abcdefABCDEF:.";
    char value[INET6_ADDRSTRLEN], as[64];

    for (size_t at = 0; !line->failed && at < line->len;) {
        size_t from = at + strcspn(line->data + at, set);
        size_t to = from + strspn(line->data + from, set);

        at = to > at ? to : at + 1;
        if (!memchr(line->data + from, ':', to - from) || !v6_at(line->data, &from, &to))
            continue;
        snprintf(value, sizeof(value), "%.*s", (int)(to - from), line->data + from);
        if (harmless("ip", value))
            continue;
        replace(line, from, to, false_name(r, "ip", value, as));
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

/* Long runs of mixed letters and digits are keys of some kind; digests are not mixed. Where such a
 * run has slashes, it is base64 and goes as a whole. */
static bool blob(const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        const char *slash = memchr(text + at, '/', len - at);
        size_t n = slash ? (size_t)(slash - text) - at : len - at;
        bool upper = false, low = false, digit = false;

        for (size_t k = at; k < at + n; k++) {
            upper |= isupper((unsigned char)text[k]) != 0;
            low |= islower((unsigned char)text[k]) != 0;
            digit |= isdigit((unsigned char)text[k]) != 0;
        }
        if (n >= 32 && upper && low && digit)
            return true;
        at += n + 1;
    }
    return false;
}

/* "entry_SYSCALL_64_after_hwframe+0x72/0xdc", as the kernel names a place in itself. */
static bool place_in_kernel(const char *text, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;

    while (at < len && text[at] != '+' && text[at] != '/')
        at++;
    if (len - at < 8 || strncmp(text + at, "+0x", 3) != 0)
        return false;
    at += 3 + strspn(text + at + 3, hex);
    if (strncmp(text + at, "/0x", 3) != 0)
        return false;
    at += 3;
    return at + strspn(text + at, hex) == len;
}

static void blob_rule(struct redactor *r, struct vbuf *line)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-=";

    for (size_t at = 0; !line->failed && at < line->len;) {
        size_t n = strspn(line->data + at, set);

        if (blob(line->data + at, n) && !place_in_kernel(line->data + at, n)) {
            replace(line, at, at + n, "[key removed]");
            r->removed++;
            n = strlen("[key removed]");
        }
        at += n ? n : 1;
    }
}

/* How many bytes a terminal's escape sequence at `text` has: colours would part a password. */
static size_t escape_len(const char *text, size_t len)
{
    size_t n = 2;

    if (len < 2)
        return len;
    if (text[1] == ']') { /* a title, up to a bell or ESC \ */
        while (n < len && text[n] != '\a' && text[n] != '\033')
            n++;
        return n < len && text[n] == '\a' ? n + 1 : n;
    }
    if (text[1] == '[') {
        while (n < len && text[n] >= 0x20 && text[n] < 0x40)
            n++;
        return n < len ? n + 1 : n;
    }
    for (n = 1; n < len && text[n] >= 0x20 && text[n] < 0x30;)
        n++;
    return n < len ? n + 1 : n;
}

/* Text alone: without escape sequences, and without the zeros that UTF-16 has between letters. */
static void line_plain(const char *text, size_t len, struct vbuf *out)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == 0x1b)
            i += escape_len(text + i, len - i) - 1;
        else if (c)
            vbuf_add(out, c < 0x20 && c != '\t' ? "?" : &text[i], 1);
    }
    vbuf_add(out, "", 1);
    if (!out->failed)
        out->len--;
}

static const char *last_of(const char *text, const char *word)
{
    const char *last = NULL;

    for (const char *p = text; (p = strstr(p, word)); p++)
        last = p;
    return last;
}

/* Is the line in a block, or does it begin or end one? */
static bool line_block(struct redactor *r, const struct vbuf *line, struct vbuf *out)
{
    const char *begin = last_of(line->data, "-----BEGIN "), *end = last_of(line->data, "-----END ");
    bool was = r->block;

    if (!was && !begin)
        return false;
    r->block = begin ? !end || end < begin : was && !end;
    if (begin) {
        r->removed++;
        if (!was)
            vbuf_print(out, "[block removed]");
    }
    return true;
}

/* Is the line one of those below a key of YAML whose secret they are? */
static bool line_below(struct redactor *r, const struct vbuf *line, struct vbuf *out)
{
    int in = (int)strspn(line->data, " ");
    bool below = r->below >= 0 && in > r->below && (!r->next || !strstr(line->data, ": "));

    if (r->below >= 0 && !line->data[in])
        return false; /* an empty line ends nothing */
    if (!below || r->next)
        r->below = -1;
    if (below) {
        bool again = is_mark(line->data + in);

        r->removed += !again;
        vbuf_print(out, "%*s[password removed]", in, "");
        return true;
    }
    r->next = false;
    if (hinted(&redact_yaml_block, line->data)) {
        r->next = regexec(&r->yaml_next, line->data, 0, NULL, 0) == 0;
        if (r->next || regexec(&r->yaml_block, line->data, 0, NULL, 0) == 0)
            r->below = in;
    }
    return false;
}

static void line_rules(struct redactor *r, struct vbuf *line)
{
    for (size_t i = 0; i < REDACT_SECRETS; i++)
        secret_rule(r, line, i);
    for (size_t i = 0; i < REDACT_IDS; i++) {
        if (strcmp(redact_ids[i].kind, "ip") == 0)
            v6_rule(r, line); /* before those of IPv4, which may end it */
        id_rule(r, line, i);
    }
    for (size_t i = 0; i < r->words; i++)
        word_rule(r, line, r->word[i].kind, r->word[i].word);
    blob_rule(r, line);
}

static void redact_line(struct redactor *r, struct vbuf *line, struct vbuf *out)
{
    size_t left = line->len > LINE_MOST ? line->len - LINE_MOST : 0;
    unsigned rounds = 0;
    char *was;
    bool same;

    if (left) {
        line->len = LINE_MOST;
        line->data[LINE_MOST] = '\0';
    }
    do { /* what one rule leaves may be what another one looks for */
        was = strdup(line->data);
        line_rules(r, line);
        same = !was || line->failed || strcmp(was, line->data) == 0;
        free(was);
    } while (!same && ++rounds < ROUNDS);
    if (!line->failed)
        vbuf_add(out, line->data, line->len);
    if (left)
        vbuf_print(out, " (%zu more bytes of this line are left out)", left);
}

void redact(struct redactor *r, const char *text, size_t len, struct vbuf *out)
{
    r->block = r->next = false;
    r->below = -1;
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - text) - at : len - at;
        struct vbuf line = {0};
        bool was = r->block;

        line_plain(text + at, n, &line);
        if (line.failed)
            out->failed = true;
        else if (!line_block(r, &line, out) && !line_below(r, &line, out))
            redact_line(r, &line, out);
        if (end && !was)
            vbuf_add(out, "\n", 1);
        vbuf_free(&line);
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

/* Every expression that there is, in the order in which they are compiled. */
static regex_t *regex_of(struct redactor *r, unsigned i, const char **expr)
{
    if (i < REDACT_SECRETS) {
        *expr = redact_secrets[i].expr;
        return &r->secret[i];
    }
    i -= REDACT_SECRETS;
    if (i < REDACT_IDS) {
        *expr = redact_ids[i].expr;
        return &r->id[i];
    }
    i -= REDACT_IDS;
    *expr = i == 0 ? redact_yaml_block.expr : redact_yaml_next.expr;
    return i == 0 ? &r->yaml_block : i == 1 ? &r->yaml_next : NULL;
}

void redactor_free(struct redactor *r)
{
    const char *expr;

    if (!r)
        return;
    for (unsigned i = 0; i < r->compiled; i++)
        regfree(regex_of(r, i, &expr));
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
    free(r->slot);
    sodium_memzero(r->key, sizeof(r->key));
    free(r);
}

int redactor_create(const uint8_t key[REDACT_KEY], struct redactor **out, struct err *e)
{
    struct redactor *r = calloc(1, sizeof(*r));
    const char *expr;
    regex_t *re;

    if (r)
        r->slot = calloc(FOUND_SLOTS, sizeof(*r->slot));
    if (!r || !r->slot) {
        free(r);
        return err_set(e, ENOMEM, "no memory for the redactor");
    }
    memcpy(r->key, key, sizeof(r->key));
    for (; (re = regex_of(r, r->compiled, &expr)); r->compiled++) {
        if (regcomp(re, expr, REG_EXTENDED | REG_ICASE) != 0) {
            redactor_free(r);
            return err_set(e, ENOMEM, "a rule of the redactor cannot be compiled");
        }
    }
    *out = r;
    return 0;
}
