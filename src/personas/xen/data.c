/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data.c - xenstore as `hospes data` and `hospes info --xenstore` see it.
 *
 * A key is a path, absolute or below the guest's own directory, which is what lists show. The host
 * is domain 0 and may set all but what back ends and the guest's front ends agree by.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/xenstore.h"
#include "core/err.h"
#include "personas/xen/xen.h"

#define GUEST_DIR "/local/domain/1"

struct lister {
    const char *prefix;
    size_t skip; /* bytes of a path that are not shown */
    persona_data_fn *fn;
    void *arg;
};

/* Nodes hold any bytes; what is no text is shown as \xNN. */
static void show(void *arg, const char *path, const uint8_t *value, size_t len)
{
    struct lister *l = arg;
    char *text, *to;

    if (strlen(path) <= l->skip || strncmp(path + l->skip, l->prefix, strlen(l->prefix)) != 0)
        return;
    text = to = malloc(4 * len + 1);
    if (!text)
        return; /* a list without it is better than none */
    for (size_t i = 0; i < len; i++) {
        if (value[i] >= 0x20 && value[i] < 0x7f)
            *to++ = (char)value[i];
        else
            to += sprintf(to, "\\x%02x", value[i]);
    }
    *to = '\0';
    l->fn(l->arg, path + l->skip, text);
    free(text);
}

void xen_data_list(struct persona *p, const char *prefix, persona_data_fn *fn, void *arg)
{
    struct lister l = {prefix, prefix[0] == '/' ? 0 : strlen(GUEST_DIR "/"), fn, arg};

    xs_list(xen_of(p)->store, prefix[0] == '/' ? "/" : GUEST_DIR, show, &l);
}

static bool below(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

int xen_data_set(struct persona *p, const char *key, const char *value, struct err *e)
{
    static const char *const ours[] = {"/local/domain/0", GUEST_DIR "/device", GUEST_DIR "/store",
                                       GUEST_DIR "/domid"};
    struct xen *x = xen_of(p);
    char path[XENSTORE_ABS_PATH_MAX + 1];
    int n = snprintf(path, sizeof(path), "%s%s", key[0] == '/' ? "" : GUEST_DIR "/", key);
    int rc;

    if (n < 0 || (size_t)n >= sizeof(path))
        return err_exit(e, EX_USAGE_, EINVAL, "the path %.32s... is longer than xenstore takes",
                        key);
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        if (below(path, ours[i]) || strcmp(path, GUEST_DIR) == 0 || below(ours[i], path))
            return err_exit(e, EX_USAGE_, EPERM,
                            "%s cannot be set: the guest's drivers and their back ends agree there",
                            path);
    }
    rc = value ? xs_put(x->store, path, "%s", value) : xs_rm(x->store, path);
    if (rc == -ENOENT)
        return err_exit(e, EX_USAGE_, ENOENT, "there is no %s to remove", path);
    if (rc == -EINVAL)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "%s is no path of xenstore: use letters, digits and -/_@", path);
    if (rc < 0)
        return err_set(e, -rc, "cannot change %s: %s", path, strerror(-rc));
    xenstore_run(x->store);
    return 0;
}
