/* SPDX-License-Identifier: Apache-2.0 */
/* The SynIC test device: SINTs, messages and events as kvm-unit-tests asks for them. */
#include "unit.h"

#include "board/bus.h"
#include "core/err.h"
#include "core/gmem.h"
#include "hyperv/hvguest.h"
#include "personas/hyperv/testdev.h"

enum {
    PORT = 0x3000,
    INPUT = 0x3000,
    MSG_SINT = 8,
    EVT_SINT = 9,
    MSG_CONN = 0x10,
    EVT_CONN = 0x20
};
enum {
    ROUTE_CREATE = 1,
    ROUTE_DESTROY,
    ROUTE_SET,
    MSG_CREATE,
    MSG_DESTROY,
    EVT_CREATE,
    EVT_DESTROY
};

static struct hvguest g;
static struct hvtest *dut;

static int setup(void **state)
{
    struct err e = {0};

    hv_create(&g, VERSION_COPPER);
    assert_int_equal(hvtest_create(&g.f.env, &g.host, g.bus->synic, &dut, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    hvtest_destroy(dut);
    assert_null(g.others);
    hv_destroy(&g);
    return 0;
}

static void ctl(unsigned command, unsigned vp, unsigned sint, unsigned conn)
{
    uint64_t v = (uint64_t)conn << 24 | command << 16 | vp << 8 | sint;

    bus_access(g.f.env.pio, PORT, 4, ACC_WRITE, &v);
    fake_env_run(&g.f);
}

static struct hv_sint *sint_of(unsigned vp, unsigned sint)
{
    struct hv_sint *s = g.others;

    while (s && (s->vp != vp || s->sint != sint))
        s = s->next;
    return s;
}

/* HvPostMessage; -1: not the device's. */
static int post(unsigned conn, uint32_t type, uint64_t word, uint32_t size)
{
    struct hv_post_message_input in = {.connectionid = le32_of(conn),
                                       .message_type = le32_of(type),
                                       .payload_size = le32_of(size)};
    struct hcall h = {.kind = HCALL_HYPERV, .nr = HVCALL_POST_MESSAGE, .args = {INPUT}};
    enum hv_status status;

    memcpy(in.payload, &word, sizeof(word));
    assert_int_equal(gmem_write(g.f.env.mem, INPUT, &in, sizeof(in)), 0);
    if (!hvtest_hypercall(dut, &h, &status))
        return -1;
    fake_env_run(&g.f);
    return (int)status;
}

static int signal_conn(uint64_t conn)
{
    struct hcall h = {
        .kind = HCALL_HYPERV, .nr = HVCALL_SIGNAL_EVENT | HV_HYPERCALL_FAST_BIT, .args = {conn}};
    enum hv_status status;

    if (!hvtest_hypercall(dut, &h, &status))
        return -1;
    fake_env_run(&g.f);
    return (int)status;
}

static struct hv_message *slot(unsigned vp, unsigned sint)
{
    return hv_ram(&g, 0x1000 + vp * 0x10000 + sint * 256, 256);
}

static void sints_are_made_set_and_destroyed(void **state)
{
    for (unsigned i = 0; i < HV_SYNIC_SLOTS; i++) {
        if (i == VMBUS_MESSAGE_SINT)
            continue;
        ctl(ROUTE_CREATE, 1, i, 0);
        ctl(ROUTE_SET, 1, i, 0);
        ctl(ROUTE_SET, 1, i, 0);
        assert_int_equal(sint_of(1, i)->raised, 2);
        assert_null(sint_of(0, i));
        ctl(ROUTE_DESTROY, 1, i, 0);
        assert_null(sint_of(1, i));
    }
}

static void a_message_comes_back_in_its_slot(void **state)
{
    struct hv_message *m = slot(1, MSG_SINT);

    ctl(MSG_CREATE, 1, MSG_SINT, MSG_CONN);
    assert_int_equal(post(MSG_CONN, 0x12345678, 0x10001, 8), HV_STATUS_SUCCESS);
    assert_int_equal(le32_get(m->message_type), 0x12345678);
    assert_int_equal(m->payload_size, 8);
    assert_int_equal(m->message_flags, 0);
    assert_int_equal(le64_at(m->payload), 0x10001);
    assert_int_equal(sint_of(1, MSG_SINT)->raised, 1);
}

static void a_message_to_a_taken_slot_waits_for_its_end(void **state)
{
    struct hv_message *m = slot(0, MSG_SINT);
    struct hv_sint *s;

    ctl(MSG_CREATE, 0, MSG_SINT, MSG_CONN);
    s = sint_of(0, MSG_SINT);
    assert_int_equal(post(MSG_CONN, 7, 1, 8), HV_STATUS_SUCCESS);
    assert_int_equal(post(MSG_CONN, 7, 2, 8), HV_STATUS_SUCCESS);
    assert_int_equal(m->message_flags, HV_MESSAGE_PENDING);
    assert_int_equal(le64_at(m->payload), 1);
    assert_int_equal(post(MSG_CONN, 7, 3, 8), HV_STATUS_INSUFFICIENT_BUFFERS);
    assert_int_equal(s->raised, 1);
    m->message_type = le32_of(HVMSG_NONE);
    s->eom(s->arg);
    assert_int_equal(le64_at(m->payload), 2);
    assert_int_equal(m->message_flags, 0);
    assert_int_equal(s->raised, 2);
}

static void an_event_sets_the_flag_of_its_number_once(void **state)
{
    uint32_t *flags = hv_ram(&g, 0x2000 + 0x10000 + EVT_SINT * 256, 256);

    ctl(EVT_CREATE, 1, EVT_SINT, EVT_CONN);
    assert_int_equal(signal_conn(EVT_CONN), HV_STATUS_SUCCESS);
    assert_int_equal(flags[EVT_CONN / 32], 1u << EVT_CONN % 32);
    assert_int_equal(sint_of(1, EVT_SINT)->raised, 1);
    assert_int_equal(signal_conn(EVT_CONN), HV_STATUS_SUCCESS);
    assert_int_equal(sint_of(1, EVT_SINT)->raised, 1);
}

static void connections_of_others_are_left_alone(void **state)
{
    assert_int_equal(post(VMBUS_MESSAGE_CONNECTION_ID, HVMSG_VMBUS, 0, 8), -1);
    ctl(EVT_CREATE, 0, EVT_SINT, EVT_CONN);
    assert_int_equal(post(EVT_CONN, 7, 0, 8), -1);
    assert_int_equal(signal_conn(0x1234), -1);
    ctl(EVT_DESTROY, 0, 0, EVT_CONN);
    assert_int_equal(signal_conn(EVT_CONN), -1);
}

static void nonsense_is_refused(void **state)
{
    ctl(ROUTE_CREATE, HV_CPUS, 1, 0); /* no such processor */
    ctl(ROUTE_CREATE, 0, HV_SYNIC_SLOTS, 0);
    ctl(ROUTE_SET, 0, 5, 0);
    ctl(99, 0, 0, 0);
    ctl(0, 0, 0, 0);
    assert_null(g.others);
    ctl(MSG_CREATE, HV_CPUS, MSG_SINT, MSG_CONN); /* a connection to nowhere swallows */
    assert_int_equal(post(MSG_CONN, 7, 1, 241), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(post(MSG_CONN, HVMSG_NONE, 1, 8), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(post(MSG_CONN, 7, 1, 8), HV_STATUS_SUCCESS);
}

static void a_reset_forgets_everything(void **state)
{
    ctl(ROUTE_CREATE, 1, 3, 0);
    ctl(MSG_CREATE, 1, MSG_SINT, MSG_CONN);
    hvtest_reset(dut);
    assert_null(g.others);
    assert_int_equal(post(MSG_CONN, 7, 1, 8), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(sints_are_made_set_and_destroyed),
        TEST(a_message_comes_back_in_its_slot),
        TEST(a_message_to_a_taken_slot_waits_for_its_end),
        TEST(an_event_sets_the_flag_of_its_number_once),
        TEST(connections_of_others_are_left_alone),
        TEST(nonsense_is_refused),
        TEST(a_reset_forgets_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
