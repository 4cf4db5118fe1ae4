/* SPDX-License-Identifier: Apache-2.0 */
/* The TPM's registers as a driver uses them, in front of a played swtpm. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/tpm.h"
#include "board/chipset/chipset.h"
#include "board/layout.h"
#include "core/err.h"
#include "fakes/fake_env.h"

enum { RAM = 1 << 20, BUFFER = TPM_CRB_SIZE - TPM_CRB_DATA_BUFFER };

static const uint8_t command[] = {0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 4};
static const uint8_t answer[] = {0x80, 1, 0, 0, 0, 16, 0, 0, 0, 0, 0, 4, 'h', 'o', 's', 't'};

static const uint8_t done[] = {0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0};

static struct fake_env f;
static struct device *dev;
static int data, ctrl; /* swtpm's ends */
static int ours[2];    /* the device's */

static void power_answers(unsigned n, uint32_t result)
{
    be32 r = be32_of(result);

    for (unsigned i = 0; i < n; i++)
        assert_int_equal(write(ctrl, &r, sizeof(r)), sizeof(r));
}

static void sockets(void)
{
    int d[2], c[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, d), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, c), 0);
    ours[0] = d[0];
    ours[1] = c[0];
    data = d[1];
    ctrl = c[1];
}

static uint32_t power_asked(void)
{
    be32 v;

    assert_int_equal(recv(ctrl, &v, sizeof(v), MSG_DONTWAIT), sizeof(v));
    return be32_get(v);
}

static uint32_t reg(unsigned at)
{
    return (uint32_t)fake_env_read(&f, LAYOUT_TPM + at, 4);
}

static void set_reg(unsigned at, uint32_t v)
{
    fake_env_write(&f, LAYOUT_TPM + at, 4, v);
}

static void make(bool startup)
{
    struct err e = {0};

    fake_env_create(&f, RAM);
    sockets();
    power_answers(1, 0);
    if (startup)
        assert_int_equal(write(data, done, sizeof(done)), sizeof(done));
    assert_int_equal(tpm_create(&f.env, &(struct board_tpm){.data = ours[0], .ctrl = ours[1]},
                                startup, &dev, &e),
                     0);
    assert_int_equal(power_asked(), SWTPM_CMD_INIT);
    assert_int_equal(power_asked(), 0);
}

static int begin(void **state)
{
    (void)state;
    make(false);
    return 0;
}

static int end(void **state)
{
    (void)state;
    power_answers(1, 0);
    dev->ops->destroy(dev);
    close(data);
    close(ctrl);
    close(ours[0]);
    close(ours[1]);
    fake_env_destroy(&f);
    return 0;
}

static void make_ready(void)
{
    set_reg(TPM_LOC_CTRL, TPM_LOC_CTRL_REQUEST);
    set_reg(TPM_CRB_CTRL_REQ, TPM_CRB_CTRL_REQ_READY);
}

static void give(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fake_env_write(&f, LAYOUT_TPM + TPM_CRB_DATA_BUFFER + i, 1, p[i]);
}

static void start(const uint8_t *p, size_t n)
{
    make_ready();
    give(p, n);
    set_reg(TPM_CRB_CTRL_START, 1);
}

static void a_driver_finds_it(void **state)
{
    (void)state;
    assert_int_equal(reg(TPM_CRB_INTF_ID) & 0xff, 0x11);
    assert_true(reg(TPM_CRB_INTF_ID) & 1 << 14);
    assert_int_equal(reg(TPM_CRB_CTRL_CMD_LADDR), LAYOUT_TPM + TPM_CRB_DATA_BUFFER);
    assert_int_equal(reg(TPM_CRB_CTRL_RSP_ADDR), LAYOUT_TPM + TPM_CRB_DATA_BUFFER);
    assert_int_equal(reg(TPM_CRB_CTRL_CMD_SIZE), BUFFER);
    assert_int_equal(reg(TPM_CRB_CTRL_STS), TPM_CRB_CTRL_STS_IDLE);
    assert_int_equal(fake_env_read(&f, LAYOUT_TPM + TPM_LOC_STATE, 1),
                     TPM_LOC_STATE_VALID | TPM_LOC_STATE_ESTABLISHED);
    set_reg(TPM_LOC_CTRL, TPM_LOC_CTRL_REQUEST);
    assert_int_equal(reg(TPM_LOC_STS), TPM_LOC_STS_GRANTED);
    set_reg(TPM_CRB_CTRL_REQ, TPM_CRB_CTRL_REQ_READY);
    assert_int_equal(reg(TPM_CRB_CTRL_STS), 0);
    assert_int_equal(reg(TPM_CRB_CTRL_REQ), 0);
    set_reg(TPM_CRB_CTRL_REQ, TPM_CRB_CTRL_REQ_IDLE);
    assert_int_equal(reg(TPM_CRB_CTRL_STS), TPM_CRB_CTRL_STS_IDLE);
    set_reg(TPM_LOC_CTRL, TPM_LOC_CTRL_RELINQUISH);
    assert_int_equal(reg(TPM_LOC_STS), 0);
}

static void a_command_is_answered(void **state)
{
    uint8_t got[32];

    (void)state;
    start(command, sizeof(command));
    assert_int_equal(recv(data, got, sizeof(got), MSG_DONTWAIT), sizeof(command));
    assert_memory_equal(got, command, sizeof(command));
    assert_int_equal(reg(TPM_CRB_CTRL_START), 1);
    give(answer, 4); /* too early: it is swtpm's turn */
    assert_int_equal(write(data, answer, 3), 3);
    fake_env_run(&f);
    assert_int_equal(reg(TPM_CRB_CTRL_START), 1);
    assert_int_equal(write(data, answer + 3, sizeof(answer) - 3), sizeof(answer) - 3);
    fake_env_run(&f);
    assert_int_equal(reg(TPM_CRB_CTRL_START), 0);
    assert_int_equal(reg(TPM_CRB_CTRL_STS), 0);
    for (size_t i = 0; i < sizeof(answer); i++)
        assert_int_equal(fake_env_read(&f, LAYOUT_TPM + TPM_CRB_DATA_BUFFER + i, 1), answer[i]);
    assert_int_equal(fake_env_read(&f, LAYOUT_TPM + TPM_CRB_DATA_BUFFER + 8, 8),
                     UINT64_C(0x74736f6804000000));
}

static void a_wrong_command_is_an_error(void **state)
{
    static const uint8_t size[][4] = {{0, 0, 0, 9}, {0, 0, 0x0f, 0x81}, {0xff, 0xff, 0xff, 0xff}};
    uint8_t got;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(size); i++) {
        uint8_t bad[sizeof(command)];

        memcpy(bad, command, sizeof(bad));
        memcpy(bad + 2, size[i], 4);
        start(bad, sizeof(bad));
        assert_int_equal(reg(TPM_CRB_CTRL_START), 0);
        assert_int_equal(reg(TPM_CRB_CTRL_STS), TPM_CRB_CTRL_STS_ERROR);
    }
    set_reg(TPM_LOC_CTRL, TPM_LOC_CTRL_RELINQUISH);
    give(command, sizeof(command));
    set_reg(TPM_CRB_CTRL_START, 1); /* without the locality */
    assert_int_equal(reg(TPM_CRB_CTRL_STS), TPM_CRB_CTRL_STS_ERROR);
    assert_int_equal(recv(data, &got, 1, MSG_DONTWAIT), -1);
}

static void a_lost_swtpm_fails_commands(void **state)
{
    (void)state;
    start(command, sizeof(command));
    shutdown(data, SHUT_RDWR);
    fake_env_run(&f);
    assert_int_equal(reg(TPM_CRB_CTRL_START), 0);
    assert_int_equal(reg(TPM_CRB_CTRL_STS), TPM_CRB_CTRL_STS_ERROR);
    start(command, sizeof(command));
    assert_int_equal(reg(TPM_CRB_CTRL_START), 0);
    assert_int_equal(reg(TPM_CRB_CTRL_STS), TPM_CRB_CTRL_STS_ERROR);
    dev->ops->reset(dev);
}

static void an_answer_that_makes_no_sense_ends_it(void **state)
{
    static const uint8_t bad[] = {0x80, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};

    (void)state;
    start(command, sizeof(command));
    assert_int_equal(write(data, bad, sizeof(bad)), sizeof(bad));
    fake_env_run(&f);
    assert_int_equal(reg(TPM_CRB_CTRL_STS), TPM_CRB_CTRL_STS_ERROR);
}

/* What was in flight is waited for: the next guest does not get its answer. */
static void a_reset_powers_it_off_and_on(void **state)
{
    (void)state;
    start(command, sizeof(command));
    assert_int_equal(write(data, answer, sizeof(answer)), sizeof(answer));
    power_answers(2, 0);
    dev->ops->reset(dev);
    assert_int_equal(power_asked(), SWTPM_CMD_STOP);
    assert_int_equal(power_asked(), SWTPM_CMD_INIT);
    assert_int_equal(reg(TPM_CRB_CTRL_STS), TPM_CRB_CTRL_STS_IDLE);
    assert_int_equal(reg(TPM_CRB_CTRL_START), 0);
    assert_int_equal(reg(TPM_CRB_DATA_BUFFER), 0);
    fake_env_run(&f);
    assert_int_equal(reg(TPM_CRB_CTRL_STS), TPM_CRB_CTRL_STS_IDLE);
}

static void without_firmware_it_is_started_up(void **state)
{
    static const uint8_t want[] = {0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0};
    uint8_t got[16];

    end(state);
    make(true);
    assert_int_equal(recv(data, got, sizeof(got), MSG_DONTWAIT), sizeof(want));
    assert_memory_equal(got, want, sizeof(want));
    assert_int_equal(reg(TPM_CRB_CTRL_STS), TPM_CRB_CTRL_STS_IDLE);
}

static void state_that_it_cannot_use_is_refused(void **state)
{
    struct device *other;
    struct err e = {0};

    (void)state;
    power_answers(1, 9);
    assert_int_equal(tpm_create(&f.env, &(struct board_tpm){.data = ours[0], .ctrl = ours[1]},
                                false, &other, &e),
                     -EIO);
    assert_int_equal(e.exit, EX_BAD_INPUT);
}

int main(void)
{
#define TPM(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TPM(a_driver_finds_it),
        TPM(a_command_is_answered),
        TPM(a_wrong_command_is_an_error),
        TPM(a_lost_swtpm_fails_commands),
        TPM(an_answer_that_makes_no_sense_ends_it),
        TPM(a_reset_powers_it_off_and_on),
        TPM(without_firmware_it_is_started_up),
        TPM(state_that_it_cannot_use_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
