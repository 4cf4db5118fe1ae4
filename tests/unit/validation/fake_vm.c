/* SPDX-License-Identifier: Apache-2.0 */
/* fake_vm.c - see fake_vm.h. */
#define _GNU_SOURCE
#include "fake_vm.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "unit.h"
#include "validation/text.h"

struct fake_answer *fake_answers;
const char *fake_info;
unsigned fake_starts;
int fake_start_code;
char fake_persona[200], fake_append[1200], fake_plugged[80];
bool fake_disks, fake_memory, fake_dumps, fake_stuck;

struct vm {
    struct vbuf out;
    bool ended;
    int code;
};

static void say(struct vm *v, const char *fmt, const char *id, const char *rest)
{
    vbuf_print(&v->out, fmt, id, rest);
}

static int fake_start(const struct vm_spec *s, struct vm **out, struct err *e)
{
    if (fake_start_code)
        return err_exit(e, EX_NO_HOST, fake_start_code, "no machine today");
    *out = calloc(1, sizeof(**out));
    snprintf(fake_persona, sizeof(fake_persona), "%s", s->persona ? s->persona : "");
    snprintf(fake_append, sizeof(fake_append), "%s", s->append ? s->append : "");
    fake_starts++;
    say(*out, "booting\r\n[    0.1] noise @hospe\n\n@hospes ready 6.1 %s%s\n", "1.0", "");
    return 0;
}

static ssize_t fake_read(struct vm *v, void *buf, size_t room, int timeout_ms)
{
    size_t n = min_u64(room, v->out.len);

    if (n == 0)
        return v->ended ? 0 : -EAGAIN;
    memcpy(buf, v->out.data, n);
    v->out.len -= n;
    memmove(v->out.data, v->out.data + n, v->out.len);
    return (ssize_t)n;
}

static void fake_end(struct vm *v, int code)
{
    v->ended = true;
    v->code = code;
}

static void fake_check(struct vm *v, const char *id)
{
    const char *a = "success";

    for (struct fake_answer *f = fake_answers; f && f->id; f++) {
        if (strcmp(f->id, id) == 0) {
            unsigned last = 0;

            while (last + 1 < 4 && f->answer[last + 1])
                last++;
            a = f->answer[f->asked < last ? f->asked : last];
            f->asked++;
        }
    }
    if (strcmp(a, "die") == 0)
        fake_end(v, EX_BUG);
    else if (strcmp(a, "host") == 0)
        fake_end(v, EX_NO_HOST);
    else if (strcmp(a, "reboot") == 0)
        say(v, "@hospes ready 6.1 2.0%s%s\n", "", "");
    else if (strncmp(a, "uptime ", 7) == 0) {
        say(v, "@hospes %s%s\n", a, "");
        say(v, "@hospes end %s %s\n@hospes done ", id, "success");
        say(v, "%s%s\n", id, "");
    } else if (strcmp(a, "hang") != 0) {
        if (strcmp(a, "mute") != 0)
            say(v, "@hospes end %s %s\n", id, a);
        say(v, "@hospes done %s%s\n", id, "");
    }
}

static int fake_type(struct vm *v, const char *text)
{
    char id[100];

    if (sscanf(text, "run %99s", id) == 1)
        fake_check(v, id);
    else if (strstr(text, "reboot"))
        say(v, "@hospes ready 6.1 1.0%s%s\n", "", "");
    else if (strstr(text, "poweroff"))
        fake_end(v, EX_OK);
    else if (strstr(text, "sysrq") && fake_dumps)
        say(v, "@hospes ready 6.1 1.0%s%s\n", "", "");
    else if (strstr(text, "sysrq"))
        fake_end(v, EX_GUEST_CRASHED);
    return v->ended && v->code == EX_BUG ? -EPIPE : 0;
}

static int fake_tell(struct vm *v, struct json_object **out, struct err *e)
{
    if (fake_stuck)
        return err_exit(e, EX_HOST_IO, ETIMEDOUT, "the machine does not answer");
    if (!fake_info)
        return err_set(e, ENOTSUP, "nothing is known");
    *out = json_tokener_parse(fake_info);
    return 0;
}

static int fake_ask(struct vm *v, const char *what, uint64_t value, struct err *e)
{
    if (strcmp(what, "memory") == 0 && fake_memory)
        return 0;
    if (strcmp(what, "shutdown") != 0)
        return err_set(e, ENOTSUP, "no channel for %s", what);
    fake_end(v, EX_OK);
    return 0;
}

static void fake_threads(struct vm *v, struct vbuf *out)
{
    vbuf_print(out, "thread 1\ncomm: fake\n");
}

static int fake_screen(struct vm *v, const char *path, struct err *e)
{
    return vtext_write(path, "png", 3, e);
}

static int fake_attach(struct vm *v, const char *path, const char *words, char *id, size_t room,
                       struct err *e)
{
    if (!fake_disks)
        return err_set(e, ENOTSUP, "no disks come here");
    snprintf(fake_plugged, sizeof(fake_plugged), "%s", words);
    snprintf(id, room, "disk7");
    return 0;
}

static int fake_detach(struct vm *v, const char *id, struct err *e)
{
    assert_string_equal(id, "disk7");
    fake_plugged[0] = '\0';
    return 0;
}

static int fake_disk(const char *program, const char *path, const char *format, uint64_t bytes,
                     bool resize, struct err *e)
{
    return 0;
}

static void fake_plug(struct vm *v)
{
    if (!v->ended)
        fake_end(v, 128 + 9);
}

static int fake_gone(struct vm *v, char **why)
{
    int code = v->code;

    *why = code == EX_BUG ? strdup("something broke") : NULL;
    vbuf_free(&v->out);
    free(v);
    return code;
}

const struct vm_ops vm_fake = {
    .name = "fake",
    .start = fake_start,
    .read = fake_read,
    .type = fake_type,
    .info = fake_tell,
    .ask = fake_ask,
    .state = fake_tell,
    .threads = fake_threads,
    .screen = fake_screen,
    .disk = fake_disk,
    .attach = fake_attach,
    .detach = fake_detach,
    .plug = fake_plug,
    .end = fake_gone,
};
