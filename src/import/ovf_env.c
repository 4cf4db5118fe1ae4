/* SPDX-License-Identifier: Apache-2.0 */
/* ovf_env.c - see ovf_env.h. */
#define _GNU_SOURCE
#include "import/ovf_env.h"

#include <string.h>

#include "core/err.h"
#include "import/buf.h"

#define ENV_HEAD                                                                                   \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                 \
    "<Environment xmlns=\"http://schemas.dmtf.org/ovf/environment/1\" "                            \
    "xmlns:oe=\"http://schemas.dmtf.org/ovf/environment/1\">\n  <PropertySection>\n"
#define ENV_TAIL "  </PropertySection>\n</Environment>\n"
enum { ENV_MAX = 48 << 10 };

/* The default of a property for the chosen configuration. */
static const char *value_of(const struct ovf *o, const struct node *property)
{
    for (const struct node *v = node_first(property, "Value"); v; v = node_next(v, "Value")) {
        const char *list = node_text(v, "@configuration");

        if (list && o->configuration && ovf_word(list, o->configuration))
            return node_text(v, "@value");
    }
    return node_text(property, "@value");
}

static void put_property(struct ovf *o, struct buf *out, struct node *section,
                         struct node *property)
{
    const char *key = node_text(property, "@key"), *value = value_of(o, property);
    const char *class = node_text(section, "@class"), *instance = node_text(section, "@instance");
    const char *list = node_text(property, "@configuration");

    if (!key || (list && !(o->configuration && ovf_word(list, o->configuration))))
        return;
    buf_add(out, "    <Property oe:key=\"");
    if (class && *class) {
        buf_xml(out, class);
        buf_add(out, ".");
    }
    buf_xml(out, key);
    if (instance && *instance) {
        buf_add(out, ".");
        buf_xml(out, instance);
    }
    buf_add(out, "\" oe:value=\"");
    buf_xml(out, value ? value : "");
    buf_add(out, "\"/>\n");
    read_keep(o->r, node_get(property, "@key"));
    if (value)
        read_keep(o->r, node_get(property, "@value"));
    else
        read_change(o->r, node_get(property, "@type"), "an empty value",
                    "the property has no default; a person was to give one");
}

static bool wants(const struct ovf *o)
{
    return ovf_word(node_text(o->hardware, "@transport"), "com.vmware.guestInfo");
}

static size_t put_sections(struct ovf *o, struct buf *out, struct node *parent)
{
    size_t count = 0;

    for (struct node *n = node_first(parent, NULL); n; n = n->next) {
        const char *type = node_text(n, "@type");

        if (strcasecmp(n->name, "ProductSection") != 0 &&
            !(type && strcasestr(type, "ProductSection_Type")))
            continue;
        for (struct node *p = node_first(n, "Property"); p; p = node_next(p, "Property")) {
            put_property(o, out, n, p);
            count++;
        }
    }
    return count;
}

void ovf_environment(struct ovf *o)
{
    struct buf text = {0};
    size_t count;

    if (o->r->rc < 0 || !wants(o))
        return;
    buf_add(&text, ENV_HEAD);
    count = put_sections(o, &text, o->system);
    buf_add(&text, ENV_TAIL);
    if (o->r->rc == 0)
        o->r->rc = buf_end(&text, o->r->e);
    if (text.len > ENV_MAX)
        read_fail(o->r, o->system, "its properties do not fit into the OVF environment of a guest");
    if (count && o->r->rc == 0)
        read_option(o->r, "guestinfo.ovfEnv", text.s);
    read_keep(o->r, node_get(o->hardware, "@transport"));
    buf_free(&text);
}
