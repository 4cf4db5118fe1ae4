/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TPM: register and buffer accesses of any width, answers and ends of swtpm at any time. What
 * it sends to swtpm is always one whole command.
 */
#include "fuzz.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/tpm.h"
#include "board/chipset/chipset.h"
#include "board/layout.h"
#include "core/err.h"
#include "steps.h"

enum { RAM = 1 << 20 };

static struct fake_env f;
static int data[2], ctrl[2]; /* the device's, and swtpm's */

static void power_answers(unsigned n)
{
    static const be32 good = {{0}};

    for (unsigned i = 0; i < n; i++)
        (void)!write(ctrl[1], &good, sizeof(good));
}

/* swtpm takes the command that there is, and answers with what says it has `n` bytes. */
static void serve(unsigned n, uint8_t fill)
{
    uint8_t b[TPM_CRB_SIZE];
    struct tpm_header h;
    ssize_t got = recv(data[1], b, sizeof(b), MSG_DONTWAIT);

    if (got <= 0)
        return;
    assert(got >= (ssize_t)sizeof(h));
    memcpy(&h, b, sizeof(h));
    assert(be32_get(h.size) == (uint32_t)got);
    memset(b, fill, sizeof(b));
    h = (struct tpm_header){.size = be32_of(n)};
    memcpy(b, &h, sizeof(h));
    (void)!send(data[1], b, min_u64(n < sizeof(h) ? sizeof(h) : n, sizeof(b)),
                MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void settle(void)
{
    serve(sizeof(struct tpm_header), 0);
    fake_env_run(&f);
}

static void step(struct device *dev, const uint8_t *p)
{
    static const uint8_t reg[] = {TPM_LOC_CTRL, TPM_CRB_CTRL_REQ, TPM_CRB_CTRL_START,
                                  TPM_CRB_CTRL_CANCEL};

    if (step_window(&f, LAYOUT_TPM, TPM_CRB_SIZE, p))
        return;
    switch (p[0] & 7) {
    case 2: /* a command's length */
        fake_env_write(&f, LAYOUT_TPM + TPM_CRB_DATA_BUFFER + 2, 4,
                       __builtin_bswap32(p[1] | (uint32_t)p[2] << 8));
        break;
    case 3:
        serve(p[1] | (unsigned)p[2] << 8, p[3]);
        fake_env_run(&f);
        break;
    case 4:
        settle();
        power_answers(2);
        dev->ops->reset(dev);
        break;
    case 5:
        if (p[1] == 0)
            shutdown(data[1], SHUT_RDWR);
        break;
    default:
        fake_env_write(&f, LAYOUT_TPM + reg[p[1] % ARRAY_SIZE(reg)], 4, p[3]);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct device *dev;
    struct err e = {0};
    int rc;

    fake_env_create(&f, RAM);
    rc = socketpair(AF_UNIX, SOCK_STREAM, 0, data) | socketpair(AF_UNIX, SOCK_STREAM, 0, ctrl);
    assert(rc == 0);
    power_answers(1);
    rc = tpm_create(&f.env, &(struct board_tpm){.data = data[0], .ctrl = ctrl[0]}, false, &dev, &e);
    assert(rc == 0);
    for (size_t at = 0; at < steps_in(size); at += STEP)
        step(dev, input + at);
    settle();
    shutdown(data[1], SHUT_RDWR); /* half an answer may be on its way */
    power_answers(1);
    dev->ops->destroy(dev);
    for (unsigned i = 0; i < 2; i++) {
        close(data[i]);
        close(ctrl[i]);
    }
    fake_env_destroy(&f);
    return 0;
}
