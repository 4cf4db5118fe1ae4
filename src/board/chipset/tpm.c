/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tpm.c - a TPM 2.0 behind the command response buffer interface (TCG PC Client Platform TPM
 * Profile 1.05, 6.5.3), in front of swtpm: commands go to it over one socket, power over another.
 *
 * The guest's bytes are in one page: registers, then a buffer for command and answer. A command is
 * copied out when the guest starts it, and swtpm alone looks into it.
 *
 * Not modelled: localities 1 to 4, cancelling (a command runs to its end, as the profile allows),
 * interrupts, physical presence, the FIFO interface. Threads: registers on vCPUs, answers on the
 * loop, under the device's lock; reset waits for swtpm.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "abi/tpm.h"
#include "board/chipset/chipset.h"
#include "board/layout.h"
#include "core/err.h"
#include "core/loop.h"

enum {
    TPM_BUFFER = TPM_CRB_SIZE - TPM_CRB_DATA_BUFFER,
    /* It may make keys for the first time, on a machine that is busy. */
    TPM_PATIENCE_MS = 60000,
};

struct tpm_state {
    uint8_t buffer[TPM_BUFFER];
    bool assigned; /* locality 0 */
    bool idle, error;
    bool started; /* swtpm has a command */
    uint8_t answer[TPM_BUFFER];
    size_t have; /* bytes of the answer so far */
};

struct tpm {
    struct device d; /* first */
    struct tpm_state s;
    struct watch data;
    int ctrl;
    bool watched, claimed;
    bool startup; /* no firmware sends TPM2_Startup */
    bool dead;    /* swtpm is gone: every command fails */
    uint64_t commands;
};

/* --- swtpm --- */

static void tpm_lost(struct tpm *t, const char *why)
{
    if (!t->dead)
        log_line(LOG_WARN, "tpm", "swtpm is lost (%s): the guest's TPM fails from now on", why);
    t->dead = true;
    t->s.error = t->s.error || t->s.started;
    t->s.started = false;
}

/* All n bytes, waiting; -errno. */
static int tpm_receive(int fd, void *p, size_t n)
{
    for (size_t have = 0; have < n;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (poll(&wait, 1, TPM_PATIENCE_MS) <= 0)
            return -ETIMEDOUT;
        got = recv(fd, (uint8_t *)p + have, n - have, 0);
        if (got == 0)
            return -EPIPE;
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        have += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

static int tpm_control(struct tpm *t, enum swtpm_command command, uint32_t *result)
{
    struct swtpm_request r = {.command = be32_of(command)};
    size_t n = command == SWTPM_CMD_INIT ? sizeof(r) : sizeof(r.command);
    be32 answer;
    int rc;

    if (send(t->ctrl, &r, n, MSG_NOSIGNAL) != (ssize_t)n)
        return -errno;
    rc = tpm_receive(t->ctrl, &answer, sizeof(answer));
    if (rc == 0)
        *result = be32_get(answer);
    return rc;
}

/* As firmware would, which has more patience than a kernel. */
static int tpm_startup(struct tpm *t)
{
    static const uint8_t clear[] = {0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0};
    struct tpm_header h;

    if (send(t->data.fd, clear, sizeof(clear), MSG_NOSIGNAL) != (ssize_t)sizeof(clear))
        return -EPIPE;
    return tpm_receive(t->data.fd, &h, sizeof(h)); /* has nothing behind it */
}

static int tpm_power_on(struct tpm *t, struct err *e)
{
    uint32_t result = 0;
    int rc = tpm_control(t, SWTPM_CMD_INIT, &result);

    if (rc == 0 && !result && t->startup)
        rc = tpm_startup(t);
    if (rc < 0)
        return err_exit(e, EX_NO_HOST, -rc,
                        "swtpm does not start (%s): is another machine using the TPM's state, or "
                        "is the folder not writable?",
                        strerror(-rc));
    if (result)
        return err_exit(e, EX_BAD_INPUT, EIO,
                        "swtpm cannot use the TPM's state (0x%x): it is damaged or another "
                        "program's; name another folder with --tpm 2.0,state=",
                        (unsigned)result);
    return 0;
}

/* The answer is whole. */
static void tpm_done(struct tpm *t)
{
    memset(t->s.buffer, 0, sizeof(t->s.buffer));
    memcpy(t->s.buffer, t->s.answer, t->s.have);
    t->s.started = false;
}

/* As much as there is, up to the end of one answer. 1: it is whole. */
static int tpm_read(struct tpm *t)
{
    struct tpm_header h;
    size_t want = sizeof(h);
    ssize_t n;

    if (t->s.have >= sizeof(h)) {
        memcpy(&h, t->s.answer, sizeof(h));
        want = be32_get(h.size);
        if (want < sizeof(h) || want > sizeof(t->s.answer))
            return -EPROTO;
        if (want == t->s.have)
            return 1;
    }
    n = recv(t->data.fd, t->s.answer + t->s.have, want - t->s.have, MSG_DONTWAIT);
    if (n == 0)
        return -EPIPE;
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
    t->s.have += (size_t)n;
    return 0;
}

static void tpm_ready(struct watch *w, uint32_t got)
{
    struct tpm *t = container_of(w, struct tpm, data);
    int rc = 0;

    device_lock(&t->d);
    if (!t->s.started) /* nobody asked: it has ended, or is no swtpm */
        rc = -EPROTO;
    while (rc == 0)
        rc = tpm_read(t);
    if (rc == 1)
        tpm_done(t);
    else if (rc != -EAGAIN)
        tpm_lost(t, strerror(-rc));
    if (t->dead && t->watched) {
        loop_unwatch(t->d.env.loop, &t->data);
        t->watched = false;
    }
    device_unlock(&t->d);
}

static void tpm_start(struct tpm *t)
{
    struct tpm_header h;
    ssize_t sent;
    uint32_t n;

    if (t->s.started)
        return;
    memcpy(&h, t->s.buffer, sizeof(h));
    n = be32_get(h.size);
    t->s.error = t->dead || !t->s.assigned || t->s.idle || n < sizeof(h) || n > TPM_BUFFER;
    if (t->s.error) {
        guest_fault(&t->d, "a command of %u bytes cannot be started%s", (unsigned)n,
                    t->dead ? ": swtpm is lost" : "");
        return;
    }
    t->s.have = 0;
    t->s.started = true;
    t->commands++;
    sent = send(t->data.fd, t->s.buffer, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != (ssize_t)n)
        tpm_lost(t, sent < 0 ? strerror(errno) : "it takes no commands");
}

/* --- registers --- */

static uint32_t tpm_register(const struct tpm *t, unsigned off)
{
    const gpa_t buffer = LAYOUT_TPM + TPM_CRB_DATA_BUFFER;

    switch (off) {
    case TPM_LOC_STATE:
        return TPM_LOC_STATE_ESTABLISHED | TPM_LOC_STATE_VALID |
               (t->s.assigned ? TPM_LOC_STATE_ASSIGNED : 0u);
    case TPM_LOC_STS:
        return t->s.assigned ? TPM_LOC_STS_GRANTED : 0;
    case TPM_CRB_INTF_ID:
        return TPM_CRB_INTF_ID_LOW;
    case TPM_CRB_INTF_ID + 4:
        return 0x1014; /* the vendor that swtpm's library says it is, too */
    case TPM_CRB_CTRL_STS:
        return (t->s.idle ? TPM_CRB_CTRL_STS_IDLE : 0u) |
               (t->s.error ? TPM_CRB_CTRL_STS_ERROR : 0u);
    case TPM_CRB_CTRL_START:
        return t->s.started;
    case TPM_CRB_CTRL_CMD_SIZE:
    case TPM_CRB_CTRL_RSP_SIZE:
        return TPM_BUFFER;
    case TPM_CRB_CTRL_CMD_LADDR:
    case TPM_CRB_CTRL_RSP_ADDR:
        return (uint32_t)buffer;
    default:
        return 0;
    }
}

static void tpm_register_write(struct tpm *t, unsigned off, uint32_t v)
{
    switch (off) {
    case TPM_LOC_CTRL:
        if (v & TPM_LOC_CTRL_REQUEST)
            t->s.assigned = true;
        if (v & TPM_LOC_CTRL_RELINQUISH)
            t->s.assigned = false;
        break;
    case TPM_CRB_CTRL_REQ:
        if (t->s.started)
            break;
        if (v & TPM_CRB_CTRL_REQ_READY)
            t->s.idle = false;
        if (v & TPM_CRB_CTRL_REQ_IDLE)
            t->s.idle = true;
        break;
    case TPM_CRB_CTRL_START:
        if (v & 1)
            tpm_start(t);
        break;
    default:
        break;
    }
}

static void tpm_byte(struct tpm *t, uint64_t off, enum access dir, uint8_t *b)
{
    size_t at;

    if (off < TPM_CRB_DATA_BUFFER) {
        if (dir == ACC_READ)
            *b = (uint8_t)(tpm_register(t, (unsigned)off & ~3u) >> (off & 3) * 8);
    } else if (idx_in(off - TPM_CRB_DATA_BUFFER, TPM_BUFFER, &at)) {
        if (dir == ACC_READ)
            *b = t->s.buffer[at];
        else if (!t->s.started)
            t->s.buffer[at] = *b;
    }
}

/* Registers are written in whole words; the buffer, and what is read, in any way. */
static void tpm_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                   uint64_t *val)
{
    struct tpm *t = (struct tpm *)d;
    uint64_t all = 0;

    for (unsigned i = 0; i < size; i++) {
        uint8_t b = (uint8_t)(*val >> 8 * i);

        tpm_byte(t, off + i, dir, &b);
        all |= (uint64_t)b << 8 * i;
    }
    if (dir == ACC_READ) {
        *val = all;
        return;
    }
    for (unsigned i = 0; i < size && off < TPM_CRB_DATA_BUFFER && off % 4 == 0; i += 4)
        tpm_register_write(t, (unsigned)off + i, (uint32_t)(*val >> 8 * i));
}

/* --- life --- */

static void tpm_settle(struct tpm *t)
{
    int rc = 0;

    while (t->s.started && !t->dead) {
        struct pollfd wait = {.fd = t->data.fd, .events = POLLIN};

        if (poll(&wait, 1, TPM_PATIENCE_MS) <= 0)
            rc = -ETIMEDOUT;
        while (rc == 0)
            rc = tpm_read(t);
        if (rc == 1)
            t->s.started = false;
        else if (rc != -EAGAIN)
            tpm_lost(t, strerror(-rc));
        rc = 0;
    }
}

static void tpm_reset(struct device *d)
{
    struct tpm *t = (struct tpm *)d;
    struct err e = {0};
    uint32_t result;

    tpm_settle(t);
    memset(&t->s, 0, sizeof(t->s));
    t->s.idle = true;
    if (t->dead)
        return;
    if (tpm_control(t, SWTPM_CMD_STOP, &result) < 0 || tpm_power_on(t, &e) < 0)
        tpm_lost(t, "it does not start again");
}

static void tpm_destroy(struct device *d)
{
    struct tpm *t = (struct tpm *)d;
    uint32_t result;

    if (t->watched)
        loop_unwatch(d->env.loop, &t->data);
    tpm_settle(t);
    if (!t->dead && tpm_control(t, SWTPM_CMD_SHUTDOWN, &result) < 0)
        log_line(LOG_WARN, "tpm", "swtpm did not answer at the end");
    if (t->claimed)
        bus_release(d->env.mmio, d, 0);
    pthread_mutex_destroy(&d->lock);
    free(t);
}

static void tpm_describe(struct device *d, struct dump *out)
{
    struct tpm *t = (struct tpm *)d;

    dump_add(out, "tpm", "2.0, %llu commands%s", (unsigned long long)t->commands,
             t->dead ? ", swtpm is lost" : "");
}

static const struct device_ops tpm_ops = {
    .name = "tpm",
    .destroy = tpm_destroy,
    .reset = tpm_reset,
    .io = tpm_io,
    .describe = tpm_describe,
};

int tpm_create(const struct env *env, const struct board_tpm *c, bool startup, struct device **out,
               struct err *e)
{
    struct tpm *t = calloc(1, sizeof(*t));
    int rc;

    if (!t)
        return err_set(e, ENOMEM, "no memory for a TPM");
    device_init(&t->d, &tpm_ops, env);
    t->data = (struct watch){.fd = c->data, .want = EPOLLIN, .ready = tpm_ready};
    t->ctrl = c->ctrl;
    t->startup = startup;
    t->s.idle = true;
    rc = tpm_power_on(t, e);
    t->dead = rc < 0;
    if (rc == 0 && bus_claim(env->mmio, LAYOUT_TPM, TPM_CRB_SIZE, &t->d, 0) < 0)
        rc = err_set(e, EEXIST, "the place of the TPM is taken by another device");
    t->claimed = rc == 0;
    if (rc == 0 && loop_watch(env->loop, &t->data) < 0)
        rc = err_set(e, ENOMEM, "cannot watch swtpm");
    t->watched = rc == 0;
    if (rc < 0) {
        tpm_destroy(&t->d);
        return rc;
    }
    *out = &t->d;
    return 0;
}
