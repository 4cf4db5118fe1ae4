/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svga_fifo.c - commands of SVGA II.
 *
 * The guest draws into memory that viewers read, so that updates have nothing to do; copies within
 * the frame buffer, pointers and fences have. The four words that bound the FIFO are the guest's:
 * each is copied and checked before a command is taken. Threads: a vCPU's, under the device's lock.
 */
#include <string.h>

#include "personas/vmware/svga.h"

enum {
    HEADER_BYTES = 16,
    WORD = 4,
    TURN = 2 * SVGA_VRAM / 4, /* words that one look takes or copies: some milliseconds */
};

/* Where commands lie: bytes of the FIFO's memory. */
struct fifo {
    uint32_t min, max, next, stop;
    uint32_t budget; /* words that this look may still take, or copy within the screen */
};

static bool fifo_open(const struct svga *v, struct fifo *f)
{
    f->min = svga_fifo_word(v, SVGA_FIFO_MIN);
    f->max = svga_fifo_word(v, SVGA_FIFO_MAX);
    f->next = svga_fifo_word(v, SVGA_FIFO_NEXT_CMD);
    f->stop = svga_fifo_word(v, SVGA_FIFO_STOP);
    f->budget = TURN;
    return f->min >= HEADER_BYTES && f->min < f->max && f->max <= SVGA_FIFO_BYTES &&
           f->next >= f->min && f->next < f->max && f->stop >= f->min && f->stop < f->max &&
           (f->min | f->max | f->next | f->stop) % WORD == 0;
}

/* Words that are there. */
static uint32_t fifo_words(const struct fifo *f)
{
    uint32_t bytes = f->next >= f->stop ? f->next - f->stop : f->max - f->stop + f->next - f->min;

    return bytes / WORD;
}

static uint32_t take(struct svga *v, struct fifo *f)
{
    uint32_t word = svga_fifo_word(v, (enum svga_fifo)(f->stop / WORD));

    f->stop += WORD;
    if (f->stop == f->max)
        f->stop = f->min;
    return word;
}

static void spend(struct fifo *f, uint32_t words)
{
    f->budget -= words < f->budget ? words : f->budget;
}

static bool inside(uint32_t at, uint32_t n, uint32_t all)
{
    return at <= all && n <= all - at;
}

/* Source x, y, target x, y, width, height; within the screen. */
static void rect_copy(struct svga *v, struct fifo *f, const uint32_t a[6])
{
    uint32_t pitch = svga_pitch(v), bytes = v->s.bpp / 8, lines = v->s.height;

    if (!inside(a[0], a[4], v->s.width) || !inside(a[2], a[4], v->s.width) ||
        !inside(a[1], a[5], lines) || !inside(a[3], a[5], lines) ||
        (uint64_t)pitch * lines > SVGA_VRAM || v->s.width * bytes > pitch) {
        guest_fault(&v->pci.dev, "a copy beyond the screen");
        return;
    }
    for (uint32_t i = 0; i < a[5]; i++) {
        uint32_t line = a[1] < a[3] ? a[5] - 1 - i : i; /* what overlaps must be read first */
        uint8_t *from = v->vram + (uint64_t)(a[1] + line) * pitch + a[0] * bytes;

        memmove(v->vram + (uint64_t)(a[3] + line) * pitch + a[2] * bytes, from, a[4] * bytes);
    }
    spend(f, a[4] * a[5]);
}

/* id, hot spot, size; then a word for each pixel. */
static void alpha_cursor(struct svga *v, struct fifo *f, const uint32_t a[5])
{
    uint32_t n = a[3] * a[4];

    v->s.hot_x = a[1];
    v->s.hot_y = a[2];
    v->s.cursor_w = a[3];
    v->s.cursor_h = a[4];
    for (uint32_t i = 0; i < n; i++)
        v->s.cursor[i] = take(v, f);
}

/* One bit of a mask of `depth` bits a pixel, lines padded to words. */
static uint32_t mask_words(uint32_t w, uint32_t h, uint32_t depth)
{
    return (w * depth + 31) / 32 * h;
}

/* id, hot spot, size, depths of the AND and XOR masks; then those. Shown: XOR's colour where AND
 * is clear. */
static void plain_cursor(struct svga *v, struct fifo *f, const uint32_t a[7])
{
    uint32_t and = mask_words(a[3], a[4], a[5]), xor = mask_words(a[3], a[4], a[6]);
    uint32_t row = (a[3] + 31) / 32;

    v->s.hot_x = a[1];
    v->s.hot_y = a[2];
    v->s.cursor_w = a[3];
    v->s.cursor_h = a[4];
    memset(v->s.cursor, 0, sizeof(v->s.cursor));
    for (uint32_t i = 0; i < and; i++) {
        uint32_t word = take(v, f);

        for (uint32_t bit = 0; a[5] == 1 && bit < 32 && i % row * 32 + bit < a[3]; bit++) {
            if (!(word >> (bit ^ 7) & 1)) /* the leftmost is each byte's highest */
                v->s.cursor[i / row * a[3] + i % row * 32 + bit] = 0xff000000;
        }
    }
    for (uint32_t i = 0; i < xor; i++) {
        uint32_t word = take(v, f);

        for (uint32_t bit = 0; a[6] == 1 && bit < 32 && i % row * 32 + bit < a[3]; bit++) {
            if (word >> (bit ^ 7) & 1)
                v->s.cursor[i / row * a[3] + i % row * 32 + bit] |= 0xffffff;
        }
        if (a[6] == 32)
            v->s.cursor[i] |= word & 0xffffff;
    }
}

/* Words of arguments that every command of its kind has; UINT32_MAX: it is not known. */
static uint32_t fixed(uint32_t command)
{
    switch (command) {
    case SVGA_CMD_UPDATE:
        return 4;
    case SVGA_CMD_RECT_COPY:
        return 6;
    case SVGA_CMD_DEFINE_CURSOR:
        return 7;
    case SVGA_CMD_DEFINE_ALPHA_CURSOR:
    case SVGA_CMD_UPDATE_VERBOSE:
        return 5;
    case SVGA_CMD_FENCE:
        return 1;
    case SVGA_CMD_ESCAPE:
        return 2;
    default:
        return UINT32_MAX;
    }
}

/* Words that follow those; UINT32_MAX: more than may be. */
static uint32_t rest(uint32_t command, const uint32_t a[7])
{
    bool size = a[3] <= SVGA_CURSOR_MAX && a[4] <= SVGA_CURSOR_MAX;

    switch (command) {
    case SVGA_CMD_DEFINE_ALPHA_CURSOR:
        return size ? a[3] * a[4] : UINT32_MAX;
    case SVGA_CMD_DEFINE_CURSOR:
        return size && a[5] <= 32 && a[6] <= 32
                   ? mask_words(a[3], a[4], a[5]) + mask_words(a[3], a[4], a[6])
                   : UINT32_MAX;
    case SVGA_CMD_ESCAPE:
        return a[1] <= SVGA_FIFO_BYTES ? (a[1] + 3) / 4 : UINT32_MAX;
    default:
        return 0;
    }
}

static void act(struct svga *v, struct fifo *f, uint32_t command, const uint32_t a[7],
                uint32_t more)
{
    switch (command) {
    case SVGA_CMD_RECT_COPY:
        rect_copy(v, f, a);
        break;
    case SVGA_CMD_DEFINE_ALPHA_CURSOR:
        alpha_cursor(v, f, a);
        break;
    case SVGA_CMD_DEFINE_CURSOR:
        plain_cursor(v, f, a);
        break;
    case SVGA_CMD_FENCE:
        svga_fifo_set(v, SVGA_FIFO_FENCE, a[0]);
        break;
    case SVGA_CMD_ESCAPE:
        for (uint32_t i = 0; i < more; i++)
            (void)take(v, f);
        break;
    default:
        break; /* updates: viewers read the memory itself */
    }
}

/* 1: a command was done; 0: there is none that is whole; -1: what is there makes no sense. */
static int one(struct svga *v, struct fifo *f)
{
    struct fifo before = *f;
    uint32_t a[7] = {0}, command, n, more;

    if (fifo_words(f) == 0)
        return 0;
    command = take(v, f);
    n = fixed(command);
    if (n == UINT32_MAX)
        return -1;
    if (fifo_words(f) < n) {
        *f = before; /* the guest is still at it */
        return 0;
    }
    for (uint32_t i = 0; i < n; i++)
        a[i] = take(v, f);
    more = rest(command, a);
    if (more == UINT32_MAX)
        return -1;
    if (fifo_words(f) < more) {
        *f = before;
        return 0;
    }
    act(v, f, command, a, more);
    spend(f, n + more + 1);
    v->commands++;
    return 1;
}

bool svga_fifo_run(struct svga *v)
{
    struct fifo f;
    int rc = 1;

    if (!v->s.configured)
        return false;
    if (!fifo_open(v, &f)) {
        guest_fault(&v->pci.dev, "the FIFO's bounds make no sense");
        return false;
    }
    while (rc > 0 && f.budget)
        rc = one(v, &f);
    if (rc < 0) {
        guest_fault(&v->pci.dev, "the FIFO holds an unknown command: what is in it is dropped");
        f.stop = f.next;
    }
    svga_fifo_set(v, SVGA_FIFO_STOP, f.stop);
    svga_fifo_set(v, SVGA_FIFO_BUSY, rc > 0);
    if (rc > 0)
        loop_ask(v->pci.dev.env.loop, &v->more);
    return rc > 0;
}
