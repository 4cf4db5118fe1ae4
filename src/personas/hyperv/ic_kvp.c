/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ic_kvp.c - key-value pairs between host and guest, and addresses given to its network cards.
 *
 * Facts: Linux drivers/hv/hv_kvp.c and tools/hv. One request is under way at a time. Changes that
 * the host wants go first; without any, the pools "auto" (name, system, addresses, made by the
 * guest's daemon) and "guest" (what programs there wrote) are read item by item, again every half
 * minute. Not modelled: values that are numbers (shown as none), reading addresses by adapter.
 * Threads: the loop's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/ids.h"
#include "ic_priv.h"
#include "storage/utf.h"

static const struct {
    const char *name; /* and a slash: how keys of this pool begin */
    uint8_t pool;
} kvp_pools[KVP_POOLS] = {{"auto", KVP_POOL_AUTO}, {"guest", KVP_POOL_GUEST}};

/* --- reading the guest's --- */

static void send_enumerate(struct ic *i)
{
    struct kvp *k = &i->s->kvp;
    struct hv_kvp_enum m = {.hdr = {KVP_OP_ENUMERATE, kvp_pools[k->pool].pool, le16_of(0)},
                            .index = le32_of(k->index)};

    if (!ic_send(i, ICMSGTYPE_KVPEXCHANGE, &m, sizeof(m)))
        ic_again(i, IC_KVP_NS);
}

/* U+0000 to 1F, 7F to 9F: what terminals obey. */
static bool is_control(const char *p)
{
    unsigned char c = (unsigned char)p[0];

    return c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)p[1] < 0xa0);
}

/* UTF-16 to one line of UTF-8, of as many whole characters as there is room for. */
static void text_of(char *out, size_t room, const uint8_t *in, size_t bytes)
{
    char *text = utf16_text(in, bytes / 2, false);
    size_t n = 0, len;

    for (const char *p = text; p && *p; p += len) {
        for (len = 1; ((unsigned char)p[len] & 0xc0) == 0x80;)
            len++;
        if (n + len >= room)
            break;
        if (is_control(p)) {
            out[n++] = '?';
            continue;
        }
        memcpy(out + n, p, len);
        n += len;
    }
    out[n] = '\0';
    free(text);
}

/* A registry holds numbers, too. */
static void value_of(char *out, size_t room, const struct hv_kvp_enum *m)
{
    uint32_t type = le32_get(m->value_type), n = le32_get(m->value_size);

    *out = '\0';
    if (type == KVP_REG_SZ || type == KVP_REG_EXPAND_SZ)
        text_of(out, room, m->value, min_u64(n, sizeof(m->value)));
    else if (type == KVP_REG_DWORD && n == 4)
        snprintf(out, room, "%" PRIu32, le32_at(m->value));
    else if (type == KVP_REG_QWORD && n == 8)
        snprintf(out, room, "%" PRIu64, le64_at(m->value));
}

static void pool_ended(struct ic *i)
{
    struct kvp *k = &i->s->kvp;

    k->count[k->pool] = k->index;
    k->index = 0;
    k->pool++;
    if (k->pool < KVP_POOLS) {
        kvp_turn(i);
        return;
    }
    k->pool = 0;
    ic_again(i, IC_KVP_NS);
}

static void on_item(struct ic *i, const uint8_t *body, size_t n)
{
    struct kvp *k = &i->s->kvp;
    struct kvp_item *item;
    struct hv_kvp_enum m;

    if (i->status || n < sizeof(m) || k->index >= KVP_ITEMS) { /* the end, or no daemon */
        pool_ended(i);
        return;
    }
    memcpy(&m, body, sizeof(m));
    item = &k->item[k->pool][k->index++];
    text_of(item->key, sizeof(item->key), m.key, min_u64(le32_get(m.key_size), sizeof(m.key)));
    value_of(item->value, sizeof(item->value), &m);
    if (k->index > k->count[k->pool])
        k->count[k->pool] = k->index;
    kvp_turn(i);
}

/* --- writing the host's --- */

static void job_end(struct ics *s)
{
    struct kvp *k = &s->kvp;
    struct kvp_job *j = k->job;

    k->job = j->next;
    if (!k->job)
        k->job_end = &k->job;
    k->jobs--;
    k->writing = false;
    free(j);
}

static void on_written(struct ic *i)
{
    struct kvp_job *j = i->s->kvp.job;
    char text[KVP_KEY_MAX + 32];

    snprintf(text, sizeof(text), "%s is set", j->key);
    ic_event(i->s, i, text);
    job_end(i->s);
    kvp_turn(i);
}

void kvp_start(struct ic *i)
{
    i->s->kvp.index = 0;
    i->s->kvp.pool = 0;
    ic_again(i, 0);
}

void kvp_turn(struct ic *i)
{
    struct kvp *k = &i->s->kvp;

    if (i->asked)
        return; /* its answer goes on */
    if (!k->job)
        send_enumerate(i);
    else if (ic_send(i, ICMSGTYPE_KVPEXCHANGE, k->job->body, k->job->n))
        k->writing = true;
    else
        ic_again(i, IC_KVP_NS);
}

void kvp_answer(struct ic *i, const uint8_t *body, size_t n)
{
    if (i->s->kvp.writing)
        on_written(i);
    else
        on_item(i, body, n);
}

static void jobs_drop(struct ics *s)
{
    while (s->kvp.job)
        job_end(s);
}

void kvp_closed(struct ic *i)
{
    struct ics *s = i->s;

    if (s->kvp.job) {
        i->status = HV_E_FAIL;
        ic_event(s, i, "");
    }
    jobs_drop(s);
    memset(s->kvp.count, 0, sizeof(s->kvp.count));
}

void kvp_destroy(struct ics *s)
{
    jobs_drop(s);
}

static int job_add(struct ics *s, const char *key, const void *body, size_t n, struct err *e)
{
    struct ic *i = &s->ic[IC_KVP];
    struct kvp *k = &s->kvp;
    struct kvp_job *j;
    size_t size;

    if (!i->ready)
        return err_set(e, ENOTSUP,
                       "the guest has not bound Hyper-V's kvp service: is its daemon "
                       "(hv_kvp_daemon) running?");
    if (k->jobs >= KVP_JOBS)
        return err_set(e, EBUSY, "%u changes wait for the guest already", k->jobs);
    size = max_u64(n, sizeof(struct hv_kvp_enum));
    j = calloc(1, sizeof(*j) + size);
    if (!j)
        return err_set(e, ENOMEM, "no memory for a key-value pair");
    snprintf(j->key, sizeof(j->key), "%s", key);
    j->n = size;
    memcpy(j->body, body, n);
    if (!k->job)
        k->job_end = &k->job;
    *k->job_end = j;
    k->job_end = &j->next;
    k->jobs++;
    ic_again(i, 0);
    return 1;
}

/* What the host has written, for listing. */
static void remember(struct ics *s, const char *key, const char *value)
{
    struct kvp *k = &s->kvp;
    unsigned at = 0;

    while (at < k->written && strcmp(k->own[at].key, key) != 0)
        at++;
    if (!value && at < k->written)
        k->own[at] = k->own[--k->written];
    if (!value || at == KVP_ITEMS)
        return;
    snprintf(k->own[at].key, sizeof(k->own[at].key), "%s", key);
    snprintf(k->own[at].value, sizeof(k->own[at].value), "%s", value);
    if (at == k->written)
        k->written++;
}

/* Text with its final zero into a field of `room` bytes; bytes, 0: too long. */
static size_t put_text(uint8_t *out, size_t room, const char *text)
{
    size_t n = utf16_from(text, out, room / 2, false);

    return n >= room / 2 ? 0 : 2 * (n + 1);
}

int ics_data_set(struct ics *s, const char *key, const char *value, struct err *e)
{
    struct hv_kvp_set set = {
        .hdr = {KVP_OP_SET, KVP_POOL_EXTERNAL, le16_of(0)},
        .value_type = le32_of(KVP_REG_SZ),
    };
    struct hv_kvp_delete del = {.hdr = {KVP_OP_DELETE, KVP_POOL_EXTERNAL, le16_of(0)}};
    const char *name = strncmp(key, "host/", 5) == 0 ? key + 5 : key;
    size_t kn, vn;
    int rc;

    if (name == key && strchr(key, '/'))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "%s cannot be set: only the pairs host/NAME are the host's", key);
    kn = put_text(set.key, sizeof(set.key), name);
    vn = put_text(set.value, sizeof(set.value), value ? value : "");
    if (!*name || kn == 0 || vn == 0)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "a key has 1 to %d characters and a value at most %d: shorten %.64s",
                        HV_KVP_KEY / 2 - 1, HV_KVP_VALUE / 2 - 1, name);
    set.key_size = del.key_size = le32_of((uint32_t)kn);
    set.value_size = le32_of((uint32_t)vn);
    memcpy(del.key, set.key, sizeof(del.key));
    rc = value ? job_add(s, name, &set, sizeof(set), e) : job_add(s, name, &del, sizeof(del), e);
    if (rc > 0)
        remember(s, name, value);
    return rc;
}

static void list(const char *pool, const struct kvp_item *item, unsigned n, const char *prefix,
                 persona_data_fn *fn, void *arg)
{
    char key[KVP_KEY_MAX + 16];

    for (unsigned k = 0; k < n; k++) {
        snprintf(key, sizeof(key), "%s/%s", pool, item[k].key);
        if (strncmp(key, prefix, strlen(prefix)) == 0)
            fn(arg, key, item[k].value);
    }
}

void ics_data_list(struct ics *s, const char *prefix, persona_data_fn *fn, void *arg)
{
    for (unsigned p = 0; p < KVP_POOLS; p++)
        list(kvp_pools[p].name, s->kvp.item[p], s->kvp.count[p], prefix, fn, arg);
    list("host", s->kvp.own, s->kvp.written, prefix, fn, arg);
}

/* --- addresses --- */

/* The words of "ADDRESS/BITS,gateway=ADDRESS,dns=ADDRESS". */
struct address {
    char ip[64], mask[64], gateway[64], dns[64];
    bool v6;
};

static bool address_ok(const char *text, bool v6)
{
    struct in6_addr a;

    return inet_pton(v6 ? AF_INET6 : AF_INET, text, &a) == 1;
}

static bool take(char *out, size_t room, const char *from, size_t n)
{
    if (n == 0 || n >= room)
        return false;
    memcpy(out, from, n);
    out[n] = '\0';
    return true;
}

static bool take_mask(struct address *a, const char *bits)
{
    unsigned long n;
    uint32_t mask;
    char *end;

    if (*bits < '0' || *bits > '9')
        return false;
    n = strtoul(bits, &end, 10);
    if (*end || n == 0 || n > (a->v6 ? 128u : 32u))
        return false;
    mask = n >= 32 ? UINT32_MAX : ~(UINT32_MAX >> n);
    if (a->v6)
        snprintf(a->mask, sizeof(a->mask), "%lu", n);
    else
        snprintf(a->mask, sizeof(a->mask), "%u.%u.%u.%u", mask >> 24, mask >> 16 & 255,
                 mask >> 8 & 255, mask & 255);
    return true;
}

static bool address_parse(struct address *a, const char *text)
{
    size_t n = strcspn(text, ",");
    const char *slash = memchr(text, '/', n);
    char bits[8];

    *a = (struct address){.v6 = memchr(text, ':', n) != NULL};
    if (!slash || !take(a->ip, sizeof(a->ip), text, (size_t)(slash - text)) ||
        !take(bits, sizeof(bits), slash + 1, n - (size_t)(slash + 1 - text)) ||
        !address_ok(a->ip, a->v6) || !take_mask(a, bits))
        return false;
    for (text += n; *text == ','; text += n) {
        char *to;

        text++;
        n = strcspn(text, ",");
        if (strncmp(text, "gateway=", 8) == 0)
            to = a->gateway;
        else if (strncmp(text, "dns=", 4) == 0)
            to = a->dns;
        else
            return false;
        slash = strchr(text, '=') + 1;
        if (!take(to, sizeof(a->dns), slash, n - (size_t)(slash - text)) || !address_ok(to, a->v6))
            return false;
    }
    return true;
}

static void guid_text(char out[39], const uint8_t g[16])
{
    snprintf(out, 39, "{" GUID_FMT "}", GUID_ARGS(g));
}

int ics_address(struct ics *s, const char *nic, const uint8_t instance[16], const char *text,
                struct err *e)
{
    struct hv_kvp_ip_msg m = {.operation = KVP_OP_SET_IP_INFO, .pool = KVP_POOL_EXTERNAL};
    bool dhcp = strcmp(text, "dhcp") == 0;
    struct address a = {.v6 = false};
    char guid[39], key[KVP_KEY_MAX];

    if (!dhcp && !address_parse(&a, text))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "'%.64s' is no address; write ADDRESS/BITS[,gateway=ADDRESS][,dns=ADDRESS] "
                        "or dhcp",
                        text);
    guid_text(guid, instance);
    put_text(m.adapter_id, sizeof(m.adapter_id), guid);
    m.addr_family = a.v6 ? ADDR_FAMILY_IPV6 : ADDR_FAMILY_IPV4;
    m.dhcp_enabled = dhcp;
    put_text(m.ip_addr, sizeof(m.ip_addr), a.ip);
    put_text(m.sub_net, sizeof(m.sub_net), a.mask);
    put_text(m.gate_way, sizeof(m.gate_way), a.gateway);
    put_text(m.dns_addr, sizeof(m.dns_addr), a.dns);
    snprintf(key, sizeof(key), "the address of %s", nic);
    return job_add(s, key, &m, sizeof(m), e);
}
