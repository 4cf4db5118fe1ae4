/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vjson.h - the one form of JSON that validation writes, and a reader that keeps the first error.
 *
 * A reader fills its struct, writes it again and compares: vjson_same(). So an unknown key, a key
 * twice, another order or spelling is refused without a rule of its own for each.
 */
#ifndef HOSPES_VALIDATION_VJSON_H
#define HOSPES_VALIDATION_VJSON_H

#include "core/core.h"

struct json_object;

enum { VJSON_DEPTH = 12, VJSON_BYTES_MAX = 64 << 20 };

/* An object that is being read. what: "the result record", for messages. */
struct vjson {
    struct json_object *top;
    const char *what;
    int rc; /* the first error; later calls do nothing */
    struct err *e;
};

/* Strict: one value, UTF-8. top needs vjson_close(). */
void vjson_open(struct vjson *j, const char *what, const char *text, size_t len, struct err *e);
void vjson_close(struct vjson *j);
/* Fails j, with the key. */
void vjson_bad(struct vjson *j, const char *key, const char *wanted);

/* Each takes a member of o. `must`: absent is an error, else *out keeps what it has. */
void vjson_text(struct vjson *j, struct json_object *o, const char *key, bool must, char **out);
void vjson_sha(struct vjson *j, struct json_object *o, const char *key, char out[65]);
void vjson_number(struct vjson *j, struct json_object *o, const char *key, bool must, uint64_t max,
                  uint64_t *out);
void vjson_flag(struct vjson *j, struct json_object *o, const char *key, bool must, bool *out);
/* NULL when it is absent and need not be there, or after an error. */
struct json_object *vjson_object(struct vjson *j, struct json_object *o, const char *key,
                                 bool must);
struct json_object *vjson_list(struct vjson *j, struct json_object *o, const char *key, bool must,
                               size_t max);
/* Item i, which must be an object; NULL after an error. */
struct json_object *vjson_item(struct vjson *j, struct json_object *list, size_t i);

/* text, as long as it lasts, must be the bytes of `again`, which is freed. */
void vjson_same(struct vjson *j, const char *text, size_t len, char *again);

/* --- writing --- */

void vjson_add_text(struct json_object *o, const char *key, const char *value); /* NULL: nothing */
void vjson_add_number(struct json_object *o, const char *key, uint64_t value);
void vjson_add_flag(struct json_object *o, const char *key, bool value);
/* The text of o, which is released; malloc()ed, in *out. */
MUST int vjson_print(struct json_object *o, char **out, struct err *e);

/* RFC 3339 in UTC, to the second: 20 characters and the end. */
enum { VTIME_TEXT = 21 };
void vtime_now(char out[VTIME_TEXT]);
bool vtime_good(const char *text);
/* A day that the calendar has, like 2027-01-31. */
bool vday_good(const char *text);

#endif
