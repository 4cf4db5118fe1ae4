/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edid.c - the base block of E-EDID: one preferred timing, a name, the usual standard modes.
 *
 * Document: VESA Enhanced EDID Standard, release A, revision 2 (version 1.4); blanking as in VESA
 * CVT 1.2 with reduced blanking. Not modelled: extension blocks, physical size.
 */
#include "console/edid.h"

#include <string.h>

enum { EDID_TIMING = 54, EDID_NAME = 72, EDID_LIMITS = 90, EDID_DUMMY = 108, EDID_SUM = 127 };
enum { HBLANK = 160, HFRONT = 48, HSYNC = 32, VFRONT = 3, VSYNC = 6, VBACK = 14 };

static void edid_timing(uint8_t *t, unsigned width, unsigned height)
{
    unsigned vblank = VFRONT + VSYNC + VBACK;
    unsigned clock = (width + HBLANK) * (height + vblank) * 6 / 1000; /* 10 kHz, at 60 Hz */

    t[0] = (uint8_t)clock;
    t[1] = (uint8_t)(clock >> 8);
    t[2] = (uint8_t)width;
    t[3] = HBLANK;
    t[4] = (uint8_t)(width >> 8 << 4);
    t[5] = (uint8_t)height;
    t[6] = (uint8_t)vblank;
    t[7] = (uint8_t)(height >> 8 << 4);
    t[8] = HFRONT;
    t[9] = HSYNC;
    t[10] = VFRONT << 4 | VSYNC;
    t[17] = 0x1e; /* digital, separate sync, both positive */
}

void edid_make(uint8_t out[EDID_SIZE], unsigned width, unsigned height, const char *maker,
               const char *name)
{
    static const uint8_t head[8] = {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
    /* 640x480, 800x600, 1024x768 at 60 Hz; no standard timings; the limits descriptor */
    static const uint8_t limits[] = {0, 0, 0, 0xfd, 0, 50, 75, 30, 160, 30, 0, 10};
    size_t n = strlen(name);
    uint8_t sum = 0;

    memset(out, 0, EDID_SIZE);
    memcpy(out, head, sizeof(head));
    out[8] = (uint8_t)((maker[0] & 31) << 2 | (maker[1] & 31) >> 3);
    out[9] = (uint8_t)((maker[1] & 31) << 5 | (maker[2] & 31));
    out[10] = 1;  /* product */
    out[17] = 30; /* made in 2020 */
    out[18] = 1;  /* version 1.4 */
    out[19] = 4;
    out[20] = 0xa0; /* digital, 8 bits a colour */
    out[23] = 120;  /* gamma 2.2 */
    out[24] = 0x06; /* sRGB, the first timing is preferred */
    out[35] = 0x21; /* established timings */
    out[36] = 0x08;
    memset(out + 38, 1, 16);
    edid_timing(out + EDID_TIMING, width, height);
    out[EDID_NAME + 3] = 0xfc;
    memset(out + EDID_NAME + 5, ' ', 13);
    memcpy(out + EDID_NAME + 5, name, n < 12 ? n : 12);
    out[EDID_NAME + 5 + (n < 12 ? n : 12)] = '\n';
    memcpy(out + EDID_LIMITS, limits, sizeof(limits));
    memset(out + EDID_LIMITS + 12, ' ', 6);
    out[EDID_DUMMY + 3] = 0x10;
    for (unsigned i = 0; i < EDID_SUM; i++)
        sum += out[i];
    out[EDID_SUM] = (uint8_t)-sum;
}
