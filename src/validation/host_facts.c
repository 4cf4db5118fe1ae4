/* SPDX-License-Identifier: Apache-2.0 */
/* host_facts.c - what a record says about the machine that it was made on. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "core/err.h"
#include "validation/key.h"
#include "validation/runner.h"
#include "validation/text.h"

enum { FACTS_FILE_MAX = 8 << 20 };

/* The value behind `key` and what separates it, on the first line of a file that begins with key.
 */
static void line_value(const char *path, const char *key, char *out, size_t room)
{
    struct err e = {0};
    char *text, *at;

    *out = '\0';
    if (vtext_read(path, FACTS_FILE_MAX, &text, NULL, &e) < 0)
        return;
    for (at = text; at && strncmp(at, key, strlen(key)) != 0;) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    if (at) {
        at += strlen(key);
        at += strspn(at, " \t:=\"");
        snprintf(out, room, "%.*s", (int)strcspn(at, "\"\n"), at);
    }
    free(text);
}

int host_facts(struct vfacts *f, const char *program, const char *version, const char *kind,
               struct err *e)
{
    char sha[V_SHA_TEXT], cpu[200], microcode[40], os[120], kernel[200];
    struct utsname u;
    int rc = sha256_file(program, sha, NULL, e);

    if (rc < 0)
        return rc;
    uname(&u);
    snprintf(kernel, sizeof(kernel), "%s %s", u.sysname, u.release);
    line_value("/proc/cpuinfo", "model name", cpu, sizeof(cpu));
    line_value("/proc/cpuinfo", "microcode", microcode, sizeof(microcode));
    line_value("/etc/os-release", "PRETTY_NAME", os, sizeof(os));
    const struct {
        const char *key, *value;
    } facts[] = {{"vendor", "the hospes project"},
                 {"product", "hospes"},
                 {"version", version},
                 {"binary", sha},
                 {"kernel", kernel},
                 {"cpu", cpu},
                 {"microcode", microcode},
                 {"os", os},
                 {"kind", kind}};

    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(facts); i++)
        rc = vfacts_set(f, facts[i].key, facts[i].value, e);
    return rc;
}
