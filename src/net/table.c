/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - the network back ends there are, and the calls that pick one. */
#include <errno.h>
#include <string.h>

#include "core/cfg.h"
#include "core/err.h"
#include "net/kinds.h"
#include "net/netif.h"

const struct net_ops *const nets[] = {&net_user, &net_tap, &net_socket, NULL};

/* "user,..." names the back end as a flag, "tap=NAME" as a key. */
static const struct net_ops *net_find(struct cfg *c, const char *spec)
{
    size_t n = strcspn(spec, ",=");

    for (size_t i = 0; nets[i]; i++) {
        if (strlen(nets[i]->name) == n && strncmp(nets[i]->name, spec, n) == 0) {
            cfg_get(c, nets[i]->name);
            return nets[i];
        }
    }
    return NULL;
}

/* What stacks on any back end. Closes *n on failure. */
static int net_filter(struct cfg *c, struct netif **n, struct err *e)
{
    const char *capture = cfg_get(c, "capture");
    int rc = capture ? net_capture(*n, capture, n, e) : 0;

    if (rc < 0)
        net_close(*n);
    return rc;
}

int net_open(const char *spec, struct loop *l, struct netif **out, struct cfg **rest, struct err *e)
{
    const struct net_ops *ops;
    struct cfg *c;
    int rc = cfg_create(&c, e);

    if (rc < 0)
        return rc;
    rc = cfg_parse(c, spec, NULL, e);
    ops = net_find(c, spec);
    if (rc == 0 && !ops)
        rc = err_exit(e, EX_USAGE_, EINVAL,
                      "there is no network '%.*s'; use user, tap=NAME, socket=PATH or none",
                      (int)strcspn(spec, ",="), spec);
    if (rc == 0)
        rc = ops->open(c, l, out, e);
    if (rc == 0)
        rc = net_filter(c, out, e);
    if (rc < 0)
        cfg_destroy(c);
    else
        *rest = c;
    return rc;
}

void net_close(struct netif *n)
{
    if (n)
        n->ops->close(n);
}
