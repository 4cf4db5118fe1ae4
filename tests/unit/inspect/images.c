/* SPDX-License-Identifier: Apache-2.0 */
/* images.c - see images.h. */
#include "images.h"

#include <stdarg.h>

char images_dir[32];

int images_setup(void **state)
{
    (void)state;
    strcpy(images_dir, "/tmp/hospes-look-XXXXXX");
    return mkdtemp(images_dir) ? 0 : -1;
}

int images_teardown(void **state)
{
    char cmd[64];

    (void)state;
    snprintf(cmd, sizeof(cmd), "rm -rf %s", images_dir);
    return system(cmd);
}

int images_run(const char *fmt, ...)
{
    char words[1500], cmd[2000];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    snprintf(cmd, sizeof(cmd),
             "cd %s && PATH=$PATH:/sbin:/usr/sbin && { %s ; } >run.log 2>&1 || { cat %s/run.log; "
             "exit 1; }",
             images_dir, words, images_dir);
    return system(cmd);
}

bool images_have(const char *program)
{
    return images_run("command -v %s", program) == 0;
}

const char *images_path(const char *name)
{
    static char path[300];

    snprintf(path, sizeof(path), "%s/%s", images_dir, name);
    return path;
}

void images_put(const char *path, const void *data, size_t n)
{
    FILE *f;

    assert_int_equal(images_run("mkdir -p \"$(dirname '%s')\"", path), 0);
    f = fopen(images_path(path), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

void images_text(const char *path, const char *text)
{
    images_put(path, text, strlen(text));
}

uint8_t *images_load(const char *name, size_t *n)
{
    FILE *f = fopen(images_path(name), "rb");
    struct stat st;
    uint8_t *b;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    *n = (size_t)st.st_size;
    b = malloc(*n ? *n : 1);
    assert_non_null(b);
    assert_int_equal(fread(b, 1, *n, f), *n);
    fclose(f);
    return b;
}
