/* SPDX-License-Identifier: Apache-2.0 */
/* runtime.c - see runtime.h. */
#define _GNU_SOURCE
#include "machine/runtime.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int runtime_choose(char out[RUNTIME_PATH_MAX], struct err *e)
{
    const char *said = getenv("HOSPES_RUNTIME"), *xdg = getenv("XDG_RUNTIME_DIR");
    unsigned uid = (unsigned)getuid();
    char run[64];
    int n;

    if (uid == 0)
        snprintf(run, sizeof(run), "/run");
    else
        snprintf(run, sizeof(run), "/run/user/%u", uid);
    if (said && *said)
        n = snprintf(out, RUNTIME_PATH_MAX, "%s", said);
    else if (xdg && *xdg)
        n = snprintf(out, RUNTIME_PATH_MAX, "%s/hospes", xdg);
    else if (is_folder(run))
        n = snprintf(out, RUNTIME_PATH_MAX, "%s/hospes", run);
    else
        n = snprintf(out, RUNTIME_PATH_MAX, "/tmp/hospes-%u", uid);
    if (n >= RUNTIME_PATH_MAX)
        return err_exit(e, EX_USAGE_, ENAMETOOLONG,
                        "the runtime folder's path is too long; set HOSPES_RUNTIME to a short one");
    return 0;
}

int runtime_dir(bool create, char out[RUNTIME_PATH_MAX], struct err *e)
{
    struct stat st;
    int rc = runtime_choose(out, e);

    if (rc < 0)
        return rc;
    if (create && mkdir(out, 0700) < 0 && errno != EEXIST)
        return err_set(e, errno, "cannot make the runtime folder %s: %s; set HOSPES_RUNTIME", out,
                       strerror(errno));
    if (lstat(out, &st) < 0)
        return err_set(e, errno, "cannot use the runtime folder %s: %s", out, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return err_exit(e, EX_HOST_IO, ENOTDIR,
                        "the runtime folder %s is not a folder; set HOSPES_RUNTIME", out);
    if ((st.st_uid != getuid() && st.st_uid != 0) || (st.st_mode & 022))
        return err_exit(e, EX_HOST_IO, EPERM,
                        "the runtime folder %s can be written to by others; chmod it to 0700 or "
                        "set HOSPES_RUNTIME",
                        out);
    return 0;
}

int runtime_check_name(const char *name, struct err *e)
{
    size_t n = strlen(name);
    bool ok = n >= 1 && n <= RUNTIME_NAME_MAX && *name != '.' && *name != '-';

    for (size_t i = 0; ok && i < n; i++)
        ok = isalnum((unsigned char)name[i]) || strchr("._-+", name[i]);
    return ok ? 0
              : err_exit(
                    e, EX_USAGE_, EINVAL,
                    "'%s' is not a machine's name: use at most %d letters, digits, '.', '_', '-' "
                    "and '+', with a letter or digit first",
                    name, RUNTIME_NAME_MAX);
}

int runtime_socket(const char *name, bool create, char out[RUNTIME_PATH_MAX], struct err *e)
{
    char dir[RUNTIME_PATH_MAX];
    int rc = runtime_check_name(name, e);

    if (rc == 0)
        rc = runtime_dir(create, dir, e);
    if (rc < 0)
        return rc;
    if (snprintf(out, RUNTIME_PATH_MAX, "%s/%s.sock", dir, name) >= RUNTIME_PATH_MAX)
        return err_exit(e, EX_USAGE_, ENAMETOOLONG,
                        "the path of %s's socket is too long; set HOSPES_RUNTIME to a short folder",
                        name);
    return 0;
}

static int is_socket_name(const struct dirent *d)
{
    size_t n = strlen(d->d_name);

    return n > 5 && strcmp(d->d_name + n - 5, ".sock") == 0;
}

int runtime_each(int (*fn)(void *arg, const char *name, const char *path), void *arg, struct err *e)
{
    char dir[RUNTIME_PATH_MAX], path[2 * RUNTIME_PATH_MAX];
    struct dirent **found;
    int rc = runtime_dir(false, dir, e), n;

    if (rc == -ENOENT)
        return 0;
    if (rc < 0)
        return rc;
    n = scandir(dir, &found, is_socket_name, alphasort);
    if (n < 0)
        return err_set(e, errno, "cannot list %s: %s", dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        char *name = found[i]->d_name;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        name[strlen(name) - 5] = '\0';
        if (rc == 0)
            rc = fn(arg, name, path);
        free(found[i]);
    }
    free(found);
    return rc;
}
