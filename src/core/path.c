/* SPDX-License-Identifier: Apache-2.0 */
/* path.c - see path.h. */
#define _GNU_SOURCE
#include "core/path.h"

#include <stdlib.h>
#include <string.h>

const char *path_last(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash ? slash + 1 : name;
}

const char *path_suffix(const char *name)
{
    const char *last = path_last(name), *dot = strrchr(last, '.');

    return dot && dot != last ? dot : last + strlen(last);
}

bool path_has_suffix(const char *name, const char *list)
{
    const char *suffix = path_suffix(name), *at = list;
    size_t n = strlen(suffix);

    while (n && at && (at = strcasestr(at, suffix)) && at[n] && at[n] != ' ')
        at++;
    return n && at;
}

char *path_folder(const char *name)
{
    size_t n = (size_t)(path_last(name) - name);

    return n ? strndup(name, n > 1 ? n - 1 : n) : strdup(".");
}

const char *path_undotted(const char *name)
{
    while (name[0] == '.' && name[1] == '/')
        name += 1 + strspn(name + 1, "/");
    return name;
}

void path_from_windows(char *name)
{
    const char *rest;

    for (char *c = name; *c; c++) {
        if (*c == '\\')
            *c = '/';
    }
    rest = path_undotted(name);
    memmove(name, rest, strlen(rest) + 1);
}

bool path_leads_above(const char *name)
{
    int depth = 0;

    while (*name && depth >= 0) {
        size_t n = strcspn(name, "/");

        if (n == 2 && memcmp(name, "..", 2) == 0)
            depth--;
        else if (n > 1 || (n == 1 && *name != '.'))
            depth++;
        name += n + (name[n] == '/');
    }
    return depth < 0;
}

const char *path_below(const char *dir, const char *name)
{
    size_t n = strlen(dir);

    while (n && dir[n - 1] == '/')
        n--;
    if (strncmp(name, dir, n) != 0 || name[n] != '/')
        return NULL;
    name += n + strspn(name + n, "/");
    return *name && !path_leads_above(name) ? name : NULL;
}
