/* SPDX-License-Identifier: Apache-2.0 */
/* GuestRPC, driven as a guest's tools do: questions, the polled channel, cookies, bad sizes. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/err.h"
#include "personas/vmware/rpc.h"

#define NOW UINT64_C(1000000000)

struct chan {
    uint32_t id, si, di;
};

static struct rpc *r;

static int setup(void **state)
{
    struct err e;

    (void)state;
    return rpc_create(&r, &e);
}

static int teardown(void **state)
{
    (void)state;
    rpc_destroy(r);
    return 0;
}

static uint32_t call(const struct chan *c, enum message_type type, uint32_t bx,
                     struct backdoor *out)
{
    *out = (struct backdoor){.bx = bx,
                             .cx = BDOOR_CMD_MESSAGE | (uint32_t)type << 16,
                             .dx = BDOOR_PORT | c->id << 16,
                             .si = c->si,
                             .di = c->di};
    rpc_call(r, out, NOW);
    assert_int_equal(out->cx & 0xffff, BDOOR_CMD_MESSAGE);
    return out->cx >> 16;
}

static struct chan opened(uint32_t proto)
{
    struct chan c = {0};
    struct backdoor b;

    assert_int_equal(call(&c, MESSAGE_TYPE_OPEN, proto | GUESTMSG_FLAG_COOKIE, &b),
                     MESSAGE_STATUS_SUCCESS);
    return (struct chan){b.dx >> 16, b.si, b.di};
}

static void send_text(const struct chan *c, const char *text)
{
    size_t n = strlen(text);
    struct backdoor b;

    assert_int_equal(call(c, MESSAGE_TYPE_SENDSIZE, (uint32_t)n, &b), MESSAGE_STATUS_SUCCESS);
    for (size_t i = 0; i < n; i += 4) {
        uint32_t word = 0;

        memcpy(&word, text + i, n - i < 4 ? n - i : 4);
        assert_int_equal(call(c, MESSAGE_TYPE_SENDPAYLOAD, word, &b), MESSAGE_STATUS_SUCCESS);
    }
}

/* The host's message; "" when there is none. */
static const char *receive(const struct chan *c)
{
    static char text[256];
    struct backdoor b;
    uint32_t n;

    memset(text, 0, sizeof(text));
    if (!(call(c, MESSAGE_TYPE_RECVSIZE, 0, &b) & MESSAGE_STATUS_DORECV))
        return text;
    assert_int_equal(b.dx >> 16, MESSAGE_TYPE_SENDSIZE);
    n = b.bx;
    assert_true(n < sizeof(text));
    for (uint32_t i = 0; i < n; i += 4) {
        assert_int_equal(call(c, MESSAGE_TYPE_RECVPAYLOAD, MESSAGE_STATUS_SUCCESS, &b),
                         MESSAGE_STATUS_SUCCESS);
        assert_int_equal(b.dx >> 16, MESSAGE_TYPE_SENDPAYLOAD);
        memcpy(text + i, &b.bx, n - i < 4 ? n - i : 4);
    }
    assert_int_equal(call(c, MESSAGE_TYPE_RECVSTATUS, 1, &b), MESSAGE_STATUS_SUCCESS);
    return text;
}

static void asks(const struct chan *c, const char *question, const char *answer)
{
    send_text(c, question);
    assert_string_equal(receive(c), answer);
}

static void variables_are_kept_and_given_back(void **state)
{
    struct chan c = opened(RPCI_PROTOCOL_NUM);

    assert_int_equal(rpc_set(r, "guestinfo.metadata", "from the host", 13), 0);
    asks(&c, "info-get guestinfo.metadata", "1 from the host");
    asks(&c, "info-get guestinfo.x", "0 No value found");
    asks(&c, "info-set guestinfo.x one two", "1 ");
    asks(&c, "info-get guestinfo.x", "1 one two");
    asks(&c, "info-set machine.id 5", "0 Unknown key");
    asks(&c, "no such thing", "0 Unknown command");
    rpc_reset(r);
    c = opened(RPCI_PROTOCOL_NUM);
    asks(&c, "info-get guestinfo.x", "0 No value found");
    asks(&c, "info-get guestinfo.metadata", "1 from the host");
}

static void variables_have_a_limit(void **state)
{
    char name[32];
    int rc = 0;

    for (unsigned i = 0; i <= RPC_VARIABLES && rc == 0; i++) {
        snprintf(name, sizeof(name), "guestinfo.%u", i);
        rc = rpc_set(r, name, "v", 1);
        assert_int_equal(rc, i < RPC_VARIABLES ? 0 : -ENOSPC);
    }
}

static void the_guests_facts_are_kept(void **state)
{
    static const uint8_t nics[] = {0,   0,   0,   3,  0, 0, 0, 1,  0, 0, 0, 1, 0, 0, 0, 3,
                                   'm', 'a', 'c', 0,  0, 0, 0, 1,  0, 0, 0, 1, 0, 0, 0, 4,
                                   10,  0,   2,   15, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0};
    char msg[128] = "SetGuestInfo  10 ", answer[64];
    size_t n = strlen(msg);
    struct chan c = opened(RPCI_PROTOCOL_NUM);

    asks(&c, "SetGuestInfo  1 host.example", "1 ");
    assert_string_equal(r->info[INFO_DNS_NAME], "host.example");
    asks(&c, "SetGuestInfo  99 x", "0 Invalid guest information");
    memcpy(msg + n, nics, sizeof(nics));
    assert_int_equal(rpc_command(r, msg, n + sizeof(nics), answer, sizeof(answer)), 2);
    assert_string_equal(r->info[INFO_IPADDRESS], "10.0.2.15");
}

static struct chan toolbox(void)
{
    struct chan c = opened(TCLO_PROTOCOL_NUM);

    send_text(&c, "");
    assert_string_equal(receive(&c), "reset");
    send_text(&c, "OK ATR toolbox");
    assert_string_equal(receive(&c), "Capabilities_Register");
    send_text(&c, "OK ");
    assert_string_equal(receive(&c), "Set_Option broadcastIP 1");
    send_text(&c, "OK ");
    assert_string_equal(receive(&c), "Set_Option synctime 0");
    send_text(&c, "OK ");
    assert_string_equal(receive(&c), "");
    return c;
}

static void a_request_waits_for_the_tools_and_their_answer_is_an_event(void **state)
{
    enum machine_event what;
    struct chan c;
    char text[64];

    assert_int_equal(rpc_ask(r, "OS_Halt", NOW), -ENOTSUP);
    c = toolbox();
    assert_int_equal(rpc_ask(r, "OS_Halt", NOW + UINT64_C(31000000000)), -ENOTSUP);
    assert_int_equal(rpc_ask(r, "OS_Halt", NOW), 0);
    assert_int_equal(rpc_ask(r, "OS_Reboot", NOW), -EBUSY);
    send_text(&c, "");
    assert_string_equal(receive(&c), "OS_Halt");
    assert_false(rpc_event(r, &what, text, sizeof(text)));
    send_text(&c, "OK ");
    assert_true(rpc_event(r, &what, text, sizeof(text)));
    assert_int_equal(what, MACHINE_ASK_DONE);
    assert_int_equal(rpc_ask(r, "OS_Reboot", NOW), 0);
    assert_string_equal(receive(&c), "OS_Reboot");
    send_text(&c, "ERROR cannot");
    assert_true(rpc_event(r, &what, text, sizeof(text)));
    assert_int_equal(what, MACHINE_ASK_FAILED);
    assert_string_equal(text, "ERROR cannot");
}

static void a_wrong_cookie_is_refused(void **state)
{
    struct chan c = opened(RPCI_PROTOCOL_NUM);
    struct backdoor b;

    c.si ^= 1;
    assert_int_equal(call(&c, MESSAGE_TYPE_SENDSIZE, 4, &b), 0);
    c.si ^= 1;
    assert_int_equal(call(&c, MESSAGE_TYPE_SENDSIZE, 4, &b), MESSAGE_STATUS_SUCCESS);
    assert_int_equal(call(&c, MESSAGE_TYPE_SENDSIZE, GUESTMSG_MAX_IN_SIZE + 1, &b), 0);
    assert_int_equal(call(&c, MESSAGE_TYPE_CLOSE, 0, &b), MESSAGE_STATUS_SUCCESS);
    c.si = c.di = 0;
    assert_int_equal(call(&c, MESSAGE_TYPE_SENDSIZE, 4, &b), MESSAGE_STATUS_CLOSED);
}

static void channels_run_out(void **state)
{
    struct chan c = {0};
    struct backdoor b;

    for (unsigned i = 0; i < GUESTMSG_MAX_CHANNEL; i++)
        assert_int_equal(opened(RPCI_PROTOCOL_NUM).id, i);
    assert_int_equal(call(&c, MESSAGE_TYPE_OPEN, RPCI_PROTOCOL_NUM, &b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(variables_are_kept_and_given_back, setup, teardown),
        cmocka_unit_test_setup_teardown(variables_have_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(the_guests_facts_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_waits_for_the_tools_and_their_answer_is_an_event,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_cookie_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(channels_run_out, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
