/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over each file of a corpus folder, in any compiler, as a unit test. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum { REPLAY_MAX = 1 << 20 };

static int replay_file(const char *folder, const char *name)
{
    char path[4096];
    uint8_t *data;
    size_t n;
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
        return -1;
    }
    data = malloc(REPLAY_MAX);
    n = data ? fread(data, 1, REPLAY_MAX, f) : 0;
    fclose(f);
    if (!data)
        return -1;
    fprintf(stderr, "replay: %s\n", name); /* the last line names the input that broke it */
    data = n ? realloc(data, n) : data;    /* so that a sanitizer sees the end */
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    int files = 0, bad = 0;
    struct dirent *entry;
    DIR *dir;

    dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (!dir) {
        fprintf(stderr, "replay: no corpus folder\n");
        return 1;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        files++;
        bad += replay_file(argv[1], entry->d_name) < 0;
    }
    closedir(dir);
    if (files == 0)
        fprintf(stderr, "replay: the corpus is empty\n");
    return files == 0 || bad > 0;
}
