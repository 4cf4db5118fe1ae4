/* SPDX-License-Identifier: Apache-2.0 */
/* nics.c - see nics.h. Threads: before the machine runs. */
#include "personas/nics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "board/nic/nic.h"
#include "core/cfg.h"
#include "core/err.h"
#include "net/netif.h"

static bool has(const char *const models[], const char *model)
{
    for (size_t i = 0; models[i]; i++) {
        if (strcmp(models[i], model) == 0)
            return true;
    }
    return false;
}

static int refuse(struct persona *p, const struct nic_spec *s, const char *const models[],
                  struct err *e)
{
    char list[128] = "";
    size_t n = 0;

    for (size_t i = 0; models[i] && n < sizeof(list); i++)
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%smodel=%s",
                              i == 0           ? ""
                              : !models[i + 1] ? " or "
                                               : ", ",
                              models[i]);
    return err_exit(e, EX_USAGE_, EINVAL,
                    "the %s persona has no %.32s network card for %s; leave model= out or use %s",
                    p->ops->name, s->model, s->id, list);
}

int persona_emulated_nic(struct persona *p, const struct nic_spec *s, const char *const models[],
                         const char *fallback, bool *mine, struct err *e)
{
    const char *model = s->model ? s->model : fallback;
    struct nic_cfg c = {
        .model = model, .netif = s->netif, .mac = s->mac, .boot = p->env.firmware, .devfn = -1};
    struct env env = p->env.dev;
    uint64_t slot = 0, port = 0;
    int rc = 0;

    if (!has(models, model)) {
        if (s->netif)
            net_close(s->netif);
        return refuse(p, s, models, e);
    }
    *mine = nic_known(model);
    if (!*mine)
        return 0;
    if (s->opts)
        rc = cfg_u64(s->opts, "slot", 1, 31, &slot, e);
    if (rc == 0 && s->opts && pci_is_q35(env.pci))
        rc = cfg_u64(s->opts, "port", 1, PCI_PORTS, &port, e);
    if (rc == 0 && s->opts)
        rc = cfg_finish(s->opts, "--nic", e);
    if (port)
        c.devfn = PCI_BEHIND + (int)port;
    if (slot)
        c.devfn = (int)slot << 3;
    env.id = s->id;
    if (rc == 0)
        rc = nic_create(&env, &c, e);
    if (rc < 0)
        net_close(s->netif);
    return rc;
}
