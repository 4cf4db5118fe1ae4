/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc.c - GuestRPC channels over the backdoor: the guest's questions (RPCI) and ours (TCLO).
 *
 * Document: open-vm-tools (lib/message, lib/rpcIn, lib/rpcOut), OpenBSD's vmt. Modelled: both
 * protocols four bytes a call, cookies, 128 channels of 64 KiB, the high-bandwidth port 0x5659 a
 * byte a call. Not modelled: the offer of that port, which would make nothing faster, and the vsock
 * transport.
 *
 * A TCLO channel is polled by the guest: it sends its last answer (empty at first), then asks for
 * a message. The first messages introduce us; then the machine's requests go out, one at a time.
 */
#include "personas/vmware/rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/err.h"

#define TOOLS_SILENT UINT64_C(30000000000) /* ns without a poll: the tools are gone */

/* The tools register what they can do and learn our options; that of the clock is the last. */
static const char *const introduction[] = {"reset", "Capabilities_Register",
                                           "Set_Option broadcastIP 1"};
enum { INTRODUCED = ARRAY_SIZE(introduction) + 1 };

static void channel_close(struct rpc_channel *c)
{
    free(c->in);
    free(c->out);
    memset(c, 0, sizeof(*c));
}

static bool channel_say(struct rpc_channel *c, const char *text, size_t n)
{
    free(c->out);
    c->out = malloc(n + 1);
    c->out_at = 0;
    c->out_len = c->out ? (uint32_t)n : 0;
    if (c->out)
        memcpy(c->out, text, n);
    return c->out;
}

/* --- messages that are complete --- */

static void event(struct rpc *r, enum machine_event what, const char *text, size_t n)
{
    size_t len = n < RPC_TEXT - 1 ? n : RPC_TEXT - 1;

    r->has_event = true;
    r->event = what;
    for (size_t i = 0; i < len; i++)
        r->event_text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    r->event_text[len] = 0;
}

void rpc_tell(struct rpc *r, enum machine_event what, const char *text)
{
    event(r, what, text, strlen(text));
}

/* The system's tools, not those of a desktop session ("toolbox-dnd"). */
static bool named_toolbox(const struct rpc_channel *c)
{
    static const char name[] = "OK ATR toolbox";
    size_t n = sizeof(name) - 1;

    return c->in_want >= n && memcmp(c->in, name, n) == 0 &&
           (c->in_want == n || c->in[n] == 0 || c->in[n] == ' ');
}

static bool is_main(const struct rpc *r, const struct rpc_channel *c)
{
    return r->main && c == &r->channel[r->main - 1];
}

/* The answer to what we sent last. */
static void tclo_answer(struct rpc *r, struct rpc_channel *c)
{
    bool ok = c->in_want >= 2 && memcmp(c->in, "OK", 2) == 0;

    if (!c->fresh)
        return;
    c->fresh = false;
    if (c->setup < INTRODUCED) {
        if (c->setup == 0 && named_toolbox(c))
            r->main = (unsigned)(c - r->channel) + 1;
        c->setup++;
    } else if (r->ask_sent && is_main(r, c)) {
        if (!rpc_quiesce_answered(r, ok))
            event(r, ok ? MACHINE_ASK_DONE : MACHINE_ASK_FAILED, (const char *)c->in, c->in_want);
        r->ask_sent = false;
        r->ask[0] = 0;
    }
}

/* What is to be said to the tools, NULL: nothing. *ask: it is the machine's command. */
static const char *tclo_text(struct rpc *r, struct rpc_channel *c, bool *ask)
{
    if (c->setup < ARRAY_SIZE(introduction))
        return introduction[c->setup];
    if (c->setup < INTRODUCED || c->synctime != r->synctime) {
        c->synctime = r->synctime;
        return r->synctime ? "Set_Option synctime 1" : "Set_Option synctime 0";
    }
    *ask = r->ask[0] && !r->ask_sent && is_main(r, c);
    return *ask ? r->ask : NULL;
}

static void tclo_next(struct rpc *r, struct rpc_channel *c)
{
    const char *text;
    bool ask = false;

    if (c->out || c->fresh)
        return;
    text = tclo_text(r, c, &ask);
    if (!text || !channel_say(c, text, strlen(text)))
        return;
    r->ask_sent |= ask;
    c->fresh = true;
}

static void rpci_message(struct rpc *r, struct rpc_channel *c)
{
    static const char lost[] = "0 No memory";
    char *answer = malloc(GUESTMSG_MAX_IN_SIZE);
    size_t n;

    r->messages++;
    if (!answer) {
        channel_say(c, lost, sizeof(lost) - 1);
        return;
    }
    n = rpc_command(r, (const char *)c->in, c->in_want, answer, GUESTMSG_MAX_IN_SIZE);
    channel_say(c, answer, n);
    free(answer);
}

static void message(struct rpc *r, struct rpc_channel *c)
{
    c->receiving = false;
    if (c->proto == RPCI_PROTOCOL_NUM)
        rpci_message(r, c);
    else
        tclo_answer(r, c);
    free(c->in);
    c->in = NULL;
}

/* --- calls --- */

static struct rpc_channel *channel_free(struct rpc *r, unsigned *id)
{
    for (*id = 0; *id < GUESTMSG_MAX_CHANNEL; ++*id) {
        if (!r->channel[*id].open)
            return &r->channel[*id];
    }
    return NULL;
}

static uint32_t call_open(struct rpc *r, struct backdoor *b)
{
    uint32_t proto = b->bx & ~GUESTMSG_FLAG_COOKIE;
    struct rpc_channel *c;
    unsigned id;

    if (proto != RPCI_PROTOCOL_NUM && proto != TCLO_PROTOCOL_NUM)
        return 0;
    c = channel_free(r, &id);
    if (!c)
        return 0;
    *c = (struct rpc_channel){.open = true, .proto = proto};
    c->cookie_wanted = b->bx & GUESTMSG_FLAG_COOKIE;
    if (getrandom(c->cookie, sizeof(c->cookie), 0) != sizeof(c->cookie))
        c->cookie_wanted = false;
    b->dx = id << 16;
    b->si = c->cookie[0];
    b->di = c->cookie[1];
    return MESSAGE_STATUS_SUCCESS;
}

static uint32_t call_sendsize(struct rpc *r, struct rpc_channel *c, uint32_t size)
{
    if (size > GUESTMSG_MAX_IN_SIZE)
        return 0;
    free(c->in);
    c->in = calloc(1, size + 4);
    if (!c->in)
        return 0;
    c->in_want = size;
    c->in_have = 0;
    c->receiving = true;
    if (size == 0)
        message(r, c);
    return MESSAGE_STATUS_SUCCESS;
}

static uint32_t call_sendpayload(struct rpc *r, struct rpc_channel *c, uint32_t word)
{
    uint32_t n;

    if (!c->receiving)
        return 0;
    n = (uint32_t)min_u64(4, c->in_want - c->in_have);
    memcpy(c->in + c->in_have, &word, n);
    c->in_have += n;
    if (c->in_have == c->in_want)
        message(r, c);
    return MESSAGE_STATUS_SUCCESS;
}

static uint32_t call_recvsize(struct rpc *r, struct rpc_channel *c, struct backdoor *b,
                              uint64_t now)
{
    if (c->proto == TCLO_PROTOCOL_NUM) {
        if (is_main(r, c))
            r->polled = now;
        tclo_next(r, c);
    }
    if (!c->out)
        return MESSAGE_STATUS_SUCCESS;
    c->out_at = 0;
    b->bx = c->out_len;
    b->dx = (uint32_t)MESSAGE_TYPE_SENDSIZE << 16;
    return MESSAGE_STATUS_SUCCESS | MESSAGE_STATUS_DORECV;
}

static uint32_t call_recvpayload(struct rpc_channel *c, struct backdoor *b)
{
    uint32_t word = 0, n;

    if (!c->out)
        return 0;
    n = (uint32_t)min_u64(4, c->out_len - c->out_at);
    memcpy(&word, c->out + c->out_at, n);
    c->out_at += n;
    b->bx = word;
    b->dx = (uint32_t)MESSAGE_TYPE_SENDPAYLOAD << 16;
    return MESSAGE_STATUS_SUCCESS;
}

static uint32_t channel_call(struct rpc *r, struct rpc_channel *c, struct backdoor *b, uint64_t now)
{
    switch (b->cx >> 16) {
    case MESSAGE_TYPE_SENDSIZE:
        return call_sendsize(r, c, b->bx);
    case MESSAGE_TYPE_SENDPAYLOAD:
        return call_sendpayload(r, c, b->bx);
    case MESSAGE_TYPE_RECVSIZE:
        return call_recvsize(r, c, b, now);
    case MESSAGE_TYPE_RECVPAYLOAD:
        return call_recvpayload(c, b);
    case MESSAGE_TYPE_RECVSTATUS:
        free(c->out);
        c->out = NULL;
        return MESSAGE_STATUS_SUCCESS;
    case MESSAGE_TYPE_CLOSE:
        if (is_main(r, c)) {
            r->main = 0;
            if (r->ask_sent && c->fresh)
                rpc_tell(r, MACHINE_ASK_FAILED, "the tools went away");
            rpc_quiesce_reset(r);
            r->ask_sent = false;
            r->ask[0] = 0;
        }
        channel_close(c);
        return MESSAGE_STATUS_SUCCESS;
    default:
        return 0;
    }
}

/* The caller's channel, open or not; NULL: there is none, or it is another program's. */
static struct rpc_channel *channel_of(struct rpc *r, const struct backdoor *b)
{
    struct rpc_channel *c;
    size_t id;

    if (!idx_in(b->dx >> 16, GUESTMSG_MAX_CHANNEL, &id))
        return NULL;
    c = &r->channel[id];
    if (c->open && c->cookie_wanted && (b->si != c->cookie[0] || b->di != c->cookie[1]))
        return NULL;
    return c;
}

void rpc_call(struct rpc *r, struct backdoor *b, uint64_t now)
{
    struct rpc_channel *c = NULL;
    uint32_t status = 0;

    if (b->cx >> 16 == MESSAGE_TYPE_OPEN)
        status = call_open(r, b);
    else
        c = channel_of(r, b);
    if (c && c->open)
        status = channel_call(r, c, b, now);
    else if (c)
        status = MESSAGE_STATUS_CLOSED;
    if (!(status & MESSAGE_STATUS_SUCCESS))
        r->refused++;
    b->cx = status << 16; /* lower halves are zero: BSD drivers look */
}

bool rpc_byte(struct rpc *r, const struct backdoor *b, enum access dir, uint8_t *byte)
{
    struct rpc_channel *c = channel_of(r, b);
    bool out = dir == ACC_WRITE;

    if ((b->bx & 0xffff) != BDOOR_HB_CMD_MESSAGE || !c || !c->open ||
        (out ? !c->receiving : !c->out || c->out_at >= c->out_len)) {
        r->refused++;
        return false;
    }
    if (!out) {
        *byte = c->out[c->out_at++];
        return true;
    }
    c->in[c->in_have++] = *byte;
    if (c->in_have == c->in_want)
        message(r, c);
    return true;
}

/* --- for the persona --- */

bool rpc_alive(const struct rpc *r, uint64_t now)
{
    return r->main && r->polled && now - r->polled < TOOLS_SILENT &&
           r->channel[r->main - 1].setup == INTRODUCED;
}

int rpc_ask(struct rpc *r, const char *command, uint64_t now)
{
    if (!rpc_alive(r, now))
        return -ENOTSUP;
    if (r->ask[0])
        return -EBUSY;
    strncpy(r->ask, command, sizeof(r->ask) - 1);
    return 0;
}

bool rpc_event(struct rpc *r, enum machine_event *what, char *text, size_t n)
{
    if (!r->has_event)
        return false;
    r->has_event = false;
    *what = r->event;
    strncpy(text, r->event_text, n - 1);
    text[n - 1] = 0;
    return true;
}

void rpc_describe(struct rpc *r, struct dump *out, uint64_t now)
{
    static const struct {
        enum guest_info id;
        const char *key;
    } facts[] = {{INFO_DNS_NAME, "host name"},
                 {INFO_IPADDRESS, "address"},
                 {INFO_OS_NAME_FULL, "operating system"}};

    dump_add(out, "tools", "%s", rpc_alive(r, now) ? "running" : r->polled ? "silent" : "not seen");
    if (r->tools_version[0])
        dump_add(out, "tools version", "%s", r->tools_version);
    if (r->health[0])
        dump_add(out, "tools health", "%s", r->health);
    if (r->quiesce != QUIESCE_NONE)
        dump_add(out, "file systems", "%s", r->quiesce == QUIESCE_FROZEN ? "frozen" : "changing");
    for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
        if (r->info[facts[i].id][0])
            dump_add(out, facts[i].key, "%s", r->info[facts[i].id]);
    }
    dump_add(out, "messages", "%llu, %llu refused", (unsigned long long)r->messages,
             (unsigned long long)r->refused);
}

void rpc_reset(struct rpc *r)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < GUESTMSG_MAX_CHANNEL; i++)
        channel_close(&r->channel[i]);
    for (unsigned i = 0; i < r->vars; i++) {
        if (r->var[i].host) {
            r->var[kept++] = r->var[i];
        } else {
            r->var_bytes -= r->var[i].n;
            free(r->var[i].value);
        }
    }
    r->vars = kept;
    r->quiesce = QUIESCE_NONE;
    r->polled = 0;
    r->main = 0;
    r->ask[0] = r->tools_version[0] = r->health[0] = 0;
    r->ask_sent = r->has_event = false;
    memset(r->info, 0, sizeof(r->info));
}

int rpc_create(struct rpc **out, struct err *e)
{
    struct rpc *r = calloc(1, sizeof(*r));

    if (r)
        r->var = calloc(RPC_VARIABLES, sizeof(*r->var));
    if (!r || !r->var) {
        free(r);
        return err_set(e, ENOMEM, "no memory for the guest's messages");
    }
    *out = r;
    return 0;
}

void rpc_destroy(struct rpc *r)
{
    if (!r)
        return;
    rpc_reset(r);
    for (unsigned i = 0; i < r->vars; i++)
        free(r->var[i].value);
    free(r->var);
    free(r);
}
