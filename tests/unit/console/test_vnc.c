/* SPDX-License-Identifier: Apache-2.0 */
/* A VNC viewer and a browser, byte by byte, before a screen of four pixels' colours. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/input-event-codes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "console/hub.h"
#include "console/vnc.h"
#include "console/web.h"
#include "core/err.h"
#include "core/loop.h"

enum { W = 64, H = 32, WAIT_MS = 5000 };

static struct loop *loop;
static struct hub *hub;
static uint32_t pixels[W * H];
static unsigned last_key, keys, last_buttons;
static int last_x;

static bool surface(struct screen *s, struct surface *out)
{
    (void)s;
    *out = (struct surface){.pixels = (const uint8_t *)pixels,
                            .size = sizeof(pixels),
                            .width = W,
                            .height = H,
                            .stride = W * 4,
                            .format = PIXEL_XRGB8888};
    return true;
}

static bool key(struct keyboard *k, unsigned code, bool down)
{
    (void)k;
    last_key = code;
    keys += down;
    return true;
}

static bool move(struct pointer *p, const struct pointer_event *ev)
{
    (void)p;
    last_x = ev->x;
    last_buttons = ev->buttons;
    return true;
}

static struct screen screen = {.name = "test", .surface = surface};
static struct keyboard keyboard = {.name = "test", .key = key};
static struct pointer pointer = {.name = "test", .absolute = true, .move = move};

static int setup(void **state)
{
    struct err e;

    (void)state;
    keys = last_key = last_buttons = 0;
    for (unsigned i = 0; i < W * H; i++)
        pixels[i] = 0x102030;
    if (loop_create(&loop, &e) < 0 || hub_create(loop, &hub, &e) < 0)
        return -1;
    hub_screen(hub, &screen);
    hub_keyboard(hub, &keyboard);
    hub_pointer(hub, &pointer);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hub_destroy(hub);
    loop_destroy(loop);
    return 0;
}

static int dial(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

/* Reads n bytes while the loop runs; false: the other side closed. */
static bool take(int fd, void *buf, size_t n)
{
    for (size_t got = 0, tries = 0; got < n;) {
        ssize_t k = recv(fd, (char *)buf + got, n - got, MSG_DONTWAIT);

        if (k == 0 || (k < 0 && errno != EAGAIN))
            return false;
        got += k > 0 ? (size_t)k : 0;
        if (k < 0) {
            assert_true(++tries < WAIT_MS);
            (void)loop_step(loop, 1000000);
        }
    }
    return true;
}

static void give(int fd, const void *buf, size_t n)
{
    assert_int_equal(send(fd, buf, n, MSG_NOSIGNAL), (ssize_t)n);
}

static struct vnc *open_vnc(const char *token)
{
    struct vnc_cfg c = {.where = "127.0.0.1:0", .name = "guest", .token = token};
    struct vnc *v;
    struct err e;

    assert_int_equal(vnc_open(&c, hub, loop, &v, &e), 0);
    return v;
}

/* RFC 6143, 7.1 and 7.3: version, no security, shared. */
static int viewer(unsigned port)
{
    int fd = dial(port);
    uint8_t b[64];

    assert_true(take(fd, b, 12));
    assert_memory_equal(b, "RFB 003.008\n", 12);
    give(fd, b, 12);
    assert_true(take(fd, b, 1));
    assert_true(take(fd, b + 1, b[0]));
    assert_non_null(memchr(b + 1, 1, b[0])); /* None is offered */
    give(fd, "\1", 1);
    assert_true(take(fd, b, 4));
    assert_int_equal(be32_at(b), 0);
    give(fd, "\1", 1);
    assert_true(take(fd, b, 24));
    assert_true(take(fd, b + 24, be32_at(b + 20)));
    assert_memory_equal(b + 24, "guest", 5);
    return fd;
}

static void ask_frame(int fd, bool more)
{
    uint8_t r[10] = {3, more, 0, 0, 0, 0, 0, W, 0, H};

    give(fd, r, sizeof(r));
}

/* One update; the colour of its first pixel, or of a desktop size change the width << 32. */
static uint32_t frame(int fd)
{
    static uint8_t px[720 * 400 * 4];
    uint8_t head[4], r[12];
    uint32_t first = 0;

    assert_true(take(fd, head, 4));
    assert_int_equal(head[0], 0);
    for (unsigned i = be16_at(head + 2); i; i--) {
        size_t n;

        assert_true(take(fd, r, 12));
        n = be32_at(r + 8) == 0 ? (size_t)be16_at(r + 4) * be16_at(r + 6) * 4 : 0;
        assert_true(n <= sizeof(px));
        assert_true(take(fd, px, n));
        if (n)
            memcpy(&first, px, 4);
    }
    return first;
}

static void a_viewer_sees_what_changes(void **state)
{
    static const uint8_t encodings[] = {2, 0, 0, 2, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21};
    struct vnc *v = open_vnc(NULL);
    int fd = viewer(vnc_port(v));
    uint32_t seen = 0;

    (void)state;
    give(fd, encodings, sizeof(encodings)); /* raw, DesktopSize */
    for (unsigned i = 0; i < 10 && seen != 0x102030; i++) {
        ask_frame(fd, i > 0);
        seen = frame(fd) & 0xffffff;
    }
    assert_int_equal(seen, 0x102030);
    pixels[0] = 0xa0b0c0;
    for (unsigned i = 0; i < 10 && seen != 0xa0b0c0; i++) {
        ask_frame(fd, true);
        seen = frame(fd) & 0xffffff;
    }
    assert_int_equal(seen, 0xa0b0c0);
    close(fd);
    vnc_close(v);
}

static void keys_and_pointer_reach_the_guest(void **state)
{
    static const uint8_t press[] = {4, 1, 0, 0, 0, 0, 0, 'A'}, click[] = {5, 5, 1, 0x68, 0, 100};
    struct vnc *v = open_vnc(NULL);
    int fd = viewer(vnc_port(v));

    (void)state;
    give(fd, press, sizeof(press));
    for (unsigned i = 0; i < WAIT_MS && !keys; i++)
        (void)loop_step(loop, 1000000);
    assert_int_equal(last_key, KEY_A);
    give(fd, click, sizeof(click)); /* left and right, at 360 of 720 */
    for (unsigned i = 0; i < WAIT_MS && !last_buttons; i++)
        (void)loop_step(loop, 1000000);
    assert_int_equal(last_buttons, POINTER_LEFT | POINTER_RIGHT);
    vnc_close(v); /* with a viewer still there */
    close(fd);
    assert_int_equal(vnc_key(0xff0d), KEY_ENTER);
    assert_int_equal(vnc_key(0xffbe), KEY_F1);
    assert_int_equal(vnc_key(0x20ac), 0);
}

/* The answer to a WebSocket's opening, cut off at 4 KiB; then the first frame's payload if any. */
static bool websocket(unsigned port, const char *path, char *answer, size_t room)
{
    char ask[512];
    int fd = dial(port);
    size_t n = 0;
    bool greeted;

    snprintf(ask, sizeof(ask),
             "GET /%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
             "Origin: http://127.0.0.1\r\nSec-WebSocket-Protocol: binary\r\n\r\n",
             path);
    give(fd, ask, strlen(ask));
    while (n < room - 1 && take(fd, answer + n, 1)) {
        answer[++n] = '\0';
        if (n > 4 && memcmp(answer + n - 4, "\r\n\r\n", 4) == 0)
            break;
    }
    answer[n] = '\0';
    /* A frame of 12 bytes with the version; then its answer, masked by zeroes. */
    greeted = take(fd, answer + n, 14);
    if (greeted) {
        give(fd, "\x82\x8c\0\0\0\0RFB 003.008\n", 18);
        greeted = take(fd, answer, 3);
    }
    close(fd);
    return greeted;
}

static void a_websocket_needs_the_token(void **state)
{
    struct vnc *v = open_vnc("secret");
    char answer[4096];

    (void)state;
    assert_true(websocket(vnc_port(v), "secret", answer, sizeof(answer)));
    assert_false(websocket(vnc_port(v), "guess", answer, sizeof(answer)));
    assert_false(websocket(vnc_port(v), "", answer, sizeof(answer)));
    vnc_close(v);
    v = open_vnc(NULL);
    assert_false(websocket(vnc_port(v), "secret", answer, sizeof(answer)));
    vnc_close(v);
}

static void a_bad_place_is_an_error(void **state)
{
    static const char *const bad[] = {"127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "nowhere.invalid:1",
                                      "127.0.0.1:99999"};
    struct vnc_cfg c = {.name = "guest"};
    struct vnc *v = open_vnc(NULL), *second;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        c.where = bad[i];
        assert_true(vnc_open(&c, hub, loop, &second, &e) < 0);
        assert_non_null(strstr(e.msg, "listen"));
    }
    c.where = vnc_where(v);
    assert_true(vnc_open(&c, hub, loop, &second, &e) < 0);
    assert_int_equal(e.exit, EX_IN_USE);
    vnc_close(v);
}

/* --- the page --- */

static char *facts(void *arg)
{
    (void)arg;
    return strdup("{\"name\":\"guest\"}");
}

static const char *get(unsigned port, const char *request)
{
    static char answer[65536];
    int fd = dial(port);
    size_t n = 0;

    give(fd, request, strlen(request));
    while (n < sizeof(answer) - 1 && take(fd, answer + n, 1))
        n++;
    answer[n] = '\0';
    close(fd);
    return answer;
}

static void the_page_is_below_its_token(void **state)
{
    static const char *const refused[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "GET /t0kem/ HTTP/1.1\r\n\r\n",
        "GET /t0ken/novnc/../secret HTTP/1.1\r\n\r\n",
        "GET /t0ken/novnc//etc/passwd HTTP/1.1\r\n\r\n",
        "GET /t0ken/novnc/core HTTP/1.1\r\n\r\n",
        "GET /t0ken/novnc/%2e%2e/secret HTTP/1.1\r\n\r\n",
        "GET /t0ken/novnc/.hidden HTTP/1.1\r\n\r\n",
        "GET /t0ken HTTP/1.1\r\n\r\n",
        "POST /t0ken/ HTTP/1.1\r\n\r\n",
        "GET /t0ken/\r\n\r\n",
    };
    char dir[] = "/tmp/test-web-XXXXXX", path[64];
    struct web_cfg c = {.where = "127.0.0.1:0", .token = "t0ken", .vnc_port = 5999, .facts = facts};
    struct web *w;
    struct err e;
    unsigned port;
    FILE *f;

    (void)state;
    c.novnc = mkdtemp(dir);
    assert_true(web_open(&c, loop, &w, &e) < 0); /* no noVNC there */
    assert_int_equal(e.exit, EX_MISSING);
    snprintf(path, sizeof(path), "%s/core", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/core/rfb.js", dir);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("export default 1;", f);
    fclose(f);
    assert_int_equal(web_open(&c, loop, &w, &e), 0);
    assert_int_equal(sscanf(web_url(w), "http://127.0.0.1:%u/t0ken/", &port), 1);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        assert_memory_equal(get(port, refused[i]), "HTTP/1.1 4", 10);
    assert_non_null(strstr(get(port, "GET /t0ken/ HTTP/1.1\r\nHost: x\r\n\r\n"), "port = 5999"));
    assert_non_null(strstr(get(port, "GET /t0ken/facts HTTP/1.1\r\n\r\n"), "{\"name\":\"guest\"}"));
    assert_non_null(strstr(get(port, "GET /t0ken/novnc/core/rfb.js?a=b HTTP/1.1\r\n\r\n"),
                           "export default 1;"));
    web_close(w);
    unlink(path);
    snprintf(path, sizeof(path), "%s/core", dir);
    rmdir(path);
    rmdir(dir);
}

static void tokens_are_never_the_same(void **state)
{
    char a[33], b[33];
    struct err e;

    (void)state;
    assert_int_equal(web_token(a, &e), 0);
    assert_int_equal(web_token(b, &e), 0);
    assert_int_equal(strlen(a), 32);
    assert_string_not_equal(a, b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_viewer_sees_what_changes),  TEST(keys_and_pointer_reach_the_guest),
        TEST(a_websocket_needs_the_token), TEST(a_bad_place_is_an_error),
        TEST(the_page_is_below_its_token), TEST(tokens_are_never_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
