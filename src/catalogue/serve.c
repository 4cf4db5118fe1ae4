/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.c - GET and HEAD of plain files, by libmicrohttpd. Not modelled: ranges, compression, TLS;
 * a site that is published is copied to a web server.
 */
#define _GNU_SOURCE
#include "catalogue/serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/dl.h"
#include "core/err.h"

enum { SERVE_CONNECTIONS = 64, SERVE_TIMEOUT_S = 30, PAGE_NAME = 300 };

/* Loaded when it is first used: see core/dl.h. */
DL_DECLARE(MHD_add_response_header);
DL_DECLARE(MHD_create_response_from_buffer);
DL_DECLARE(MHD_create_response_from_fd64);
DL_DECLARE(MHD_destroy_response);
DL_DECLARE(MHD_get_daemon_info);
DL_DECLARE(MHD_queue_response);
DL_DECLARE(MHD_start_daemon);
DL_DECLARE(MHD_stop_daemon);
static const struct dl_symbol libmicrohttpd[] = {
    DL_SYMBOL(MHD_add_response_header),
    DL_SYMBOL(MHD_create_response_from_buffer),
    DL_SYMBOL(MHD_create_response_from_fd64),
    DL_SYMBOL(MHD_destroy_response),
    DL_SYMBOL(MHD_get_daemon_info),
    DL_SYMBOL(MHD_queue_response),
    DL_SYMBOL(MHD_start_daemon),
    DL_SYMBOL(MHD_stop_daemon),
    {NULL, NULL},
};
#define MHD_add_response_header dl_MHD_add_response_header
#define MHD_create_response_from_buffer dl_MHD_create_response_from_buffer
#define MHD_create_response_from_fd64 dl_MHD_create_response_from_fd64
#define MHD_destroy_response dl_MHD_destroy_response
#define MHD_get_daemon_info dl_MHD_get_daemon_info
#define MHD_queue_response dl_MHD_queue_response
#define MHD_start_daemon dl_MHD_start_daemon
#define MHD_stop_daemon dl_MHD_stop_daemon

struct server {
    int dir;
    struct MHD_Daemon *d;
};

static const char *type_of(const char *name)
{
    static const struct {
        const char *suffix, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},     {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"}, {".json", "application/json"},
        {".csv", "text/csv; charset=utf-8"},       {".zst", "application/zstd"},
    };
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < ARRAY_SIZE(types); i++) {
        if (strcmp(types[i].suffix, dot) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, struct MHD_Response *r,
                              const char *type)
{
    enum MHD_Result rc;

    if (!r)
        return MHD_NO;
    (void)!MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)!MHD_add_response_header(r, "Content-Security-Policy", "default-src 'self'");
    (void)!MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    (void)!MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
    rc = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return rc;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *why)
{
    return answer(c, status,
                  MHD_create_response_from_buffer(strlen(why), (void *)(uintptr_t)why,
                                                  MHD_RESPMEM_PERSISTENT),
                  "text/plain; charset=utf-8");
}

/* Names that the site builder gives; nothing that begins with a dot. */
static bool page_name(const char *name)
{
    static const char good[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=+-/";
    size_t n = strlen(name);

    return n < PAGE_NAME && strspn(name, good) == n && *name != '/' && *name != '.' &&
           !strstr(name, "/.") && !strstr(name, "//");
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    static int seen;
    struct server *s = arg;
    const char *name = url + (*url == '/');
    struct stat st;
    int fd;

    (void)version;
    (void)data;
    /* Before a body comes, that nobody will read. */
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only reading is possible here\n");
    if (!*state || *size) { /* the headers only, so far, or a body that means nothing */
        *state = &seen;
        *size = 0;
        return MHD_YES;
    }
    if (!*name)
        name = "index.html";
    fd =
        page_name(name) ? openat(s->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            close(fd);
        return refuse(c, MHD_HTTP_NOT_FOUND, "there is no such page\n");
    }
    return answer(c, MHD_HTTP_OK, MHD_create_response_from_fd64((uint64_t)st.st_size, fd),
                  type_of(name));
}

static bool address(const char *host, uint16_t port, struct sockaddr_storage *out, bool *v6)
{
    struct sockaddr_in *a4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *a6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof(*out));
    *v6 = strchr(host, ':') != NULL;
    if (*v6) {
        a6->sin6_family = AF_INET6;
        a6->sin6_port = htons(port);
        return inet_pton(AF_INET6, host, &a6->sin6_addr) == 1;
    }
    a4->sin_family = AF_INET;
    a4->sin_port = htons(port);
    return inet_pton(AF_INET, host, &a4->sin_addr) == 1;
}

static int daemon_start(struct server *s, const char *host, uint16_t *port, struct err *e)
{
    struct sockaddr_storage at;
    const union MHD_DaemonInfo *info;
    bool v6;

    if (!address(host, *port, &at, &v6))
        return err_exit(e, EX_USAGE_, EINVAL, "%s is no address; use 127.0.0.1:8080 for instance",
                        host);
    s->d = MHD_start_daemon(
        MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | (v6 ? MHD_USE_IPv6 : MHD_NO_FLAG), *port,
        NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_CONNECTION_LIMIT,
        SERVE_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, SERVE_TIMEOUT_S, MHD_OPTION_END);
    if (!s->d)
        return err_exit(e, EX_IN_USE, EADDRINUSE,
                        "cannot serve at %s:%u: is the port in use, or not yours to use?", host,
                        *port);
    info = MHD_get_daemon_info(s->d, MHD_DAEMON_INFO_BIND_PORT);
    if (info)
        *port = info->port;
    return 0;
}

int server_start(const char *dir, const char *host, uint16_t *port, struct server **out,
                 struct err *e)
{
    int rc = dl_load("libmicrohttpd.so.12", "libmicrohttpd12", libmicrohttpd, e);
    struct server *s = rc < 0 ? NULL : calloc(1, sizeof(*s));

    if (rc < 0)
        return rc;
    if (!s)
        return err_set(e, ENOMEM, "no memory for a web server");
    s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = s->dir < 0 ? err_exit(e, EX_MISSING, errno, "cannot open %s: %s", dir, strerror(errno))
                    : daemon_start(s, host, port, e);
    if (rc < 0) {
        server_stop(s);
        return rc;
    }
    *out = s;
    return 0;
}

void server_stop(struct server *s)
{
    if (!s)
        return;
    if (s->d)
        MHD_stop_daemon(s->d);
    if (s->dir >= 0)
        close(s->dir);
    free(s);
}
