/* SPDX-License-Identifier: Apache-2.0 */
/* folder.c - see folder.h. */
#define _GNU_SOURCE
#include "import/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/err.h"

enum { FOLDER_ENTRIES = 20000 };

/* A description by its name. Those further on in the list are of the same machine when one that
 * stands before is there, too: an .ovf beside its .vmx. */
static int rank(const char *name)
{
    static const char *const suffixes[] = {".vmcx", ".vmx", ".ovf", ".ova",
                                           ".vbox", ".xva", ".xml", ".cfg"};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && dot != name && i < ARRAY_SIZE(suffixes); i++) {
        if (strcasecmp(dot, suffixes[i]) == 0)
            return (int)i;
    }
    return -1;
}

struct found {
    char name[512]; /* the best so far */
    int rank;
    char also[256];
};

static void look(const char *path, const char *below, struct found *f)
{
    char dir[4096];
    struct dirent *d;
    DIR *open;
    int n = 0;

    if ((size_t)snprintf(dir, sizeof(dir), "%s%s%s", path, *below ? "/" : "", below) >= sizeof(dir))
        return;
    open = opendir(dir);
    while (open && (d = readdir(open)) && n++ < FOLDER_ENTRIES) {
        int r = rank(d->d_name);

        if (r < 0 || d->d_type == DT_DIR || d->d_type == DT_LNK || strlen(d->d_name) > 255)
            continue;
        if (f->rank >= 0 && r == f->rank)
            snprintf(f->also, sizeof(f->also), "%s", d->d_name);
        if (f->rank < 0 || r < f->rank) {
            f->rank = r;
            f->also[0] = '\0';
            snprintf(f->name, sizeof(f->name), "%s%s%s", below, *below ? "/" : "", d->d_name);
        }
    }
    if (open)
        closedir(open);
}

int import_folder(const char *path, char **out, struct err *e)
{
    struct found f = {.rank = -1};

    look(path, "", &f);
    if (f.rank < 0)
        look(path, "Virtual Machines", &f);
    if (f.rank < 0)
        return err_exit(e, EX_BAD_INPUT, EINVAL,
                        "%s is a folder without a machine's description (.vmcx, .vmx, .ovf, .ova, "
                        ".vbox, .xva, .xml or .cfg); give the file itself",
                        path);
    if (f.also[0])
        return err_exit(e, EX_BAD_INPUT, EINVAL,
                        "%s is a folder with several descriptions, %s and %s among them; give the "
                        "one that is meant",
                        path, f.name, f.also);
    if (asprintf(out, "%s/%s", path, f.name) < 0)
        return err_set(e, ENOMEM, "no memory for a file name");
    return 0;
}
