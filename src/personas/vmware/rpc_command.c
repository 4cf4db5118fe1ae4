/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_command.c - what a guest's tools may ask and tell by RPCI, and the guestinfo variables.
 *
 * Document: open-vm-tools. Modelled: see `commands`. Everything else is answered "Unknown command",
 * as ESXi answers what it does not know. Messages are the guest's copy-once bytes: not terminated.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "personas/vmware/rpc.h"

struct answer {
    char *p;
    size_t n, max;
};

static void say(struct answer *a, bool ok, const char *text, size_t n)
{
    a->p[0] = ok ? '1' : '0';
    a->p[1] = ' ';
    n = n < a->max - 2 ? n : a->max - 2;
    memcpy(a->p + 2, text, n);
    a->n = n + 2;
}

static void say_text(struct answer *a, bool ok, const char *text)
{
    say(a, ok, text, strlen(text));
}

/* Printable text of at most RPC_TEXT - 1 characters. */
static void keep(char *dst, const char *p, size_t n)
{
    n = n < RPC_TEXT - 1 ? n : RPC_TEXT - 1;
    for (size_t i = 0; i < n; i++)
        dst[i] = p[i] >= ' ' && p[i] <= '~' ? p[i] : '?';
    dst[n] = 0;
}

/* --- variables --- */

static struct rpc_variable *find(struct rpc *r, const char *name, size_t n)
{
    for (unsigned i = 0; i < r->vars; i++) {
        if (strlen(r->var[i].name) == n && memcmp(r->var[i].name, name, n) == 0)
            return &r->var[i];
    }
    return NULL;
}

static int set(struct rpc *r, const char *name, size_t len, const char *value, size_t n, bool host)
{
    struct rpc_variable *v = find(r, name, len);
    size_t old = v ? v->n : 0;
    char *copy;

    if (len == 0 || len >= RPC_NAME || memchr(name, 0, len))
        return -EINVAL;
    if ((!v && r->vars == RPC_VARIABLES) || n > GUESTMSG_MAX_IN_SIZE - 16 ||
        r->var_bytes - old + n > RPC_VALUES)
        return -ENOSPC;
    copy = malloc(n + 1);
    if (!copy)
        return -ENOMEM;
    if (!v) {
        v = &r->var[r->vars++];
        *v = (struct rpc_variable){.host = host};
        memcpy(v->name, name, len);
    }
    v->host |= host;
    memcpy(copy, value, n);
    copy[n] = 0;
    free(v->value);
    v->value = copy;
    v->n = n;
    r->var_bytes = r->var_bytes - old + n;
    return 0;
}

int rpc_set(struct rpc *r, const char *name, const char *value, size_t n)
{
    return set(r, name, strlen(name), value, n, true);
}

const char *rpc_get(struct rpc *r, const char *name, size_t *n)
{
    struct rpc_variable *v = find(r, name, strlen(name));

    *n = v ? v->n : 0;
    return v ? v->value : NULL;
}

bool rpc_remove(struct rpc *r, const char *name)
{
    struct rpc_variable *v = find(r, name, strlen(name));

    if (!v)
        return false;
    r->var_bytes -= v->n;
    free(v->value);
    *v = r->var[--r->vars];
    return true;
}

const char *rpc_at(const struct rpc *r, unsigned i, const char **value)
{
    if (i >= r->vars)
        return NULL;
    *value = r->var[i].value;
    return r->var[i].name;
}

void rpc_facts(struct rpc *r, void (*fn)(void *arg, struct rpc_facts *out), void *arg)
{
    r->facts = fn;
    r->facts_arg = arg;
}

static void info_get(struct rpc *r, const char *arg, size_t n, struct answer *a)
{
    struct rpc_variable *v;

    while (n && (arg[n - 1] == 0 || arg[n - 1] == ' '))
        n--;
    v = find(r, arg, n);
    if (v)
        say(a, true, v->value, v->n);
    else
        say_text(a, false, "No value found");
}

static void info_set(struct rpc *r, const char *arg, size_t n, struct answer *a)
{
    static const char prefix[] = "guestinfo.";
    const char *space = memchr(arg, ' ', n);
    size_t name = space ? (size_t)(space - arg) : n;
    const char *value = space ? space + 1 : arg + n;
    size_t len = n - (size_t)(value - arg);
    int rc;

    while (len && value[len - 1] == 0)
        len--;
    if (name <= sizeof(prefix) - 1 || memcmp(arg, prefix, sizeof(prefix) - 1) != 0) {
        say_text(a, false, "Unknown key");
        return;
    }
    rc = set(r, arg, name, value, len, false);
    say_text(a, rc == 0, rc == 0 ? "" : "Value too long");
}

/* --- what the tools report --- */

/* "SetGuestInfo  ID VALUE" */
static void guest_info(struct rpc *r, const char *arg, size_t n, struct answer *a)
{
    unsigned id = 0;
    size_t i = 0;

    while (i < n && arg[i] == ' ')
        i++;
    for (; i < n && arg[i] >= '0' && arg[i] <= '9' && id < INFO_MAX; i++)
        id = id * 10 + (unsigned)(arg[i] - '0');
    if (id == 0 || id >= INFO_MAX || i == n || arg[i] != ' ') {
        say_text(a, false, "Invalid guest information");
        return;
    }
    i++;
    if (id == INFO_IPADDRESS_V2 || id == INFO_IPADDRESS_V3)
        (void)rpc_first_address(arg + i, n - i, r->info[INFO_IPADDRESS]);
    else
        keep(r->info[id], arg + i, n - i);
    say_text(a, true, "");
}

static void tools_version(struct rpc *r, const char *arg, size_t n, struct answer *a)
{
    keep(r->tools_version, arg, n);
    say_text(a, true, "");
}

static void tools_health(struct rpc *r, const char *arg, size_t n, struct answer *a)
{
    keep(r->health, arg, n);
    say_text(a, true, "");
}

/* "NAME CODE TEXT" of a snapshot that is being prepared. */
static void backup_event(struct rpc *r, const char *arg, size_t n, struct answer *a)
{
    rpc_quiesce_event(r, arg, n);
    say_text(a, true, "");
}

static void guest_stat(struct rpc *r, const char *arg, size_t n, struct answer *a)
{
    struct rpc_facts f = {.cpus = 1};
    uint8_t out[RPC_STAT];

    (void)arg;
    (void)n;
    if (!r->facts) {
        say_text(a, false, "Disabled");
        return;
    }
    r->facts(r->facts_arg, &f);
    say(a, true, (const char *)out, rpc_stat(&f, out));
}

static void fine(struct rpc *r, const char *arg, size_t n, struct answer *a)
{
    (void)r;
    (void)arg;
    (void)n;
    say_text(a, true, "");
}

/* "synctime OLD NEW": what a user wants of the tools, who learn it from us. */
static void set_option(struct rpc *r, const char *arg, size_t n, struct answer *a)
{
    static const char on[] = "synctime 0 1", off[] = "synctime 1 0";

    while (n && arg[n - 1] == 0)
        n--;
    if (n != sizeof(on) - 1 || (memcmp(arg, on, n) != 0 && memcmp(arg, off, n) != 0)) {
        say_text(a, false, "Unknown option");
        return;
    }
    r->synctime = arg[n - 1] == '1';
    say_text(a, true, "");
}

static void zero(struct rpc *r, const char *arg, size_t n, struct answer *a)
{
    (void)r;
    (void)arg;
    (void)n;
    say_text(a, true, "0");
}

static const struct {
    const char *word; /* a trailing '*': any word that begins so */
    void (*run)(struct rpc *r, const char *arg, size_t n, struct answer *a);
} commands[] = {
    {"info-get", info_get},
    {"info-set", info_set},
    {"SetGuestInfo", guest_info},
    {"SetGuestDiskInfo", fine},
    {"log", fine},
    {"tools.set.version", tools_version},
    {"tools.set.versiontype", tools_version},
    {"tools.capability.*", fine},
    {"tools.os.statechange.status", fine},
    {"update.tools.health", tools_health},
    {"vmx.capability.unified_loop", fine}, /* options come by TCLO */
    {"vmx.set_option", set_option},
    {"toolinstall.is_image_inserted", zero},
    {"vmbackup.eventSet", backup_event},
    {"guestlib.info.get", guest_stat},
};

static bool matches(const char *word, const char *p, size_t n)
{
    size_t len = strlen(word);

    if (word[len - 1] == '*')
        return n >= len - 1 && memcmp(p, word, len - 1) == 0;
    return n == len && memcmp(p, word, n) == 0;
}

size_t rpc_command(struct rpc *r, const char *msg, size_t n, char *out, size_t max)
{
    const char *space = n ? memchr(msg, ' ', n) : NULL;
    size_t word = space ? (size_t)(space - msg) : n;
    struct answer a = {.p = out, .max = max};
    size_t skip = space ? word + 1 : n;

    while (word && msg[word - 1] == 0)
        word--;
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (!matches(commands[i].word, msg, word))
            continue;
        commands[i].run(r, msg + skip, n - skip, &a);
        return a.n;
    }
    say_text(&a, false, "Unknown command");
    return a.n;
}
