/* SPDX-License-Identifier: Apache-2.0 */
/* machine_display.c - who may look: a VNC server, and a page for browsers, as the plan says. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "console/vnc.h"
#include "console/web.h"
#include "core/cfg.h"
#include "machine/info.h"
#include "machine/machine_priv.h"

static char *display_facts(void *arg)
{
    struct machine *m = arg;
    struct json_object *facts = json_object_new_object();
    struct info i = {.dump.add = info_add, .top = facts};
    char *text;

    info_text(&i, "name", m->plan->name);
    machine_info(m, &i);
    text = strdup(json_object_to_json_string_ext(facts, JSON_C_TO_STRING_PLAIN));
    json_object_put(facts);
    return text;
}

static int display_web(struct machine *m, const char *where, const char *token, struct err *e)
{
    struct web_cfg c = {.where = where,
                        .token = token,
                        .vnc_port = vnc_port(m->vnc),
                        .facts = display_facts,
                        .arg = m};

    return web_open(&c, m->loop, &m->web, e);
}

static int display_open(struct machine *m, struct cfg *c, struct err *e)
{
    const char *where = cfg_get(c, "vnc"), *web = cfg_get(c, "web");
    char token[33];
    struct vnc_cfg v = {.where = where, .name = m->plan->name};
    int rc = cfg_finish(c, "--display", e);

    if (rc == 0 && !where)
        rc = err_exit(e, EX_USAGE_, EINVAL, "--display is none or vnc=ADDR:PORT[,web=ADDR:PORT]");
    if (rc == 0 && web) {
        rc = web_token(token, e);
        v.token = token;
    }
    if (rc == 0)
        rc = vnc_open(&v, m->hub, m->loop, &m->vnc, e);
    if (rc == 0 && web)
        rc = display_web(m, web, token, e);
    return rc;
}

int machine_display_open(struct machine *m, struct err *e)
{
    struct cfg *c;
    int rc;

    if (strcmp(m->plan->display, "none") == 0)
        return 0;
    rc = cfg_create(&c, e);
    if (rc < 0)
        return rc;
    rc = cfg_parse(c, m->plan->display, NULL, e);
    if (rc == 0)
        rc = display_open(m, c, e);
    cfg_destroy(c);
    return rc;
}

void machine_display_close(struct machine *m)
{
    web_close(m->web);
    vnc_close(m->vnc);
    m->web = NULL;
    m->vnc = NULL;
}

void machine_display_describe(struct machine *m, struct dump *out)
{
    if (m->vnc)
        dump_add(out, "display", "vnc %s", vnc_where(m->vnc));
    if (m->web)
        dump_add(out, "web", "%s", web_url(m->web));
}
