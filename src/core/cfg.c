/* SPDX-License-Identifier: Apache-2.0 */
/* cfg.c - see cfg.h. A short list; options are few. */
#define _GNU_SOURCE
#include "core/cfg.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

struct pair {
    char *key, *value;
    bool used;
};

struct cfg {
    struct pair *pairs;
    size_t count;
};

int cfg_create(struct cfg **out, struct err *e)
{
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : err_set(e, ENOMEM, "no memory for options");
}

void cfg_destroy(struct cfg *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++) {
        free(c->pairs[i].key);
        free(c->pairs[i].value);
    }
    free(c->pairs);
    free(c);
}

int cfg_set(struct cfg *c, const char *key, const char *value, struct err *e)
{
    struct pair *grown = reallocarray(c->pairs, c->count + 1, sizeof(*grown));
    struct pair p = {.key = strdup(key), .value = strdup(value)};

    if (grown)
        c->pairs = grown;
    if (!grown || !p.key || !p.value) {
        free(p.key);
        free(p.value);
        return err_set(e, ENOMEM, "no memory for option %s", key);
    }
    c->pairs[c->count++] = p;
    return 0;
}

/* Copies one item up to a single comma, turning ",," into ",". Returns what follows it. */
static const char *next_item(const char *at, char *item)
{
    while (*at) {
        if (*at == ',' && at[1] != ',')
            return at + 1;
        if (*at == ',')
            at++;
        *item++ = *at++;
        *item = '\0';
    }
    return at;
}

int cfg_parse(struct cfg *c, const char *text, const char *first, struct err *e)
{
    char *item = malloc(strlen(text) + 1);
    int rc = item ? 0 : err_set(e, ENOMEM, "no memory for options");

    for (const char *at = text; rc == 0 && *at; first = NULL) {
        char *eq;

        *item = '\0';
        at = next_item(at, item);
        if (!*item)
            continue;
        eq = strchr(item, '=');
        if (first && (!eq || memchr(item, '/', (size_t)(eq - item)))) {
            rc = cfg_set(c, first, item, e);
        } else if (eq) {
            *eq = '\0';
            rc = cfg_set(c, item, eq + 1, e);
        } else {
            rc = cfg_set(c, item, "", e);
        }
    }
    free(item);
    return rc;
}

const char *cfg_get(struct cfg *c, const char *key)
{
    const char *value = NULL;

    for (size_t i = 0; c && i < c->count; i++) {
        if (strcmp(c->pairs[i].key, key) == 0) {
            c->pairs[i].used = true;
            value = c->pairs[i].value;
        }
    }
    return value;
}

bool cfg_flag(struct cfg *c, const char *key)
{
    const char *v = cfg_get(c, key);

    return v && (!*v || strcmp(v, "on") == 0 || strcmp(v, "yes") == 0 || strcmp(v, "true") == 0);
}

int cfg_u64(struct cfg *c, const char *key, uint64_t min, uint64_t max, uint64_t *out,
            struct err *e)
{
    const char *text = cfg_get(c, key);
    unsigned long long v;
    char *end;

    if (!text)
        return 0;
    errno = 0;
    v = strtoull(text, &end, 0);
    if (!isdigit((unsigned char)*text) || *end || errno || v < min || v > max)
        return err_exit(e, EX_USAGE_, EINVAL, "%s=%s is not a number from %llu to %llu", key, text,
                        (unsigned long long)min, (unsigned long long)max);
    *out = v;
    return 0;
}

int size_parse(const char *text, uint64_t *out)
{
    static const char units[] = "KMGTPE";
    unsigned long long v;
    const char *unit;
    char *end;

    if (!isdigit((unsigned char)*text))
        return -EINVAL;
    errno = 0;
    v = strtoull(text, &end, 10);
    if (errno)
        return -EINVAL;
    unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (unit) {
        uint64_t scaled;

        if (mul_overflows(v, UINT64_C(1) << (10 * (unit - units + 1)), &scaled))
            return -EINVAL;
        v = scaled;
        end++;
    }
    if (strcmp(end, "") != 0 && strcmp(end, "B") != 0 && strcmp(end, "iB") != 0)
        return -EINVAL;
    *out = v;
    return 0;
}

int cfg_size(struct cfg *c, const char *key, uint64_t *out, struct err *e)
{
    const char *text = cfg_get(c, key);

    if (!text)
        return 0;
    if (size_parse(text, out) < 0)
        return err_exit(e, EX_USAGE_, EINVAL, "%s=%s is not a size like 512M or 2G", key, text);
    return 0;
}

bool cfg_at(const struct cfg *c, size_t i, const char **key, const char **value)
{
    if (!c || i >= c->count)
        return false;
    *key = c->pairs[i].key;
    *value = c->pairs[i].value;
    return true;
}

int cfg_finish(const struct cfg *c, const char *what, struct err *e)
{
    for (size_t i = 0; c && i < c->count; i++) {
        if (!c->pairs[i].used)
            return err_exit(e, EX_USAGE_, EINVAL, "%s has no option '%s'; see hospes help", what,
                            c->pairs[i].key);
    }
    return 0;
}
