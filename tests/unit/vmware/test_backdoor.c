/* SPDX-License-Identifier: Apache-2.0 */
/* The backdoor's ports as instructions reach them: what the BSDs' vmt(4) and balloon drivers do. */
#include "unit.h"

#include <string.h>

#include "core/err.h"
#include "core/loop.h"
#include "host/host.h"
#include "personas/vmware/rpc.h"
#include "personas/vmware/vmware.h"

static struct vmware w;
static struct regs regs;

static void get_regs(struct vcpu *v, struct regs *r)
{
    (void)v;
    *r = regs;
}

static void set_regs(struct vcpu *v, const struct regs *r)
{
    (void)v;
    regs = *r;
}

static uint64_t tsc_khz(const struct host *h)
{
    (void)h;
    return 2400000;
}

static const struct host_ops ops = {
    .vcpu_get_regs = get_regs, .vcpu_set_regs = set_regs, .tsc_khz = tsc_khz};
static struct host host = {.ops = &ops};
static struct vcpu vcpu = {.host = &host};

static int setup(void **state)
{
    struct err e;

    (void)state;
    w = (struct vmware){.met = true};
    vmware_tasks(&w);
    pthread_mutex_init(&w.lock, NULL);
    assert_int_equal(loop_create_fake(&w.p.env.dev.loop, &e), 0);
    return rpc_create(&w.rpc, &e);
}

static int teardown(void **state)
{
    (void)state;
    rpc_destroy(w.rpc);
    loop_destroy(w.p.env.dev.loop);
    pthread_mutex_destroy(&w.lock);
    return 0;
}

/* IN EAX, DX with regs as they are but for EAX. */
static void in_eax(void)
{
    uint32_t val = 0;

    regs.rax = BDOOR_MAGIC;
    assert_int_equal(backdoor_port(&w.p, &vcpu, BDOOR_PORT, 4, ACC_READ, &val), VERDICT_DONE);
    assert_int_equal((uint32_t)regs.rax, val);
}

struct chan {
    uint16_t id;
    uint32_t cookie1, cookie2;
};

static void message(const struct chan *c, enum message_type type, uint32_t bx)
{
    regs = (struct regs){.rbx = bx,
                         .rcx = BDOOR_CMD_MESSAGE | (uint32_t)type << 16,
                         .rdx = BDOOR_PORT | (uint32_t)c->id << 16,
                         .rsi = c->cookie1,
                         .rdi = c->cookie2};
    in_eax();
}

static struct chan opened(uint32_t proto)
{
    struct chan none = {0};

    message(&none, MESSAGE_TYPE_OPEN, proto | GUESTMSG_FLAG_COOKIE);
    assert_int_equal(regs.rcx >> 16, MESSAGE_STATUS_SUCCESS);
    assert_int_equal(regs.rdx & 0xffff, 0);
    return (struct chan){(uint16_t)(regs.rdx >> 16), (uint32_t)regs.rsi, (uint32_t)regs.rdi};
}

/* REP OUTSB or INSB; the buffer's register is the guest's affair. true: it says that it went. */
static bool string(const struct chan *c, enum access dir, char *text, size_t n)
{
    uint32_t val = 0;

    regs = (struct regs){.rax = BDOOR_MAGIC,
                         .rbx = BDOOR_HB_SUCCESS,
                         .rcx = n,
                         .rdx = BDOOR_HB_PORT | (uint32_t)c->id << 16,
                         .rsi = dir == ACC_WRITE ? (uintptr_t)text : c->cookie1,
                         .rdi = dir == ACC_WRITE ? c->cookie2 : (uintptr_t)text,
                         .rbp = dir == ACC_WRITE ? c->cookie1 : c->cookie2};
    for (size_t i = 0; i < n; i++) {
        val = (uint8_t)text[i];
        assert_int_equal(backdoor_port(&w.p, &vcpu, BDOOR_HB_PORT, 1, dir, &val), VERDICT_DONE);
        text[i] = (char)val;
    }
    return regs.rbx == BDOOR_HB_SUCCESS;
}

static void bsd_messages_go_through_the_high_bandwidth_port(void **state)
{
    char ask[] = "info-set guestinfo.ip 10.0.2.15", answer[8] = "";
    struct chan c = opened(RPCI_PROTOCOL_NUM);
    size_t n;

    (void)state;
    message(&c, MESSAGE_TYPE_SENDSIZE, sizeof(ask) - 1);
    assert_int_equal(regs.rcx, (uint32_t)MESSAGE_STATUS_SUCCESS << 16);
    assert_true(string(&c, ACC_WRITE, ask, sizeof(ask) - 1));
    message(&c, MESSAGE_TYPE_RECVSIZE, 0);
    assert_int_equal(regs.rcx >> 16, MESSAGE_STATUS_SUCCESS | MESSAGE_STATUS_DORECV);
    assert_int_equal(regs.rbx, 2);
    assert_true(string(&c, ACC_READ, answer, 2));
    assert_string_equal(answer, "1 ");
    message(&c, MESSAGE_TYPE_RECVSTATUS, MESSAGE_TYPE_SENDSIZE);
    message(&c, MESSAGE_TYPE_CLOSE, 0);
    assert_int_equal(regs.rcx, (uint32_t)MESSAGE_STATUS_SUCCESS << 16);
    assert_string_equal(rpc_get(w.rpc, "guestinfo.ip", &n), "10.0.2.15");
}

static void bytes_that_nobody_announced_are_refused(void **state)
{
    struct chan c = opened(RPCI_PROTOCOL_NUM), other;
    char text[] = "log x";
    uint32_t val = 0;

    (void)state;
    assert_false(string(&c, ACC_WRITE, text, 1));
    assert_false(string(&c, ACC_READ, text, 1));
    message(&c, MESSAGE_TYPE_SENDSIZE, 3);
    other = c;
    other.cookie1 ^= 1;
    assert_false(string(&other, ACC_WRITE, text, 3));
    other = (struct chan){.id = 500};
    assert_false(string(&other, ACC_WRITE, text, 3));
    assert_false(string(&c, ACC_WRITE, text, 5)); /* two too many */
    message(&c, MESSAGE_TYPE_RECVSIZE, 0);
    assert_int_equal(regs.rcx >> 16, MESSAGE_STATUS_SUCCESS | MESSAGE_STATUS_DORECV);
    regs.rax = 0; /* no call: the bus's */
    assert_int_equal(backdoor_port(&w.p, &vcpu, BDOOR_HB_PORT, 1, ACC_WRITE, &val),
                     VERDICT_NOT_MINE);
    assert_int_equal(backdoor_port(&w.p, &vcpu, BDOOR_HB_PORT, 4, ACC_READ, &val),
                     VERDICT_NOT_MINE);
}

/* vmtoolsd puts the pointer where the host says it is, unless the host says that it has none. */
static void the_host_holds_no_pointer_and_tells_its_options(void **state)
{
    (void)state;
    regs = (struct regs){.rcx = BDOOR_CMD_GETPTRLOCATION, .rdx = BDOOR_PORT};
    in_eax();
    assert_int_equal((int16_t)(regs.rax >> 16), -100);
    assert_int_equal((int16_t)regs.rax, -100);
    regs = (struct regs){.rcx = BDOOR_CMD_GETGUIOPTIONS, .rdx = BDOOR_PORT};
    in_eax();
    assert_int_equal(regs.rax, 0);
    w.rpc->synctime = true;
    regs = (struct regs){.rcx = BDOOR_CMD_GETGUIOPTIONS, .rdx = BDOOR_PORT};
    in_eax();
    assert_int_equal(regs.rax, GUI_SYNC_TIME);
    regs = (struct regs){.rcx = BDOOR_CMD_GETPTRLOCATION + 1, .rdx = BDOOR_PORT};
    in_eax();
    assert_int_equal(regs.rax, UINT32_MAX); /* not known */
}

static uint32_t balloon(uint32_t cmd, uint32_t arg)
{
    uint32_t val = 0;

    regs = (struct regs){.rax = BALLOON_MAGIC, .rbx = arg, .rcx = cmd, .rdx = BALLOON_PORT};
    assert_int_equal(backdoor_port(&w.p, &vcpu, BALLOON_PORT, 4, ACC_READ, &val), VERDICT_DONE);
    return val;
}

static void old_balloon_drivers_know_one_success(void **state)
{
    uint32_t caps = VMW_BALLOON_BASIC_CMDS | VMW_BALLOON_BATCHED_CMDS;

    (void)state;
    assert_int_equal(balloon(VMW_BALLOON_CMD_START, caps), VMW_BALLOON_SUCCESS_WITH_CAPABILITIES);
    assert_int_equal(regs.rcx, caps);
    assert_int_equal(balloon(VMW_BALLOON_CMD_START, 2), VMW_BALLOON_SUCCESS); /* version 2 */
    assert_int_equal(regs.rcx, VMW_BALLOON_BASIC_CMDS);
    assert_int_equal(balloon(VMW_BALLOON_CMD_GUEST_ID, 1), VMW_BALLOON_SUCCESS);
    assert_int_equal(balloon(VMW_BALLOON_CMD_GET_TARGET, 65536), VMW_BALLOON_SUCCESS);
    assert_int_equal(regs.rbx, 0);
}

#define TEST(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bsd_messages_go_through_the_high_bandwidth_port),
        TEST(the_host_holds_no_pointer_and_tells_its_options),
        TEST(old_balloon_drivers_know_one_success),
        TEST(bytes_that_nobody_announced_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
