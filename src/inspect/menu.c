/* SPDX-License-Identifier: Apache-2.0 */
/*
 * menu.c - the menus of boot loaders: what each line would start.
 *
 * Documents: the GRUB 2.06 and GRUB 0.97 manuals, syslinux' doc/syslinux.txt, the Boot Loader
 * Specification of UAPI.1, lilo.conf(5). Scripts of GRUB are read, not run: of branches all lines
 * count, and a variable has the value that was set last.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/look.h"

enum { VARS = 32, NAMES = 64 /* variables in one word */ };

struct boot_entry *look_entry(struct look *l, size_t place)
{
    struct boot_entry *e;

    if (l->entries == LOOK_ENTRIES)
        return NULL;
    e = &l->entry[l->entries++];
    *e = (struct boot_entry){.place = (unsigned)place};
    return e;
}

struct menu {
    struct look *l;
    size_t place, from; /* the first entry that is this menu's */
    const char *env;    /* grubenv, or "" */
    struct {
        char name[32], value[256];
    } var[VARS];
    unsigned vars;
    char uuid[40], fallback[96]; /* fallback: what `set default` says */
    struct boot_entry *open;
};

/* --- variables --- */

static const char *var_get(struct menu *m, const char *name, size_t n, char *buf, size_t room)
{
    char key[32];

    for (unsigned i = 0; i < m->vars; i++) {
        if (strlen(m->var[i].name) == n && strncmp(m->var[i].name, name, n) == 0)
            return m->var[i].value;
    }
    snprintf(key, sizeof(key), "%.*s", (int)min_u64(n, sizeof(key) - 1), name);
    return text_value(m->env, key, buf, room) ? buf : "";
}

static void var_set(struct menu *m, const char *text)
{
    size_t n = strcspn(text, "=");
    unsigned i = 0;

    if (text[n] != '=' || n >= sizeof(m->var[0].name))
        return;
    while (i < m->vars && (strlen(m->var[i].name) != n || strncmp(m->var[i].name, text, n) != 0))
        i++;
    if (i == VARS)
        return;
    m->vars += i == m->vars;
    snprintf(m->var[i].name, sizeof(m->var[i].name), "%.*s", (int)n, text);
    text_copy(m->var[i].value, sizeof(m->var[i].value), text + n + 1);
}

/* Puts values in the place of $name and ${name}; once, so that nothing grows without end. */
static void expand(struct menu *m, const char *text, char *out, size_t room)
{
    unsigned names = 0;
    size_t at = 0;
    char buf[256];

    for (; *text && at + 1 < room && names < NAMES; text++) {
        size_t n, skip;
        const char *v;

        if (*text != '$') {
            out[at++] = *text;
            continue;
        }
        names++;
        skip = text[1] == '{';
        n = 0;
        while (isalnum((unsigned char)text[1 + skip + n]) || text[1 + skip + n] == '_')
            n++;
        v = var_get(m, text + 1 + skip, n, buf, sizeof(buf));
        for (; *v && at + 1 < room; v++)
            out[at++] = *v;
        text += n + skip + (skip && text[1 + skip + n] == '}');
    }
    out[at] = '\0';
}

static void append_words(struct menu *m, char *rest, char *out, size_t room)
{
    char text[512], *w;
    size_t at = strlen(out);

    while ((w = text_word(&rest)) != NULL) {
        expand(m, w, text, sizeof(text));
        if (at + strlen(text) + 2 > room)
            return;
        at += (size_t)snprintf(out + at, room - at, "%s%s", at ? " " : "", text);
    }
    text_copy(out, room, out);
}

/* "(hd0,1)/boot/x" and "($root)/boot/x" are the path alone. */
static const char *without_device(const char *path)
{
    const char *end = *path == '(' ? strchr(path, ')') : NULL;

    return end ? end + 1 : path;
}

static void set_path(char *out, size_t room, const char *path)
{
    text_copy(out, room, without_device(path));
}

/* --- GRUB 2 --- */

static void grub_entry(struct menu *m, char *rest)
{
    struct boot_entry *e = look_entry(m->l, m->place);
    char *w, *last = NULL;

    m->open = e;
    if (!e)
        return;
    w = text_word(&rest);
    text_copy(e->title, sizeof(e->title), w ? w : "");
    while ((w = text_word(&rest)) != NULL) {
        /* --id x, or $menuentry_id_option 'x' */
        if (last && (strcmp(last, "--id") == 0 || strcmp(last, "$menuentry_id_option") == 0))
            text_copy(e->id, sizeof(e->id), w);
        last = w;
    }
    memcpy(e->uuid, m->uuid, sizeof(e->uuid));
}

static void grub_search(struct menu *m, char *rest)
{
    char *w, *last = NULL;

    while ((w = text_word(&rest)) != NULL)
        last = w;
    if (!last)
        return;
    text_copy(m->uuid, sizeof(m->uuid), last);
    if (m->open)
        text_copy(m->open->uuid, sizeof(m->open->uuid), last);
}

static void grub_linux(struct menu *m, char *rest)
{
    char text[256], *w = text_word(&rest);

    if (!m->open || !w)
        return;
    expand(m, w, text, sizeof(text));
    set_path(m->open->kernel, sizeof(m->open->kernel), text);
    m->open->append[0] = '\0';
    append_words(m, rest, m->open->append, sizeof(m->open->append));
}

/* Of several initrds the last is the system's own: the others are microcode. */
static void grub_initrd(struct menu *m, char *rest)
{
    char text[256], *w;

    while (m->open && (w = text_word(&rest)) != NULL) {
        expand(m, w, text, sizeof(text));
        if (text[0])
            set_path(m->open->initrd, sizeof(m->open->initrd), text);
    }
}

static void grub_set(struct menu *m, char *rest)
{
    char text[256], *w = text_word(&rest);

    if (!w)
        return;
    if (strncmp(w, "default=", 8) == 0) {
        expand(m, w + 8, text, sizeof(text));
        if (text[0])
            text_copy(m->fallback, sizeof(m->fallback), text);
    } else if (strncmp(w, "root=", 5) != 0) {
        var_set(m, w);
    }
}

static bool starts(const char *word, const char *with)
{
    return strncmp(word, with, strlen(with)) == 0;
}

static void grub_line(struct menu *m, char *line)
{
    char *rest = line, *w = text_word(&rest);

    if (!w || *w == '#')
        return;
    if (strcmp(w, "menuentry") == 0)
        grub_entry(m, rest);
    else if (strcmp(w, "search") == 0 || strcmp(w, "search.fs_uuid") == 0)
        grub_search(m, rest);
    else if (starts(w, "linux") || strcmp(w, "kernel") == 0)
        grub_linux(m, rest);
    else if (starts(w, "initrd"))
        grub_initrd(m, rest);
    else if (strcmp(w, "set") == 0)
        grub_set(m, rest);
    else if (strcmp(w, "}") == 0)
        m->open = NULL;
    else if (strchr(w, '=') && !m->open)
        var_set(m, w);
}

/* --- GRUB 0.97 --- */

static void legacy_line(struct menu *m, char *line)
{
    char *rest = line, *w;

    for (char *c = line; *c && !isspace((unsigned char)*c); c++)
        *c = *c == '=' ? ' ' : *c; /* default=0 is default 0 */
    w = text_word(&rest);
    if (!w || *w == '#')
        return;
    if (strcasecmp(w, "title") == 0) {
        m->open = look_entry(m->l, m->place);
        if (m->open)
            text_copy(m->open->title, sizeof(m->open->title), rest);
    } else if (strcasecmp(w, "kernel") == 0 || strcasecmp(w, "module") == 0) {
        /* kernel /xen.gz, module /vmlinuz, module /initrd: the first module is the kernel then */
        if (m->open && strcasecmp(w, "module") == 0 && m->open->kernel[0] &&
            !strstr(m->open->kernel, "xen"))
            grub_initrd(m, rest);
        else
            grub_linux(m, rest);
    } else if (strcasecmp(w, "initrd") == 0) {
        grub_initrd(m, rest);
    } else if (strcasecmp(w, "default") == 0) {
        w = text_word(&rest);
        text_copy(m->fallback, sizeof(m->fallback), w ? w : "0");
    }
}

/* --- syslinux, extlinux, isolinux --- */

static void syslinux_append(struct menu *m, char *rest)
{
    char *at, initrd[160];

    if (!m->open)
        return;
    m->open->append[0] = '\0';
    append_words(m, rest, m->open->append, sizeof(m->open->append));
    at = strstr(m->open->append, "initrd=");
    if (!at || (at > m->open->append && at[-1] != ' '))
        return;
    snprintf(initrd, sizeof(initrd), "%.*s", (int)strcspn(at + 7, " "), at + 7);
    /* "a,b": the last one */
    set_path(m->open->initrd, sizeof(m->open->initrd),
             strrchr(initrd, ',') ? strrchr(initrd, ',') + 1 : initrd);
}

static void syslinux_line(struct menu *m, char *line)
{
    char *rest = line, *w = text_word(&rest);

    if (!w || *w == '#')
        return;
    if (strcasecmp(w, "label") == 0) {
        m->open = look_entry(m->l, m->place);
        w = text_word(&rest);
        if (m->open && w) {
            text_copy(m->open->id, sizeof(m->open->id), w);
            text_copy(m->open->title, sizeof(m->open->title), w);
        }
    } else if (strcasecmp(w, "menu") == 0 && m->open && strncasecmp(rest, "label", 5) == 0) {
        text_copy(m->open->title, sizeof(m->open->title), rest + 5 + strspn(rest + 5, " \t^"));
    } else if (strcasecmp(w, "menu") == 0 && m->open && strncasecmp(rest, "default", 7) == 0) {
        text_copy(m->fallback, sizeof(m->fallback), m->open->id);
    } else if (strcasecmp(w, "kernel") == 0 || strcasecmp(w, "linux") == 0) {
        w = text_word(&rest);
        if (m->open && w)
            set_path(m->open->kernel, sizeof(m->open->kernel), w);
    } else if (strcasecmp(w, "initrd") == 0) {
        grub_initrd(m, rest);
    } else if (strcasecmp(w, "append") == 0) {
        syslinux_append(m, rest);
    } else if (strcasecmp(w, "default") == 0 || strcasecmp(w, "ontimeout") == 0) {
        w = text_word(&rest);
        if (w && !strstr(w, ".c32"))
            text_copy(m->fallback, sizeof(m->fallback), w);
    }
}

/* --- one entry a file, and lilo --- */

static void bls_line(struct menu *m, char *line)
{
    char *rest = line, *w = text_word(&rest);

    if (!w || *w == '#')
        return;
    if (!m->open)
        m->open = look_entry(m->l, m->place);
    if (!m->open)
        return;
    if (strcmp(w, "title") == 0)
        text_copy(m->open->title, sizeof(m->open->title), rest);
    else if (strcmp(w, "linux") == 0)
        grub_linux(m, rest);
    else if (strcmp(w, "initrd") == 0)
        grub_initrd(m, rest);
    else if (strcmp(w, "options") == 0)
        append_words(m, rest, m->open->append, sizeof(m->open->append));
    else if (strcmp(w, "version") == 0)
        text_copy(m->open->id, sizeof(m->open->id), rest);
}

static void lilo_line(struct menu *m, char *line)
{
    char key[24], value[256];
    size_t n = strcspn(line, "= \t");

    snprintf(key, sizeof(key), "%.*s", (int)min_u64(n, sizeof(key) - 1), line);
    if (*line == '#' || !text_value(line, key, value, sizeof(value)))
        return;
    if (strcmp(key, "image") == 0) {
        m->open = look_entry(m->l, m->place);
        if (m->open)
            set_path(m->open->kernel, sizeof(m->open->kernel), value);
    } else if (strcmp(key, "default") == 0) {
        text_copy(m->fallback, sizeof(m->fallback), value);
    } else if (strcmp(key, "label") == 0 && m->open) {
        text_copy(m->open->id, sizeof(m->open->id), value);
        text_copy(m->open->title, sizeof(m->open->title), value);
    } else if (strcmp(key, "initrd") == 0 && m->open) {
        set_path(m->open->initrd, sizeof(m->open->initrd), value);
    } else if (strcmp(key, "root") == 0 && m->open) {
        snprintf(m->open->append, sizeof(m->open->append), "root=%.200s", value);
    }
}

/* --- which one starts when nobody chooses --- */

/* "1>2" is the third line of the second menu: which one that is depends on how menus nest, so the
 * first line of all is taken. "saved" is what the environment block says. */
static void choose(struct menu *m)
{
    struct look *l = m->l;
    const char *want = m->fallback;
    char saved[96], *end;
    size_t n = l->entries - m->from;
    unsigned long i;

    if (n == 0)
        return;
    if ((strcmp(want, "saved") == 0 || !*want) &&
        text_value(m->env, "saved_entry", saved, sizeof(saved)))
        want = saved;
    if (strrchr(want, '>'))
        want = strrchr(want, '>') + 1;
    i = strtoul(want, &end, 10);
    if (*want && !*end) {
        l->entry[m->from + (i < n ? i : 0)].first = true;
        return;
    }
    for (i = 0; i < n; i++) {
        struct boot_entry *e = &l->entry[m->from + i];

        if (*want && (strcmp(e->id, want) == 0 || strcmp(e->title, want) == 0)) {
            e->first = true;
            return;
        }
    }
    l->entry[m->from].first = true;
}

void look_menu(struct look *l, size_t place, const char *kind, char *text, const char *env)
{
    static const struct {
        const char *kind;
        void (*line)(struct menu *m, char *line);
    } kinds[] = {
        {"grub2", grub_line}, {"grub", legacy_line}, {"syslinux", syslinux_line},
        {"bls", bls_line},    {"lilo", lilo_line},
    };
    struct menu *m = calloc(1, sizeof(*m));
    char *at = text, *line;

    if (!m)
        return;
    m->l = l;
    m->place = place;
    m->from = l->entries;
    m->env = env ? env : "";
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        while (strcmp(kinds[i].kind, kind) == 0 && (line = text_line(&at)) != NULL)
            kinds[i].line(m, line);
    }
    /* Lines that start no kernel, such as "UEFI settings". */
    for (size_t i = m->from; i < l->entries; i++) {
        if (!l->entry[i].kernel[0] && i + 1 == l->entries)
            l->entries--, i--;
    }
    if (strcmp(kind, "bls") != 0)
        choose(m);
    free(m);
}
