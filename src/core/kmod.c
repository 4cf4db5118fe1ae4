/* SPDX-License-Identifier: Apache-2.0 */
/* kmod.c - see kmod.h. */
#include "core/kmod.h"

#include <string.h>

bool kmod_is(const char *path, size_t len, const char *name)
{
    size_t i = 0;

    for (size_t j = len; j > 0; j--) {
        if (path[j - 1] == '/') {
            path += j;
            len -= j;
            break;
        }
    }
    for (; name[i]; i++) {
        if (i >= len || (path[i] == '-' ? '_' : path[i]) != name[i])
            return false;
    }
    return len - i >= 3 && memcmp(path + i, ".ko", 3) == 0;
}

static void kmod_append(struct kmod_list *l, const char *path, size_t len)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->len[i] == len && memcmp(l->path[i], path, len) == 0)
            return;
    }
    if (l->n < KMOD_MAX) {
        l->path[l->n] = path;
        l->len[l->n++] = len;
    }
}

bool kmod_add(struct kmod_list *l, const char *dep, const char *name)
{
    for (const char *line = dep; *line;) {
        size_t len = strcspn(line, "\n"), head = strcspn(line, ":\n");

        if (head < len && kmod_is(line, head, name)) {
            size_t end = len;

            while (end > head + 1) {
                size_t from = end;

                while (from > head + 1 && line[from - 1] != ' ')
                    from--;
                if (from < end)
                    kmod_append(l, line + from, end - from);
                end = from > head + 1 ? from - 1 : from;
            }
            kmod_append(l, line, head);
            return true;
        }
        line += len + (line[len] == '\n');
    }
    return false;
}
