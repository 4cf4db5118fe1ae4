/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web.c - see web.h. One request a connection; the page is page.h, the viewer in it is noVNC from
 * where it is installed.
 *
 *   /TOKEN/          the page
 *   /TOKEN/facts     JSON
 *   /TOKEN/novnc/... files of noVNC
 */
#define _GNU_SOURCE
#include "console/web.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "console/listen.h"
#include "console/page.h"
#include "core/err.h"
#include "core/file.h"
#include "core/loop.h"

enum { REQUEST_MAX = 8192, FILE_MAX_BYTES = 4 << 20, CLIENTS = 32, HEAD_MAX = 512 };
#define CLIENT_NS UINT64_C(10000000000) /* a connection may take 10 s in all */

struct web_client {
    struct watch w;
    struct alarm limit;
    struct web *web;
    struct web_client *next;
    char in[REQUEST_MAX];
    size_t got;
    char *out;
    size_t len, sent;
};

struct web {
    struct loop *loop;
    struct watch w;
    struct web_cfg c;
    char where[LISTEN_WHERE], url[LISTEN_WHERE + 48], token[33];
    char *novnc;
    struct web_client *clients;
    unsigned count;
};

int web_token(char out[33], struct err *e)
{
    uint8_t b[16];

    if (getrandom(b, sizeof(b), 0) != sizeof(b))
        return err_set(e, errno, "the kernel gives no random bytes: %s", strerror(errno));
    for (unsigned i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", b[i]);
    return 0;
}

/* --- connections --- */

static void client_free(struct web_client *k)
{
    k->web->count--;
    loop_disarm(k->web->loop, &k->limit);
    loop_unwatch(k->web->loop, &k->w);
    close(k->w.fd);
    free(k->out);
    free(k);
}

static void client_end(struct web_client *k)
{
    struct web_client **at = &k->web->clients;

    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    client_free(k);
}

static void client_late(struct alarm *a)
{
    client_end(container_of(a, struct web_client, limit));
}

static void client_send(struct web_client *k)
{
    while (k->sent < k->len) {
        ssize_t n = send(k->w.fd, k->out + k->sent, k->len - k->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN) {
            if (loop_rewatch(k->web->loop, &k->w, EPOLLOUT) == 0)
                return;
        }
        if (n <= 0)
            break;
        k->sent += (size_t)n;
    }
    client_end(k);
}

/* Takes body over; NULL: status alone. */
static void client_answer(struct web_client *k, const char *status, const char *type, char *body,
                          size_t n)
{
    char head[HEAD_MAX];
    int h = snprintf(head, sizeof(head),
                     "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                     "Connection: close\r\nCache-Control: no-store\r\n"
                     "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
                     "X-Frame-Options: DENY\r\n\r\n",
                     status, type, body ? n : 0);

    k->out = malloc((size_t)h + n);
    if (!k->out) {
        free(body);
        client_end(k);
        return;
    }
    memcpy(k->out, head, (size_t)h);
    if (body)
        memcpy(k->out + h, body, n);
    k->len = (size_t)h + (body ? n : 0);
    free(body);
    client_send(k);
}

static void client_refuse(struct web_client *k, const char *status)
{
    client_answer(k, status, "text/plain", NULL, 0);
}

/* --- what is there --- */

static const char *type_of(const char *path)
{
    static const struct {
        const char *suffix, *type;
    } types[] = {{".js", "text/javascript"},    {".html", "text/html"},    {".css", "text/css"},
                 {".json", "application/json"}, {".svg", "image/svg+xml"}, {".png", "image/png"}};
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot && i < ARRAY_SIZE(types); i++) {
        if (strcmp(dot, types[i].suffix) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

/* Letters, digits and a few marks; no component begins with a dot. */
static bool path_is_tame(const char *p)
{
    for (const char *c = p; *c; c++) {
        if (*c == '.' && (c == p || c[-1] == '/'))
            return false;
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./", *c))
            return false;
    }
    return *p != '\0' && *p != '/';
}

static char *load(const char *path, size_t *n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    char *b = NULL;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX_BYTES)
        b = malloc((size_t)st.st_size + 1);
    if (b && file_read(fd, b, (size_t)st.st_size, 0) != st.st_size) {
        free(b);
        b = NULL;
    }
    if (b)
        *n = (size_t)st.st_size;
    close(fd);
    return b;
}

static void serve_file(struct web_client *k, const char *name)
{
    char *path = NULL, *body = NULL;
    size_t n = 0;

    if (path_is_tame(name) && asprintf(&path, "%s/%s", k->web->novnc, name) >= 0)
        body = load(path, &n);
    free(path);
    if (body)
        client_answer(k, "200 OK", type_of(name), body, n);
    else
        client_refuse(k, "404 Not Found");
}

static void serve_path(struct web_client *k, char *path)
{
    struct web *w = k->web;
    size_t n = strlen(w->token);
    char *body = NULL;

    path[strcspn(path, "?")] = '\0';
    if (path[0] != '/' || strncmp(path + 1, w->token, n) != 0 || path[n + 1] != '/') {
        client_refuse(k, "404 Not Found");
        return;
    }
    path += n + 2;
    if (*path == '\0') {
        if (asprintf(&body, web_page, w->c.vnc_port) < 0)
            client_refuse(k, "503 Service Unavailable");
        else
            client_answer(k, "200 OK", "text/html; charset=utf-8", body, strlen(body));
    } else if (strcmp(path, "facts") == 0) {
        body = w->c.facts(w->c.arg);
        if (!body)
            client_refuse(k, "503 Service Unavailable");
        else
            client_answer(k, "200 OK", "application/json", body, strlen(body));
    } else if (strncmp(path, "novnc/", 6) == 0) {
        serve_file(k, path + 6);
    } else {
        client_refuse(k, "404 Not Found");
    }
}

/* --- requests --- */

static void request(struct web_client *k)
{
    char *path = k->in + 4, *end;

    if (strncmp(k->in, "GET ", 4) != 0) {
        client_refuse(k, "405 Method Not Allowed");
        return;
    }
    end = strpbrk(path, " \r\n");
    if (!end || strncmp(end, " HTTP/1.", 8) != 0) {
        client_refuse(k, "400 Bad Request");
        return;
    }
    *end = '\0';
    serve_path(k, path);
}

static void client_ready(struct watch *w, uint32_t got)
{
    struct web_client *k = container_of(w, struct web_client, w);
    ssize_t n;

    (void)got;
    if (k->out) {
        client_send(k);
        return;
    }
    n = recv(w->fd, k->in + k->got, sizeof(k->in) - 1 - k->got, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        client_end(k);
        return;
    }
    k->got += (size_t)n;
    k->in[k->got] = '\0';
    if (strlen(k->in) != k->got)
        client_refuse(k, "400 Bad Request");
    else if (strstr(k->in, "\r\n\r\n"))
        request(k);
    else if (k->got == sizeof(k->in) - 1)
        client_refuse(k, "431 Request Header Fields Too Large");
}

static void web_ready(struct watch *w, uint32_t got)
{
    struct web *web = container_of(w, struct web, w);
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct web_client *k = fd >= 0 && web->count < CLIENTS ? calloc(1, sizeof(*k)) : NULL;

    (void)got;
    if (!k) {
        if (fd >= 0)
            close(fd);
        return;
    }
    k->web = web;
    k->w = (struct watch){.fd = fd, .want = EPOLLIN, .ready = client_ready};
    k->limit.fire = client_late;
    if (loop_watch(web->loop, &k->w) < 0) {
        close(fd);
        free(k);
        return;
    }
    k->next = web->clients;
    web->clients = k;
    web->count++;
    loop_arm(web->loop, &k->limit, loop_now(web->loop) + CLIENT_NS);
}

/* --- life --- */

int web_open(const struct web_cfg *c, struct loop *l, struct web **out, struct err *e)
{
    struct web *w = calloc(1, sizeof(*w));
    unsigned port;
    char probe[256];
    int rc = 0;

    if (!w)
        return err_set(e, ENOMEM, "no memory for the web page");
    w->loop = l;
    w->c = *c;
    snprintf(w->token, sizeof(w->token), "%s", c->token);
    w->novnc = strdup(c->novnc ? c->novnc : "/usr/share/novnc");
    w->w = (struct watch){.want = EPOLLIN, .ready = web_ready};
    w->w.fd = listen_tcp(c->where, w->where, &port, e);
    if (w->w.fd < 0)
        rc = w->w.fd;
    else if (!w->novnc)
        rc = err_set(e, ENOMEM, "no memory for the web page");
    snprintf(probe, sizeof(probe), "%s/core/rfb.js", w->novnc ? w->novnc : "");
    if (rc == 0 && access(probe, R_OK) < 0)
        rc = err_exit(e, EX_MISSING, ENOENT,
                      "the web page needs noVNC and there is no %s: install the package novnc, or "
                      "use --display vnc=ADDR:PORT without web=",
                      probe);
    if (rc == 0 && loop_watch(l, &w->w) < 0)
        rc = err_set(e, ENOMEM, "no memory for the web page");
    if (rc < 0) {
        if (w->w.fd >= 0)
            close(w->w.fd);
        free(w->novnc);
        free(w);
        return rc;
    }
    snprintf(w->url, sizeof(w->url), "http://%s/%s/", w->where, w->token);
    *out = w;
    return 0;
}

void web_close(struct web *w)
{
    if (!w)
        return;
    while (w->clients) {
        struct web_client *k = w->clients;

        w->clients = k->next;
        client_free(k);
    }
    loop_unwatch(w->loop, &w->w);
    close(w->w.fd);
    free(w->novnc);
    free(w);
}

const char *web_url(const struct web *w)
{
    return w->url;
}
