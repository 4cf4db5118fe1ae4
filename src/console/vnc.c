/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vnc.c - see vnc.h. Encodings, WebSocket frames and security types are libvncserver's.
 *
 * Not modelled: passwords (whoever reaches the port sees and types: bind it to loopback and use
 * ssh), clipboard, sound, keyboards other than US ones. Threads: the server's own, except what is
 * marked; `posted` counts calls on their way to the loop.
 */
#define _GNU_SOURCE /* accept4 */
#include "console/vnc.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rfb/keysym.h>
#include <rfb/rfb.h>

#include "console/hub.h"
#include "console/listen.h"
#include "core/bell.h"
#include "core/dl.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"

enum { FRAME_US = 30000, BAND = 16 /* lines that are compared at once */ };

/* Loaded when it is first used: see core/dl.h. */
DL_DECLARE(rfbDefaultPtrAddEvent);
DL_DECLARE(rfbGetScreen);
DL_DECLARE(rfbInitServerWithPthreadsAndZRLE);
DL_DECLARE(rfbLogEnable);
DL_DECLARE(rfbMarkRectAsModified);
DL_DECLARE(rfbNewClient);
DL_DECLARE(rfbNewFramebuffer);
DL_DECLARE(rfbProcessEvents);
DL_DECLARE(rfbScreenCleanup);
DL_DECLARE(rfbShutdownServer);
static const struct dl_symbol libvncserver[] = {
    DL_SYMBOL(rfbDefaultPtrAddEvent),
    DL_SYMBOL(rfbGetScreen),
    DL_SYMBOL(rfbInitServerWithPthreadsAndZRLE),
    DL_SYMBOL(rfbLogEnable),
    DL_SYMBOL(rfbMarkRectAsModified),
    DL_SYMBOL(rfbNewClient),
    DL_SYMBOL(rfbNewFramebuffer),
    DL_SYMBOL(rfbProcessEvents),
    DL_SYMBOL(rfbScreenCleanup),
    DL_SYMBOL(rfbShutdownServer),
    {NULL, NULL},
};
#undef rfbInitServer
#define rfbInitServer dl_rfbInitServerWithPthreadsAndZRLE
#define rfbDefaultPtrAddEvent dl_rfbDefaultPtrAddEvent
#define rfbGetScreen dl_rfbGetScreen
#define rfbLogEnable dl_rfbLogEnable
#define rfbMarkRectAsModified dl_rfbMarkRectAsModified
#define rfbNewClient dl_rfbNewClient
#define rfbNewFramebuffer dl_rfbNewFramebuffer
#define rfbProcessEvents dl_rfbProcessEvents
#define rfbScreenCleanup dl_rfbScreenCleanup
#define rfbShutdownServer dl_rfbShutdownServer

struct vnc {
    struct hub *hub;
    struct loop *loop;
    int listener, wake;
    char where[LISTEN_WHERE];
    unsigned port;
    char *token, *name;
    rfbScreenInfoPtr screen;
    pthread_t thread;
    bool started, stop;
    unsigned posted; /* atomic */

    pthread_mutex_t lock; /* the picture that was asked for */
    bool asked;
    struct image fresh; /* pixels NULL: none */
};

/* --- the loop's side --- */

static void post_done(struct vnc *v)
{
    __atomic_sub_fetch(&v->posted, 1, __ATOMIC_RELEASE);
}

static void post(struct vnc *v, void (*fn)(void *arg), void *arg)
{
    __atomic_add_fetch(&v->posted, 1, __ATOMIC_ACQUIRE);
    loop_post(v->loop, fn, arg);
}

/* On the loop. */
static void take_picture(void *arg)
{
    struct vnc *v = arg;
    struct image img = {.pixels = NULL};
    struct err ignored;

    if (hub_image(v->hub, &img, &ignored) < 0)
        img.pixels = NULL;
    pthread_mutex_lock(&v->lock);
    free(v->fresh.pixels);
    v->fresh = img;
    v->asked = false;
    pthread_mutex_unlock(&v->lock);
    post_done(v);
}

struct input {
    struct vnc *v;
    bool is_key, down;
    unsigned code;
    struct pointer_event at;
};

/* On the loop. */
static void give_input(void *arg)
{
    struct input *i = arg;

    if (i->is_key)
        hub_key(i->v->hub, i->code, i->down);
    else
        hub_move(i->v->hub, &i->at);
    post_done(i->v);
    free(i);
}

static void send_input(struct vnc *v, const struct input *what)
{
    struct input *i = malloc(sizeof(*i));

    if (!i)
        return; /* a key lost, as on a real keyboard that is hit too fast */
    *i = *what;
    i->v = v;
    post(v, give_input, i);
}

/* --- keys --- */

static const struct {
    uint32_t sym;
    uint16_t code;
} keys_by_sym[] = {
    {XK_BackSpace, KEY_BACKSPACE},
    {XK_Tab, KEY_TAB},
    {XK_ISO_Left_Tab, KEY_TAB},
    {XK_Return, KEY_ENTER},
    {XK_Escape, KEY_ESC},
    {XK_Delete, KEY_DELETE},
    {XK_Home, KEY_HOME},
    {XK_Left, KEY_LEFT},
    {XK_Up, KEY_UP},
    {XK_Right, KEY_RIGHT},
    {XK_Down, KEY_DOWN},
    {XK_Page_Up, KEY_PAGEUP},
    {XK_Page_Down, KEY_PAGEDOWN},
    {XK_End, KEY_END},
    {XK_Insert, KEY_INSERT},
    {XK_Menu, KEY_COMPOSE},
    {XK_Num_Lock, KEY_NUMLOCK},
    {XK_Caps_Lock, KEY_CAPSLOCK},
    {XK_Scroll_Lock, KEY_SCROLLLOCK},
    {XK_Print, KEY_SYSRQ},
    {XK_Pause, KEY_PAUSE},
    {XK_Shift_L, KEY_LEFTSHIFT},
    {XK_Shift_R, KEY_RIGHTSHIFT},
    {XK_Control_L, KEY_LEFTCTRL},
    {XK_Control_R, KEY_RIGHTCTRL},
    {XK_Alt_L, KEY_LEFTALT},
    {XK_Alt_R, KEY_RIGHTALT},
    {XK_Meta_L, KEY_LEFTALT},
    {XK_ISO_Level3_Shift, KEY_RIGHTALT},
    {XK_Super_L, KEY_LEFTMETA},
    {XK_Super_R, KEY_RIGHTMETA},
    {XK_KP_Enter, KEY_KPENTER},
    {XK_KP_Add, KEY_KPPLUS},
    {XK_KP_Subtract, KEY_KPMINUS},
    {XK_KP_Multiply, KEY_KPASTERISK},
    {XK_KP_Divide, KEY_KPSLASH},
    {XK_KP_Decimal, KEY_KPDOT},
    {XK_F11, KEY_F11},
    {XK_F12, KEY_F12},
};

unsigned vnc_key(uint32_t keysym)
{
    static const uint8_t pad[10] = {KEY_KP0, KEY_KP1, KEY_KP2, KEY_KP3, KEY_KP4,
                                    KEY_KP5, KEY_KP6, KEY_KP7, KEY_KP8, KEY_KP9};
    bool shift; /* viewers send it as a key of its own */

    if (keysym >= XK_space && keysym <= XK_asciitilde)
        return key_ascii((char)keysym, &shift);
    if (keysym >= XK_F1 && keysym <= XK_F10)
        return KEY_F1 + (keysym - XK_F1);
    if (keysym >= XK_KP_0 && keysym <= XK_KP_9)
        return pad[keysym - XK_KP_0];
    for (size_t i = 0; i < ARRAY_SIZE(keys_by_sym); i++) {
        if (keys_by_sym[i].sym == keysym)
            return keys_by_sym[i].code;
    }
    return 0;
}

static void on_key(rfbBool down, rfbKeySym sym, rfbClientPtr c)
{
    struct input i = {.is_key = true, .down = down, .code = vnc_key(sym)};

    if (i.code)
        send_input(c->screen->screenData, &i);
}

static void on_pointer(int mask, int x, int y, rfbClientPtr c)
{
    struct vnc *v = c->screen->screenData;
    struct input i = {.at = {.x = (int)((int64_t)x * 32768 / c->screen->width),
                             .y = (int)((int64_t)y * 32768 / c->screen->height),
                             .wheel = (mask & 8 ? 1 : 0) - (mask & 16 ? 1 : 0),
                             .buttons = (mask & 1 ? POINTER_LEFT : 0u) |
                                        (mask & 2 ? POINTER_MIDDLE : 0u) |
                                        (mask & 4 ? POINTER_RIGHT : 0u)}};

    send_input(v, &i);
    rfbDefaultPtrAddEvent(mask, x, y, c);
}

/* A page of any web site can open a WebSocket to this port, so that it must know the token. */
static enum rfbNewClientAction on_client(rfbClientPtr c)
{
    struct vnc *v = c->screen->screenData;
    const char *path = c->wspath;

    if (!c->wsctx)
        return RFB_CLIENT_ACCEPT;
    while (path && *path == '/')
        path++;
    return v->token && path && strcmp(path, v->token) == 0 ? RFB_CLIENT_ACCEPT : RFB_CLIENT_REFUSE;
}

/* --- pictures --- */

static void resize(struct vnc *v, const struct image *img)
{
    rfbScreenInfoPtr s = v->screen;
    char *old = s->frameBuffer, *now = calloc((size_t)img->width * img->height, 4);

    if (!now)
        return;
    rfbNewFramebuffer(s, now, (int)img->width, (int)img->height, 8, 3, 4);
    s->serverFormat.redShift = 16;
    s->serverFormat.greenShift = 8;
    s->serverFormat.blueShift = 0;
    free(old);
}

/* Copies what changed and tells the viewers. */
static void show(struct vnc *v, const struct image *img)
{
    rfbScreenInfoPtr s = v->screen;
    size_t line = (size_t)img->width * 4;

    if ((unsigned)s->width != img->width || (unsigned)s->height != img->height)
        resize(v, img);
    if ((unsigned)s->width != img->width || (unsigned)s->height != img->height)
        return;
    for (unsigned y = 0; y < img->height; y += BAND) {
        unsigned n = (unsigned)min_u64(BAND, img->height - y);
        char *to = s->frameBuffer + y * line;
        const uint32_t *from = img->pixels + (size_t)y * img->width;

        if (memcmp(to, from, n * line) == 0)
            continue;
        memcpy(to, from, n * line);
        rfbMarkRectAsModified(s, 0, (int)y, (int)img->width, (int)(y + n));
    }
}

static void frame(struct vnc *v)
{
    struct image img;
    bool ask;

    pthread_mutex_lock(&v->lock);
    img = v->fresh;
    v->fresh.pixels = NULL;
    ask = !v->asked;
    v->asked = true;
    pthread_mutex_unlock(&v->lock);
    if (ask)
        post(v, take_picture, v);
    if (img.pixels)
        show(v, &img);
    free(img.pixels);
}

/* --- the thread --- */

static void greet(struct vnc *v)
{
    int fd = accept4(v->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0)
        (void)rfbNewClient(v->screen, fd); /* closes fd when it fails */
}

static void *serve(void *arg)
{
    struct vnc *v = arg;

    while (!__atomic_load_n(&v->stop, __ATOMIC_ACQUIRE)) {
        struct pollfd p[] = {{.fd = v->listener, .events = POLLIN},
                             {.fd = v->wake, .events = POLLIN}};
        bool idle = v->screen->clientHead == NULL;

        if (poll(p, 2, idle ? -1 : 0) > 0 && (p[0].revents & POLLIN))
            greet(v);
        if (!v->screen->clientHead)
            continue;
        frame(v);
        rfbProcessEvents(v->screen, FRAME_US);
    }
    return NULL;
}

/* On the loop, so that the thread is held to the loop's sandbox. */
static void begin(void *arg)
{
    struct vnc *v = arg;

    if (!__atomic_load_n(&v->stop, __ATOMIC_ACQUIRE))
        v->started = pthread_create(&v->thread, NULL, serve, v) == 0;
    if (!v->started && !__atomic_load_n(&v->stop, __ATOMIC_ACQUIRE))
        log_line(LOG_ERROR, "vnc", "no thread for the server: nobody can look");
    __atomic_sub_fetch(&v->posted, 1, __ATOMIC_ACQ_REL);
}

/* --- life --- */

static int make_screen(struct vnc *v, struct err *e)
{
    int rc = dl_load("libvncserver.so.1", "libvncserver1", libvncserver, e);
    rfbScreenInfoPtr s;

    if (rc < 0)
        return rc;
    rfbLogEnable(0);
    s = rfbGetScreen(NULL, NULL, 720, 400, 8, 3, 4);
    if (!s)
        return err_set(e, ENOMEM, "no memory for a VNC server");
    v->screen = s;
    s->frameBuffer = calloc(720 * 400, 4);
    if (!s->frameBuffer)
        return err_set(e, ENOMEM, "no memory for a VNC server");
    s->serverFormat.redShift = 16;
    s->serverFormat.greenShift = 8;
    s->serverFormat.blueShift = 0;
    s->desktopName = v->name;
    s->screenData = v;
    s->kbdAddEvent = on_key;
    s->ptrAddEvent = on_pointer;
    s->newClientHook = on_client;
    s->port = 0; /* we listen ourselves */
    s->ipv6port = 0;
    s->autoPort = FALSE;
    s->httpDir = NULL;
    s->alwaysShared = TRUE;
    s->cursor = NULL;
    rfbInitServer(s);
    return 0;
}

int vnc_open(const struct vnc_cfg *c, struct hub *hub, struct loop *l, struct vnc **out,
             struct err *e)
{
    struct vnc *v = calloc(1, sizeof(*v));
    int rc = 0;

    if (!v)
        return err_set(e, ENOMEM, "no memory for a VNC server");
    v->hub = hub;
    v->loop = l;
    pthread_mutex_init(&v->lock, NULL);
    v->wake = bell_make();
    v->name = strdup(c->name);
    v->token = c->token ? strdup(c->token) : NULL;
    v->listener = listen_tcp(c->where, v->where, &v->port, e);
    if (v->listener < 0)
        rc = v->listener;
    else if (v->wake < 0 || !v->name || (c->token && !v->token))
        rc = err_set(e, ENOMEM, "no memory for a VNC server");
    if (rc == 0)
        rc = make_screen(v, e);
    if (rc < 0) {
        vnc_close(v);
        return rc;
    }
    post(v, begin, v);
    *out = v;
    return 0;
}

void vnc_close(struct vnc *v)
{
    if (!v)
        return;
    __atomic_store_n(&v->stop, true, __ATOMIC_RELEASE);
    if (v->started) {
        bell_ring(v->wake);
        pthread_join(v->thread, NULL);
    }
    while (__atomic_load_n(&v->posted, __ATOMIC_ACQUIRE))
        (void)loop_step(v->loop, 1000000);
    if (v->screen) {
        char *fb = v->screen->frameBuffer;

        rfbShutdownServer(v->screen, TRUE);
        rfbScreenCleanup(v->screen);
        free(fb);
    }
    free(v->fresh.pixels);
    if (v->listener >= 0)
        close(v->listener);
    if (v->wake >= 0)
        close(v->wake);
    pthread_mutex_destroy(&v->lock);
    free(v->name);
    free(v->token);
    free(v);
}

const char *vnc_where(const struct vnc *v)
{
    return v->where;
}

unsigned vnc_port(const struct vnc *v)
{
    return v->port;
}
