/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshots.c - see snapshots.h.
 *
 * A .vmdk is a text "# Disk DescriptorFile", or has that text inside: VMware's "Virtual Disk Format
 * 5.0", where bytes 28 and 36 of a sparse file give its place and length in sectors.
 */
#define _GNU_SOURCE
#include "import/snapshots.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "core/err.h"
#include "core/file.h"

enum { CHAIN_MAX = 255, DESCRIPTOR_MAX = 64 << 10, SECTOR = 512, VMSD_MAX = 1 << 20 };

/* The first `room` - 1 bytes of a regular file from `from` on; -1: none. Links are not followed. */
static ssize_t read_some(const char *path, uint64_t from, char *out, size_t room, struct stat *st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t n = -1;

    if (fd < 0)
        return -1;
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
        n = file_read(fd, out, room - 1, from);
    close(fd);
    if (n >= 0)
        out[n] = '\0';
    return n;
}

/* The descriptor's text, or NULL: no .vmdk, or not there. *there says which. */
static char *descriptor(const char *path, struct stat *st, bool *there)
{
    char *text = malloc(DESCRIPTOR_MAX + 1);
    ssize_t n = text ? read_some(path, 0, text, DESCRIPTOR_MAX + 1, st) : -1;
    uint64_t at, len;

    *there = n >= 0;
    if (n >= 48 && memcmp(text, "KDMV", 4) == 0) {
        at = le64_at(text + 28);
        len = le64_at(text + 36);
        if (at > 0 && at < (1 << 20) && len > 0 && len <= DESCRIPTOR_MAX / SECTOR)
            n = read_some(path, at * SECTOR, text, (size_t)(len * SECTOR) + 1, st);
        else
            n = -1;
    }
    if (n > 0 && strncmp(text, "# Disk DescriptorFile", 21) == 0)
        return text;
    free(text);
    return NULL;
}

/* The value of key = "value" in the text, cut out of it; NULL: none. */
static char *value_of(char *text, const char *key)
{
    char *at = text, *end;

    while ((at = strcasestr(at, key))) {
        if (at == text || at[-1] == '\n') {
            at += strlen(key);
            at += strspn(at, " \t=");
            at += *at == '"';
            end = at + strcspn(at, "\"\r\n");
            *end = '\0';
            return at;
        }
        at += strlen(key);
    }
    return NULL;
}

static void chain_tell(struct reading *r, const struct node *n, const char *hint, const char *path)
{
    char key[TREE_PATH + 16], name[TREE_PATH];

    node_path(&r->t, n, name);
    snprintf(key, sizeof(key), "%s (parent)", name);
    if (r->rc == 0)
        r->rc = import_tell(r->r, IMPORT_KEPT, n->line, key, hint, NULL, NULL, r->e);
}

void vmdk_chain(struct reading *r, const struct node *n, const char *path)
{
    struct {
        dev_t dev;
        ino_t ino;
    } seen[CHAIN_MAX];
    char *at = strdup(path), *next = NULL, *text, *hint;
    struct stat st;
    bool there, moved;
    size_t depth = 0;

    while (at && r->rc == 0 && (text = descriptor(at, &st, &there))) {
        for (size_t i = 0; i < depth; i++) {
            if (seen[i].dev == st.st_dev && seen[i].ino == st.st_ino)
                read_fail(r, n, "the chain of its snapshots comes back to %s", at);
        }
        seen[depth].dev = st.st_dev;
        seen[depth++].ino = st.st_ino;
        hint = value_of(text, "parentFileNameHint");
        if (r->rc == 0 && hint && depth == CHAIN_MAX)
            read_fail(r, n, "the chain of its snapshots is longer than %d", CHAIN_MAX);
        if (r->rc == 0 && hint) {
            struct err e = {0};

            if (import_reference(r->f, hint, &next, &moved, &e) < 0)
                read_fail(r, n, "its parent %.100s: %s", hint, e.msg);
            else if (access(next, F_OK) < 0)
                read_fail(r, n, "its snapshot %s needs its parent %s, which is not there", at,
                          next);
            else
                chain_tell(r, n, hint, next);
        }
        free(text);
        free(at);
        at = next;
        next = NULL;
    }
    free(at);
}

/* --- .vmsd --- */

void vmsd_read(struct reading *r)
{
    const char *dot = strrchr(r->f->path, '.');
    char *path = NULL, *text, *save, *line;
    struct stat st;

    if (r->rc < 0 || !dot || asprintf(&path, "%.*s.vmsd", (int)(dot - r->f->path), r->f->path) < 0)
        return;
    text = malloc(VMSD_MAX);
    if (text && read_some(path, 0, text, VMSD_MAX, &st) > 0) {
        unsigned number = 0;

        for (line = strtok_r(text, "\n", &save); line && r->rc == 0;
             line = strtok_r(NULL, "\n", &save)) {
            char *eq = strchr(line, '='), key[TREE_PATH];

            number++;
            if (!eq || !isalnum((unsigned char)line[0]))
                continue;
            *eq++ = '\0';
            eq += strspn(eq, " \t\"");
            eq[strcspn(eq, "\"\r")] = '\0';
            line[strcspn(line, " \t")] = '\0';
            snprintf(key, sizeof(key), "vmsd: %s", line);
            r->rc = import_tell(r->r, IMPORT_DROPPED, number, key, eq, NULL,
                                "the machine starts from its present state; the disks of its "
                                "snapshots stay in the chain, untouched",
                                r->e);
        }
    }
    free(text);
    free(path);
}
