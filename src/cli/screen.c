/* SPDX-License-Identifier: Apache-2.0 */
/* screen.c - `hospes screenshot` and `hospes type`: a guest's screen and keyboard from scripts. */
#define _GNU_SOURCE
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/line.h"
#include "cli/told.h"
#include "machine/remote.h"

enum { SCREEN_CALL_MS = 10000 };

struct shot {
    bool json, text;
};

static int screen_json(void *arg, const char *value, struct err *e)
{
    ((struct shot *)arg)->json = true;
    return 0;
}

static int screen_text(void *arg, const char *value, struct err *e)
{
    ((struct shot *)arg)->text = true;
    return 0;
}

static const struct cli_option screenshot_options[] = {
    {"text", NULL, "print what a screen in text mode says; without FILE", screen_text},
    {"json", NULL, "print the picture's size, or the text, as JSON", screen_json},
    {NULL},
};

static void screen_print(const char *name, const char *file, struct json_object *a, bool json)
{
    unsigned width = (unsigned)remote_number(a, "width"),
             height = (unsigned)remote_number(a, "height");
    struct json_object *o;

    if (!json) {
        printf("%s: %ux%u in %s\n", name, width, height, file);
        return;
    }
    o = json_object_new_object();
    json_object_object_add(o, "name", json_object_new_string(name));
    json_object_object_add(o, "file", json_object_new_string(file));
    json_object_object_add(o, "width", json_object_new_int64(width));
    json_object_object_add(o, "height", json_object_new_int64(height));
    line_json(o);
}

static int screen_take(const char *name, const char *file, bool json, struct err *e)
{
    char *path = cli_absolute(file);
    struct json_object *req, *answer = NULL;
    int rc;

    if (!path)
        return err_set(e, errno, "cannot tell where %s is: %s", file, strerror(errno));
    req = json_object_new_object();
    json_object_object_add(req, "file", json_object_new_string(path));
    free(path);
    rc = remote_ask(name, "screenshot", req, SCREEN_CALL_MS, &answer, e);
    if (rc == 0)
        screen_print(name, file, answer, json);
    json_object_put(answer);
    return rc;
}

static int screen_say(const char *name, bool json, struct err *e)
{
    struct json_object *answer = NULL, *o;
    const char *text;
    int rc = remote_ask(name, "screen-text", NULL, SCREEN_CALL_MS, &answer, e);

    text = rc == 0 ? remote_text(answer, "text") : NULL;
    if (rc == 0 && !text)
        rc = err_set(e, EPROTO, "%s answers without a text", name);
    if (rc == 0 && json) {
        o = json_object_new_object();
        json_object_object_add(o, "name", json_object_new_string(name));
        json_object_object_add(o, "text", json_object_new_string(text));
        line_json(o);
    } else if (rc == 0) {
        fputs(text, stdout);
    }
    json_object_put(answer);
    return rc;
}

static int screenshot_main(int argc, char **argv)
{
    struct shot s = {0};
    struct err e;
    int n, rc = cli_parse(&cli_screenshot, argc, argv, &s, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n != (s.text ? 1 : 2))
        rc = err_exit(
            &e, EX_USAGE_, EINVAL,
            "screenshot wants the name of a machine, and a file for the picture or --text");
    if (rc == 0)
        rc = s.text ? screen_say(argv[1], s.json, &e) : screen_take(argv[1], argv[2], s.json, &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_screenshot = {
    .name = "screenshot",
    .args = "[OPTION...] NAME [FILE]",
    .about = "Writes a guest's screen to a PNG file, or says what it says.",
    .more = "The machine has a screen when firmware starts it, or with --display. A file that is\n"
            "there is replaced. Exit codes: 0 done, 66 no such machine, or its screen is dark.",
    .options = screenshot_options,
    .run = screenshot_main,
};

/* --- type --- */

static const struct cli_option type_options[] = {
    {"timeout", "SECONDS", "how long the guest may take (default 30)", told_timeout},
    {"json", NULL, "print the answer as JSON", told_json},
    {NULL},
};

/* \n, \t, \e, \b and \\ stand for keys that shells are awkward with. */
static void type_escapes(char *text)
{
    static const char from[] = "nteb\\", to[] = "\n\t\033\b\\";
    char *out = text;

    for (const char *in = text; *in; in++) {
        const char *at = *in == '\\' && in[1] ? strchr(from, in[1]) : NULL;

        *out++ = at ? to[at - from] : *in;
        in += at != NULL;
    }
    *out = '\0';
}

static int type_main(int argc, char **argv)
{
    struct told t = {.timeout = TOLD_TIMEOUT_S};
    struct json_object *req;
    struct err e;
    int n, rc = cli_parse(&cli_type, argc, argv, &t, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n != 2)
        rc = err_exit(&e, EX_USAGE_, EINVAL, "type wants the name of a machine and one text");
    if (rc == 0) {
        type_escapes(argv[2]);
        req = json_object_new_object();
        json_object_object_add(req, "text", json_object_new_string(argv[2]));
        rc = told_call(&t, argv[1], "type", req, &e);
    }
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_type = {
    .name = "type",
    .args = "[OPTION...] NAME TEXT",
    .about = "Types text on a guest's keyboard.",
    .more =
        "A US keyboard: ASCII text, with \\n for Enter, \\t Tab, \\e Escape, \\b Backspace and\n"
        "\\\\ for itself. Ends when the guest has taken the last key. Exit codes: 0 done, 66 no\n"
        "such machine, 74 the guest does not take keys.",
    .options = type_options,
    .run = type_main,
};
