/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: a client sends anything, in pieces, and leaves when it likes. */
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "board/device.h"
#include "console/console.h"
#include "core/err.h"
#include "core/file.h"
#include "core/loop.h"
#include "core/usock.h"
#include "machine/control.h"

static struct loop *loop;
static struct console *con;
static struct control *ctl;
static char dir[64];

static void info(void *arg, struct info *out)
{
    (void)arg;
    info_text(out, "persona", "bare");
    dump_add(info_part(out, "devices", "com1", "uart"), "divisor", "12");
}

static int ask(void *arg, const char *what, uint64_t value, const char **how, struct err *e)
{
    (void)arg;
    *how = "button";
    return value & 1 ? err_set(e, ENOTSUP, "no ears for %s", what) : 0;
}

static int data_set(void *arg, const char *key, const char *value, struct err *e)
{
    (void)arg;
    return value ? (int)(strlen(key) % 2) : err_set(e, EINVAL, "%s stays", key);
}

static int data_list(void *arg, const char *prefix, control_data_fn *fn, void *fn_arg,
                     struct err *e)
{
    (void)arg;
    (void)e;
    fn(fn_arg, prefix, "value");
    return 0;
}

static int copy(void *arg, const char *file, const char *to, struct err *e)
{
    (void)arg;
    (void)to;
    return strlen(file) % 2 ? 0 : err_set(e, ENOENT, "no %s", file);
}

static int attach(void *arg, const char *disk, const char **id, struct err *e)
{
    (void)arg;
    *id = "disk7";
    return strlen(disk) % 2 ? 0 : err_set(e, ENOENT, "no %s", disk);
}

static int detach(void *arg, const char *id, struct err *e)
{
    (void)arg;
    return strlen(id) % 2 ? 0 : err_set(e, ENOENT, "no %s", id);
}

static int resize(void *arg, const char *id, uint64_t bytes, struct err *e)
{
    (void)arg;
    return bytes % 2 ? 0 : err_set(e, ENOENT, "no %s", id);
}

static int disc(void *arg, const char *drive, const char *spec, bool force, struct err *e)
{
    (void)arg;
    return force || strlen(spec) % 2 ? 0 : err_set(e, EBUSY, "%s is locked", drive ? drive : "it");
}

static int screenshot(void *arg, const char *file, unsigned *width, unsigned *height, struct err *e)
{
    (void)arg;
    *width = *height = 1;
    return strlen(file) % 2 ? 0 : err_set(e, ENOENT, "no %s", file);
}

static int screen_text(void *arg, char **out, struct err *e)
{
    (void)arg;
    *out = strdup("a\nb");
    return *out ? 0 : err_set(e, ENOMEM, "no memory");
}

static int type(void *arg, const char *text, struct err *e)
{
    (void)arg;
    return strlen(text) % 2 ? 0 : err_set(e, EINVAL, "no key for %s", text);
}

static void stop(void *arg)
{
    (void)arg;
    control_event(ctl, "obeyed", NULL);
    control_done(ctl, true, NULL);
}

static struct console *console(void *arg)
{
    (void)arg;
    return con;
}

static void end(void)
{
    control_close(ctl, "powered off", NULL);
    console_close(con);
    loop_destroy(loop);
    rmdir(dir);
}

static void start(void)
{
    static const struct control_ops ops = {
        .info = info,
        .state = info,
        .ask = ask,
        .data_set = data_set,
        .data_list = data_list,
        .copy = copy,
        .attach = attach,
        .attach_nic = attach,
        .detach = detach,
        .resize = resize,
        .disc = disc,
        .screenshot = screenshot,
        .screen_text = screen_text,
        .type = type,
        .stop = stop,
        .console = console,
    };
    struct err e;

    if (file_mktemp("/tmp", "hospes-fuzz", dir, sizeof(dir)) < 0 ||
        setenv("HOSPES_RUNTIME", dir, 1) || loop_create(&loop, &e) < 0 ||
        console_open("none", loop, &con, &e) < 0 ||
        control_open("fuzz", loop, &ops, NULL, &ctl, &e) < 0)
        abort();
    atexit(end);
}

static void turn(int fd)
{
    char answer[65536];

    while (loop_step(loop, 0) > 0)
        (void)!recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e;
    size_t at = 0;
    int fd;

    if (!loop)
        start();
    if (usock_connect(control_path(ctl), &fd, &e) < 0)
        abort();
    turn(fd);
    while (at < size) {
        size_t n = data[at] % 64 ? data[at] : size - at;

        n = n > size - at ? size - at : n;
        if (send(fd, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break; /* cut off */
        turn(fd);
        at += n;
    }
    close(fd);
    turn(-1);
    return 0;
}
