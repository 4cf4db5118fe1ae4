/* SPDX-License-Identifier: Apache-2.0 */
/* hub.c - see hub.h. Three lists, newest first, and a queue of keys that are still to be typed. */
#include "console/hub.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/loop.h"

/* A person types no faster; keyboards of slow guests keep up. */
enum { TYPE_STEP_NS = 12 * 1000 * 1000 };

struct stroke {
    uint16_t code;
    bool down;
};

struct hub {
    struct loop *loop;
    struct screen *screens;
    struct keyboard *keyboards;
    struct pointer *pointers;
    int last_x, last_y; /* of the last absolute position, for relative pointers */

    struct alarm pace;
    struct stroke *strokes;
    size_t count, at;
    void (*done)(void *arg);
    void *done_arg;
};

/* The three kinds have the same shape: take s out of the list, and put it in front again. */
#define LIST_DROP(list, s)                                                                         \
    do {                                                                                           \
        __typeof__(list) *at_ = &(list);                                                           \
        while (*at_ && *at_ != (s))                                                                \
            at_ = &(*at_)->next;                                                                   \
        if (*at_)                                                                                  \
            *at_ = (s)->next;                                                                      \
    } while (0)
#define LIST_FRONT(list, s)                                                                        \
    do {                                                                                           \
        LIST_DROP(list, s);                                                                        \
        (s)->next = (list);                                                                        \
        (list) = (s);                                                                              \
    } while (0)

static void type_next(struct alarm *a);

int hub_create(struct loop *l, struct hub **out, struct err *e)
{
    struct hub *h = calloc(1, sizeof(*h));

    if (!h)
        return err_set(e, ENOMEM, "no memory for the display");
    h->loop = l;
    h->pace.fire = type_next;
    *out = h;
    return 0;
}

void hub_destroy(struct hub *h)
{
    if (!h)
        return;
    loop_disarm(h->loop, &h->pace);
    free(h->strokes);
    free(h);
}

void hub_screen(struct hub *h, struct screen *s)
{
    if (h)
        LIST_FRONT(h->screens, s);
}

void hub_keyboard(struct hub *h, struct keyboard *k)
{
    if (h)
        LIST_FRONT(h->keyboards, k);
}

void hub_pointer(struct hub *h, struct pointer *p)
{
    if (h)
        LIST_FRONT(h->pointers, p);
}

void hub_screen_gone(struct hub *h, struct screen *s)
{
    if (h)
        LIST_DROP(h->screens, s);
}

void hub_keyboard_gone(struct hub *h, struct keyboard *k)
{
    if (h)
        LIST_DROP(h->keyboards, k);
}

void hub_pointer_gone(struct hub *h, struct pointer *p)
{
    if (h)
        LIST_DROP(h->pointers, p);
}

void hub_pointer_wake(struct hub *h, struct pointer *p)
{
    static const struct pointer_event nothing = {.buttons = 0};

    while (h && p->next && p->next->absolute)
        p = p->next;
    if (h && p->next)
        p->next->move(p->next, &nothing);
}

/* --- pictures --- */

static unsigned bytes_per_pixel(enum pixel_format f)
{
    switch (f) {
    case PIXEL_XRGB8888:
        return 4;
    case PIXEL_RGB888:
        return 3;
    case PIXEL_RGB565:
    case PIXEL_XRGB1555:
        return 2;
    default:
        return 1;
    }
}

static bool surface_valid(const struct surface *s)
{
    uint64_t line = (uint64_t)s->width * bytes_per_pixel(s->format), need;

    if (!s->pixels || s->width == 0 || s->height == 0 || s->width > SCREEN_MAX_SIDE ||
        s->height > SCREEN_MAX_SIDE || s->stride < line)
        return false;
    need = (uint64_t)s->stride * (s->height - 1) + line;
    return need <= s->size && need <= SCREEN_MAX_BYTES && (s->format != PIXEL_PAL8 || s->palette);
}

/* The first screen that shows something. */
static struct screen *front(struct hub *h, struct surface *out)
{
    for (struct screen *s = h ? h->screens : NULL; s; s = s->next) {
        memset(out, 0, sizeof(*out));
        if (s->surface(s, out) && surface_valid(out))
            return s;
    }
    return NULL;
}

struct screen *hub_front(struct hub *h)
{
    struct surface ignored;

    return front(h, &ignored);
}

static uint32_t widen(uint32_t v, unsigned r, unsigned g, unsigned b, unsigned gbits)
{
    uint32_t red = (v >> r) & 0x1f, green = (v >> g) & ((1u << gbits) - 1), blue = (v >> b) & 0x1f;

    green = gbits == 6 ? green << 2 | green >> 4 : green << 3 | green >> 2;
    return (red << 3 | red >> 2) << 16 | green << 8 | (blue << 3 | blue >> 2);
}

static void convert_line(const struct surface *s, const uint8_t *in, uint32_t *out)
{
    for (uint32_t x = 0; x < s->width; x++) {
        switch (s->format) {
        case PIXEL_XRGB8888:
            memcpy(&out[x], in + 4 * (size_t)x, 4);
            out[x] &= 0xffffff;
            break;
        case PIXEL_RGB888:
            out[x] = in[3 * x] | (uint32_t)in[3 * x + 1] << 8 | (uint32_t)in[3 * x + 2] << 16;
            break;
        case PIXEL_RGB565:
            out[x] = widen(in[2 * x] | (uint32_t)in[2 * x + 1] << 8, 11, 5, 0, 6);
            break;
        case PIXEL_XRGB1555:
            out[x] = widen(in[2 * x] | (uint32_t)in[2 * x + 1] << 8, 10, 5, 0, 5);
            break;
        case PIXEL_PAL8:
            out[x] = s->palette[in[x]] & 0xffffff;
            break;
        }
    }
}

int hub_image(struct hub *h, struct image *out, struct err *e)
{
    struct surface s;

    if (!front(h, &s))
        return err_set(e, ENOENT, "the guest shows nothing: no screen is lit");
    out->width = s.width;
    out->height = s.height;
    out->pixels = malloc((size_t)s.width * s.height * sizeof(uint32_t));
    if (!out->pixels)
        return err_set(e, ENOMEM, "no memory for a picture of %ux%u", s.width, s.height);
    for (uint32_t y = 0; y < s.height; y++)
        convert_line(&s, s.pixels + (size_t)y * s.stride, out->pixels + (size_t)y * s.width);
    return 0;
}

bool hub_size(struct hub *h, uint32_t *width, uint32_t *height)
{
    struct surface s;

    if (!front(h, &s))
        return false;
    *width = s.width;
    *height = s.height;
    return true;
}

void hub_wish(struct hub *h, uint32_t width, uint32_t height)
{
    if (h && h->screens && h->screens->wish)
        h->screens->wish(h->screens, width, height);
}

/* --- input --- */

static bool key(struct hub *h, unsigned code, bool down)
{
    return !h->keyboards || h->keyboards->key(h->keyboards, code, down);
}

void hub_key(struct hub *h, unsigned code, bool down)
{
    if (h)
        (void)key(h, code, down);
}

void hub_move(struct hub *h, const struct pointer_event *ev)
{
    struct pointer *p = h ? h->pointers : NULL;
    struct pointer_event step = *ev;
    uint32_t w, hgt;

    if (!p)
        return;
    if (!p->absolute && hub_size(h, &w, &hgt)) {
        step.x = (ev->x - h->last_x) * (int)w / 32768;
        step.y = (ev->y - h->last_y) * (int)hgt / 32768;
    }
    h->last_x = ev->x;
    h->last_y = ev->y;
    (void)p->move(p, &step);
}

static void type_next(struct alarm *a)
{
    struct hub *h = container_of(a, struct hub, pace);
    void (*done)(void *arg) = h->done;

    if (h->at < h->count) {
        if (key(h, h->strokes[h->at].code, h->strokes[h->at].down))
            h->at++;
        loop_arm(h->loop, &h->pace, loop_now(h->loop) + TYPE_STEP_NS);
        return;
    }
    free(h->strokes);
    h->strokes = NULL;
    if (done)
        done(h->done_arg);
}

static size_t stroke_char(struct stroke *s, char c)
{
    bool shift;
    unsigned code = key_ascii(c, &shift);
    size_t n = 0;

    if (shift)
        s[n++] = (struct stroke){KEY_LEFTSHIFT, true};
    s[n++] = (struct stroke){(uint16_t)code, true};
    s[n++] = (struct stroke){(uint16_t)code, false};
    if (shift)
        s[n++] = (struct stroke){KEY_LEFTSHIFT, false};
    return n;
}

int hub_type(struct hub *h, const char *text, void (*done)(void *arg), void *arg, struct err *e)
{
    size_t len = strlen(text);
    bool shift;

    if (h->strokes)
        return err_set(e, EBUSY, "other text is still being typed; try again when it is done");
    for (size_t i = 0; i < len; i++) {
        if (!key_ascii(text[i], &shift))
            return err_set(e, EINVAL, "character 0x%02x has no key on a US keyboard",
                           (unsigned char)text[i]);
    }
    if (!h->keyboards)
        return err_set(e, ENOENT, "this machine has no keyboard");
    h->strokes = calloc(len + 1, 4 * sizeof(*h->strokes));
    if (!h->strokes)
        return err_set(e, ENOMEM, "no memory for %zu keys", len);
    h->at = h->count = 0;
    for (size_t i = 0; i < len; i++)
        h->count += stroke_char(h->strokes + h->count, text[i]);
    h->done = done;
    h->done_arg = arg;
    loop_arm(h->loop, &h->pace, loop_now(h->loop));
    return 0;
}
