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
    assert_int_equal(out->cx & 0xffff, 0);
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

static void variables_go_and_are_listed(void **state)
{
    struct chan c = opened(RPCI_PROTOCOL_NUM);
    const char *value;

    asks(&c, "info-set guestinfo.mine 1", "1 ");
    assert_int_equal(rpc_set(r, "guestinfo.mine", "2", 1), 0);
    assert_int_equal(rpc_set(r, "guestinfo.other", "3", 1), 0);
    assert_string_equal(rpc_at(r, 0, &value), "guestinfo.mine");
    assert_string_equal(value, "2");
    assert_null(rpc_at(r, 2, &value));
    rpc_reset(r); /* what the host said last stays */
    assert_non_null(rpc_at(r, 1, &value));
    assert_true(rpc_remove(r, "guestinfo.mine"));
    assert_false(rpc_remove(r, "guestinfo.mine"));
    assert_string_equal(rpc_at(r, 0, &value), "guestinfo.other");
    assert_int_equal(r->var_bytes, 1);
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

/* Older tools tell by INFO_IPADDRESS_V2 alone; a card may come first that has no IPv4. */
static void the_address_may_be_any_cards(void **state)
{
    static const uint8_t nics[] = {
        0,    0,    0, 3, 0,   0,   0, 1, 0,   0, 0, 2, /* version, there, cards */
        0,    0,    0, 2, 'm', 'a', 0, 0, 0,   0, 0, 1, 0,   0,   0, 2, 0,   0, 0, 16, /* an IPv6
                                                                                          address */
        0xfe, 0x80, 0, 0, 0,   0,   0, 0, 0,   0, 0, 0, 0,   0,   0, 1, 0,   0, 0, 64, 0, 0, 0, 1,
        0,    0,    0, 5, 0,   0,   0, 1, 0,   0, 0, 1, /* of link-layer origin, preferred */
        0,    0,    0, 1,                               /* name servers */
        0,    0,    0, 1, 0,   0,   0, 1, 'h', 0, 0, 0, 0,   0,   0, 0, /* a host name, no domain */
        0,    0,    0, 1, 0,   0,   0, 1, 0,   0, 0, 4, 8,   8,   8, 8, 0,   0, 0, 0, /* a server,
                                                                                         no suffix
                                                                                       */
        0,    0,    0, 1, 0,   0,   0, 1, 0,   0, 0, 0, 0,   0,   0, 1, 0,   0, 0, 0, /* WINS */
        0,    0,    0, 1, 0,   0,   0, 1, 0,   0, 0, 2, 'o', 'n', 0, 0,               /* DHCP */
        0,    0,    0, 0, /* and none for IPv6 */
        0,    0,    0, 0, 0,   0,   0, 1, 0,   0, 0, 1, 0,   0,   0, 4, 192, 0, 2, 7,  0, 0, 0, 24};
    char msg[256] = "SetGuestInfo  9 ", answer[64], out[RPC_TEXT] = "none";
    size_t n = strlen(msg);

    memcpy(msg + n, nics, sizeof(nics));
    memset(msg + n + sizeof(nics), 0, 8); /* neither origin nor status */
    assert_int_equal(rpc_command(r, msg, n + sizeof(nics) + 8, answer, sizeof(answer)), 2);
    assert_string_equal(r->info[INFO_IPADDRESS], "192.0.2.7");
    for (size_t i = 0; i + 8 < sizeof(nics); i++) /* cut short */
        assert_false(rpc_first_address(nics, i, out));
    assert_string_equal(out, "none");
}

static struct chan toolbox(void)
{
    struct chan c = opened(TCLO_PROTOCOL_NUM), rpci = opened(RPCI_PROTOCOL_NUM);

    send_text(&c, "");
    assert_string_equal(receive(&c), "reset");
    send_text(&c, "OK ATR toolbox");
    asks(&rpci, "vmx.capability.unified_loop toolbox", "1 ");
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

/* vmware-toolbox-cmd timesync enable: the tools hear it from us. */
static void a_user_has_the_clock_set_by_ours(void **state)
{
    enum machine_event what;
    struct chan rpci, c, dnd;
    char text[64];

    (void)state;
    c = toolbox();
    rpci = opened(RPCI_PROTOCOL_NUM);
    asks(&rpci, "vmx.set_option synctime 0 1", "1 ");
    assert_true(r->synctime);
    assert_string_equal(receive(&c), "Set_Option synctime 1");
    send_text(&c, "OK ");
    assert_string_equal(receive(&c), "");
    asks(&rpci, "vmx.set_option copypaste 0 1", "0 Unknown option");
    rpc_reset(r); /* the guest starts again */
    dnd = opened(TCLO_PROTOCOL_NUM);
    for (unsigned i = 0; i < 3; i++) {
        assert_string_not_equal(receive(&dnd), "");
        send_text(&dnd, "OK ");
    }
    assert_string_equal(receive(&dnd), "Set_Option synctime 1");
    send_text(&dnd, "OK ");
    rpci = opened(RPCI_PROTOCOL_NUM);
    asks(&rpci, "vmx.set_option synctime 1 0", "1 ");
    c = toolbox();
    assert_int_equal(rpc_ask(r, "OS_Halt", NOW), 0);
    assert_string_equal(receive(&c), "OS_Halt");
    assert_string_equal(receive(&dnd), "Set_Option synctime 0");
    send_text(&dnd, "OK "); /* does not answer for the other */
    assert_false(rpc_event(r, &what, text, sizeof(text)));
    send_text(&c, "OK ");
    assert_true(rpc_event(r, &what, text, sizeof(text)));
    assert_int_equal(what, MACHINE_ASK_DONE);
}

static void file_systems_freeze_when_the_guest_says_so(void **state)
{
    struct chan c, tools;
    enum machine_event what;
    char text[64];

    assert_int_equal(rpc_freeze(r, NOW), -ENOTSUP);
    tools = toolbox();
    c = opened(RPCI_PROTOCOL_NUM);
    assert_int_equal(rpc_thaw(r, NOW), -EINVAL);
    assert_int_equal(rpc_freeze(r, NOW), 0);
    assert_int_equal(rpc_freeze(r, NOW), -EALREADY);
    send_text(&tools, "");
    assert_string_equal(receive(&tools), "vmbackup.start 1");
    asks(&c, "vmbackup.eventSet reset 0 ", "1 ");
    send_text(&tools, "OK ");
    assert_false(rpc_event(r, &what, text, sizeof(text)));
    asks(&c, "vmbackup.eventSet req.keepAlive 0 ", "1 ");
    asks(&c, "vmbackup.eventSet prov.snapshotCommit 0 ", "1 ");
    assert_true(rpc_event(r, &what, text, sizeof(text)));
    assert_int_equal(what, MACHINE_ASK_DONE);
    assert_int_equal(rpc_thaw(r, NOW), 0);
    assert_string_equal(receive(&tools), "vmbackup.snapshotDone");
    asks(&c, "vmbackup.eventSet req.genericManifest 0 /a/manifest", "1 ");
    asks(&c, "vmbackup.eventSet req.done 0 ", "1 "); /* before the answer, as Linux does */
    assert_true(rpc_event(r, &what, text, sizeof(text)));
    assert_int_equal(what, MACHINE_ASK_DONE);
    send_text(&tools, "OK ");
    assert_false(rpc_event(r, &what, text, sizeof(text)));
}

static void a_freeze_that_fails_says_why(void **state)
{
    struct chan c, tools = toolbox();
    enum machine_event what;
    char text[64];

    c = opened(RPCI_PROTOCOL_NUM);
    assert_int_equal(rpc_freeze(r, NOW), 0);
    assert_string_equal(receive(&tools), "vmbackup.start 1");
    send_text(&tools, "ERROR Unknown Command");
    assert_true(rpc_event(r, &what, text, sizeof(text)));
    assert_int_equal(what, MACHINE_ASK_FAILED);
    assert_int_equal(rpc_freeze(r, NOW), 0); /* it can be tried again */
    assert_string_equal(receive(&tools), "vmbackup.start 1");
    send_text(&tools, "OK ");
    asks(&c, "vmbackup.eventSet req.error 3 no room", "1 ");
    assert_true(rpc_event(r, &what, text, sizeof(text)));
    assert_int_equal(what, MACHINE_ASK_FAILED);
    assert_string_equal(text, "no room");
    assert_int_equal(rpc_thaw(r, NOW), -EINVAL);
}

static void some_facts(void *arg, struct rpc_facts *out)
{
    (void)arg;
    *out = (struct rpc_facts){.session = 0x1122, .cpus = 2, .mhz = 2400, .memory_mib = 512};
}

static void the_guests_share_of_the_host_is_told(void **state)
{
    uint8_t out[1024];
    static const char ask[] = "guestlib.info.get 3";

    assert_int_equal(rpc_command(r, ask, sizeof(ask) - 1, (char *)out, sizeof(out)), 10);
    assert_memory_equal(out, "0 Disabled", 10);
    rpc_facts(r, some_facts, NULL);
    assert_int_equal(rpc_command(r, ask, sizeof(ask) - 1, (char *)out, sizeof(out)), 2 + 669);
    assert_int_equal(le32_at(out + 2), 2); /* the version */
    assert_int_equal(le64_at(out + 6), 0x1122);
    assert_int_equal(le32_at(out + 2 + 48 + 4), 2400); /* hostMHz */
    assert_int_equal(le32_at(out + 2 + 56 + 7 * 8), 0x0001);
    assert_int_equal(out[2 + 157], '/');
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
        cmocka_unit_test_setup_teardown(variables_go_and_are_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_user_has_the_clock_set_by_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(file_systems_freeze_when_the_guest_says_so, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_freeze_that_fails_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(the_guests_share_of_the_host_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(variables_have_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(the_guests_facts_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(the_address_may_be_any_cards, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_waits_for_the_tools_and_their_answer_is_an_event,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_cookie_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(channels_run_out, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
