/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - a picture as PNG, by libpng. */
#define _GNU_SOURCE
#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/hub.h"
#include "core/err.h"
#include "core/file.h"

/* false: libpng or the stream failed. Nothing here lives across the longjmp but its arguments. */
static bool encode(const struct image *img, FILE *f, png_structp png, png_infop info, uint8_t *line)
{
    if (setjmp(png_jmpbuf(png)))
        return false;
    png_init_io(png, f);
    png_set_IHDR(png, info, img->width, img->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (uint32_t y = 0; y < img->height; y++) {
        const uint32_t *in = img->pixels + (size_t)y * img->width;

        for (uint32_t x = 0; x < img->width; x++) {
            line[3 * x] = (uint8_t)(in[x] >> 16);
            line[3 * x + 1] = (uint8_t)(in[x] >> 8);
            line[3 * x + 2] = (uint8_t)in[x];
        }
        png_write_row(png, line);
    }
    png_write_end(png, NULL);
    return true;
}

static int write_to(const struct image *img, FILE *f)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    uint8_t *line = malloc((size_t)img->width * 3);
    bool ok = info && line;

    if (!ok)
        errno = ENOMEM;
    else
        ok = encode(img, f, png, info, line);
    if (png)
        png_destroy_write_struct(&png, &info);
    free(line);
    return ok ? 0 : -(errno ? errno : EIO);
}

int image_png(const struct image *img, const char *path, struct err *e)
{
    char *bytes = NULL;
    size_t len = 0;
    FILE *f;
    int rc;

    errno = 0;
    f = open_memstream(&bytes, &len);
    rc = f ? write_to(img, f) : -errno;
    if (f && fclose(f) != 0 && rc == 0)
        rc = -errno;
    if (rc == 0)
        rc = file_replace(path, bytes, len, 0666);
    free(bytes);
    return rc < 0 ? err_set(e, -rc, "cannot write the picture %s: %s", path, strerror(-rc)) : 0;
}
