/* SPDX-License-Identifier: Apache-2.0 */
/* cpio.c - see cpio.h. */
#include "core/cpio.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/err.h"

enum { CPIO_HEAD = 110, CPIO_ALIGN = 4 };

static void cpio_pad(FILE *out, size_t len)
{
    static const char zeros[CPIO_ALIGN];

    fwrite(zeros, 1, (size_t)(align_up(len, CPIO_ALIGN) - len), out);
}

static void cpio_head(struct cpio *c, const char *name, uint32_t mode, size_t len, uint32_t major,
                      uint32_t minor)
{
    size_t name_len = strlen(name) + 1;
    uint32_t field[13] = {++c->inode,         mode, 0, 0, 1, 0, (uint32_t)len, 0, 0, major, minor,
                          (uint32_t)name_len, 0};

    fwrite("070701", 1, 6, c->out);
    for (size_t i = 0; i < ARRAY_SIZE(field); i++)
        fprintf(c->out, "%08X", field[i]);
    fwrite(name, 1, name_len, c->out);
    cpio_pad(c->out, CPIO_HEAD + name_len);
}

void cpio_dir(struct cpio *c, const char *name)
{
    cpio_head(c, name, S_IFDIR | 0755, 0, 0, 0);
}

void cpio_char(struct cpio *c, const char *name, uint32_t major, uint32_t minor)
{
    cpio_head(c, name, S_IFCHR | 0600, 0, major, minor);
}

void cpio_data(struct cpio *c, const char *name, uint32_t mode, const void *data, size_t len)
{
    cpio_head(c, name, S_IFREG | mode, len, 0, 0);
    fwrite(data, 1, len, c->out);
    cpio_pad(c->out, len);
}

int cpio_file(struct cpio *c, const char *name, uint32_t mode, const char *from, struct err *e)
{
    char buf[65536];
    struct stat st;
    size_t done = 0;
    FILE *in = fopen(from, "rbe");

    if (!in || fstat(fileno(in), &st) < 0 || st.st_size > UINT32_MAX) {
        int code = in && errno == 0 ? EFBIG : errno;

        if (in)
            fclose(in);
        return err_set(e, code, "cannot read %s: %s", from, strerror(code));
    }
    cpio_head(c, name, S_IFREG | mode, (size_t)st.st_size, 0, 0);
    while (done < (size_t)st.st_size) {
        size_t n = fread(buf, 1, min_u64(sizeof(buf), (size_t)st.st_size - done), in);

        if (n == 0)
            break;
        fwrite(buf, 1, n, c->out);
        done += n;
    }
    fclose(in);
    if (done < (size_t)st.st_size)
        return err_set(e, EIO, "%s ended while it was read: try again", from);
    cpio_pad(c->out, done);
    return 0;
}

int cpio_end(struct cpio *c)
{
    cpio_head(c, "TRAILER!!!", 0, 0, 0, 0);
    errno = 0;
    if (fflush(c->out) != 0 || ferror(c->out))
        return errno ? -errno : -EIO;
    return 0;
}
