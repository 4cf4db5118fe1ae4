/* SPDX-License-Identifier: Apache-2.0 */
/* vjson.c - see vjson.h. */
#define _GNU_SOURCE
#include "validation/vjson.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/err.h"
#include "validation/record.h"

static const int vjson_style = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE;

void vjson_open(struct vjson *j, const char *what, const char *text, size_t len, struct err *e)
{
    struct json_tokener *t;

    *j = (struct vjson){.what = what, .e = e};
    if (len == 0 || len > VJSON_BYTES_MAX) {
        j->rc = err_set(e, EINVAL, "%s has %zu bytes, not 1 to %d", what, len, VJSON_BYTES_MAX);
        return;
    }
    t = json_tokener_new_ex(VJSON_DEPTH);
    if (!t) {
        j->rc = err_set(e, ENOMEM, "no memory to read %s", what);
        return;
    }
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    j->top = json_tokener_parse_ex(t, text, (int)len);
    if (json_tokener_get_error(t) != json_tokener_success)
        j->rc = err_set(e, EINVAL, "%s is not JSON: %s at byte %zu", what,
                        json_tokener_error_desc(json_tokener_get_error(t)),
                        (size_t)json_tokener_get_parse_end(t));
    else if (!json_object_is_type(j->top, json_type_object))
        j->rc = err_set(e, EINVAL, "%s is not a JSON object", what);
    json_tokener_free(t);
}

void vjson_close(struct vjson *j)
{
    json_object_put(j->top);
    j->top = NULL;
}

void vjson_bad(struct vjson *j, const char *key, const char *wanted)
{
    if (j->rc == 0)
        j->rc = err_set(j->e, EINVAL, "%s: %s is not %s", j->what, key, wanted);
}

/* The member if it is there and of that type. */
static struct json_object *vjson_get(struct vjson *j, struct json_object *o, const char *key,
                                     bool must, enum json_type type, const char *wanted)
{
    struct json_object *v = NULL;

    if (j->rc < 0 || !o)
        return NULL;
    if (!json_object_object_get_ex(o, key, &v)) {
        if (must)
            j->rc = err_set(j->e, EINVAL, "%s has no %s", j->what, key);
        return NULL;
    }
    if (!json_object_is_type(v, type)) {
        vjson_bad(j, key, wanted);
        return NULL;
    }
    return v;
}

void vjson_text(struct vjson *j, struct json_object *o, const char *key, bool must, char **out)
{
    struct json_object *v = vjson_get(j, o, key, must, json_type_string, "a text");

    if (!v)
        return;
    if ((size_t)json_object_get_string_len(v) > V_TEXT_MAX) {
        vjson_bad(j, key, "short enough");
        return;
    }
    j->rc = vtext_set(out, json_object_get_string(v), j->e);
}

void vjson_sha(struct vjson *j, struct json_object *o, const char *key, char out[65])
{
    struct json_object *v = vjson_get(j, o, key, true, json_type_string, "a digest");
    const char *text = v ? json_object_get_string(v) : NULL;

    if (!v)
        return;
    if (strlen(text) != V_SHA_TEXT - 1 || strspn(text, "0123456789abcdef") != V_SHA_TEXT - 1)
        vjson_bad(j, key, "64 hexadecimal digits");
    else
        memcpy(out, text, V_SHA_TEXT);
}

void vjson_number(struct vjson *j, struct json_object *o, const char *key, bool must, uint64_t max,
                  uint64_t *out)
{
    struct json_object *v = vjson_get(j, o, key, must, json_type_int, "a whole number");
    uint64_t n = v ? json_object_get_uint64(v) : 0;

    if (!v)
        return;
    if (n > max || json_object_get_int64(v) < 0)
        vjson_bad(j, key, "in its range");
    else
        *out = n;
}

void vjson_flag(struct vjson *j, struct json_object *o, const char *key, bool must, bool *out)
{
    struct json_object *v = vjson_get(j, o, key, must, json_type_boolean, "true or false");

    if (v)
        *out = json_object_get_boolean(v);
}

struct json_object *vjson_object(struct vjson *j, struct json_object *o, const char *key, bool must)
{
    return vjson_get(j, o, key, must, json_type_object, "an object");
}

struct json_object *vjson_list(struct vjson *j, struct json_object *o, const char *key, bool must,
                               size_t max)
{
    struct json_object *v = vjson_get(j, o, key, must, json_type_array, "a list");

    if (v && json_object_array_length(v) > max) {
        vjson_bad(j, key, "short enough");
        return NULL;
    }
    return v;
}

struct json_object *vjson_item(struct vjson *j, struct json_object *list, size_t i)
{
    struct json_object *v = j->rc < 0 ? NULL : json_object_array_get_idx(list, i);

    if (j->rc == 0 && !json_object_is_type(v, json_type_object)) {
        vjson_bad(j, "an item of a list", "an object");
        return NULL;
    }
    return v;
}

void vjson_same(struct vjson *j, const char *text, size_t len, char *again)
{
    size_t n = again ? strlen(again) : 0, i = 0;

    while (again && i < n && i < len && text[i] == again[i])
        i++;
    if (j->rc == 0 && (i < n || i < len))
        j->rc = err_set(j->e, EINVAL,
                        "%s is not in its one form: byte %zu differs from what hospes would write",
                        j->what, i);
    free(again);
}

void vjson_add_text(struct json_object *o, const char *key, const char *value)
{
    if (value)
        json_object_object_add(o, key, json_object_new_string(value));
}

void vjson_add_number(struct json_object *o, const char *key, uint64_t value)
{
    json_object_object_add(o, key, json_object_new_uint64(value));
}

void vjson_add_flag(struct json_object *o, const char *key, bool value)
{
    json_object_object_add(o, key, json_object_new_boolean(value));
}

int vjson_print(struct json_object *o, char **out, struct err *e)
{
    const char *text = json_object_to_json_string_ext(o, vjson_style);
    size_t n = text ? strlen(text) : 0;

    *out = text ? malloc(n + 2) : NULL;
    if (*out) {
        memcpy(*out, text, n);
        memcpy(*out + n, "\n", 2);
    }
    json_object_put(o);
    return *out ? 0 : err_set(e, ENOMEM, "no memory to write JSON");
}

void vtime_now(char out[VTIME_TEXT])
{
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(out, VTIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static bool has_form(const char *text, const char *form)
{
    for (; *form; form++, text++) {
        if (*form == 'd' ? *text < '0' || *text > '9' : *text != *form)
            return false;
    }
    return !*text;
}

/* Two digits. */
static unsigned pair(const char *text)
{
    return (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0');
}

static bool in_calendar(const char *text)
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year = pair(text) * 100 + pair(text + 2), month = pair(text + 5);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month >= 1 && month <= 12 && pair(text + 8) >= 1 &&
           pair(text + 8) <= days[month - 1] + (month == 2 && leap);
}

bool vday_good(const char *text)
{
    return has_form(text, "dddd-dd-dd") && in_calendar(text);
}

bool vtime_good(const char *text)
{
    return has_form(text, "dddd-dd-ddTdd:dd:ddZ") && in_calendar(text) && pair(text + 11) < 24 &&
           pair(text + 14) < 60 && pair(text + 17) <= 60; /* a leap second */
}
