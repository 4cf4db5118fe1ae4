/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uart.c - a National PC16550D at a fixed port, joined to a console.
 *
 * Transmission takes no time: the holding register is empty again at once, and the interrupt that
 * says so is raised by the write itself. Received bytes below the FIFO's trigger level are reported
 * as a character timeout at once. Not modelled: baud rates, parity and framing, the divisor's
 * effect, breaks, DMA.
 *
 * While the FIFO and the transmit interrupt are on, written bytes are gathered until the guest
 * reads a status register, which its interrupt handler must, and then go out in one piece.
 *
 * Threads: io() on vCPU threads; received bytes arrive on the loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/chipset/chipset.h"
#include "console/console.h"
#include "core/err.h"
#include "core/loop.h"

enum { UART_FIFO = 16, UART_GATHER = 64 };

enum uart_reg {
    UART_RX_TX_DLL = 0,
    UART_IER_DLM = 1,
    UART_IER_RDI = 0x01,
    UART_IER_THRI = 0x02,
    UART_IER_RLSI = 0x04,
    UART_IER_MSI = 0x08,
    UART_IIR_FCR = 2,
    UART_IIR_NO_INT = 0x01,
    UART_IIR_MSI = 0x00,
    UART_IIR_THRI = 0x02,
    UART_IIR_RDI = 0x04,
    UART_IIR_RLSI = 0x06,
    UART_IIR_RX_TIMEOUT = 0x0c,
    UART_IIR_FIFO = 0xc0,
    UART_FCR_ENABLE_FIFO = 0x01,
    UART_FCR_CLEAR_RCVR = 0x02,
    UART_FCR_CLEAR_XMIT = 0x04,
    UART_LCR = 3,
    UART_LCR_DLAB = 0x80,
    UART_MCR = 4,
    UART_MCR_LOOP = 0x10,
    UART_LSR = 5,
    UART_LSR_DR = 0x01,
    UART_LSR_OE = 0x02,
    UART_LSR_IDLE = 0x60, /* THRE and TEMT */
    UART_MSR = 6,
    UART_MSR_CONNECTED = 0xb0, /* DCD, DSR, CTS */
    UART_SCR = 7,
};

struct uart_state {
    uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
    uint8_t msr; /* upper half: lines; lower half: what changed */
    bool overrun, thri;
    uint8_t rx[UART_FIFO];
    unsigned rx_first, rx_n;
};

struct uart {
    struct device d; /* first */
    struct uart_state s;
    struct console *con;
    struct irq *irq;
    bool irq_up;
    bool starved; /* the console had more than fitted */
    struct task more;
    uint8_t tx[UART_GATHER];
    unsigned tx_n;
};

static void uart_flush(struct uart *u)
{
    if (u->tx_n && u->con)
        console_write(u->con, u->tx, u->tx_n);
    u->tx_n = 0;
}

static unsigned uart_room(const struct uart_state *s)
{
    return (s->fcr & UART_FCR_ENABLE_FIFO ? UART_FIFO : 1) - s->rx_n;
}

static void uart_receive(struct uart_state *s, uint8_t byte)
{
    if (uart_room(s) == 0) {
        s->overrun = true;
        return;
    }
    s->rx[(s->rx_first + s->rx_n++) % UART_FIFO] = byte;
}

static uint8_t uart_iir(const struct uart_state *s)
{
    static const uint8_t trigger[4] = {1, 4, 8, 14};

    if ((s->ier & UART_IER_RLSI) && s->overrun)
        return UART_IIR_RLSI;
    if ((s->ier & UART_IER_RDI) && s->rx_n)
        return !(s->fcr & UART_FCR_ENABLE_FIFO) || s->rx_n >= trigger[s->fcr >> 6]
                   ? UART_IIR_RDI
                   : UART_IIR_RX_TIMEOUT;
    if ((s->ier & UART_IER_THRI) && s->thri)
        return UART_IIR_THRI;
    if ((s->ier & UART_IER_MSI) && (s->msr & 0x0f))
        return UART_IIR_MSI;
    return UART_IIR_NO_INT;
}

static void uart_update(struct uart *u)
{
    bool up = uart_iir(&u->s) != UART_IIR_NO_INT;

    if (up == u->irq_up)
        return;
    u->irq_up = up;
    u->irq->set(u->irq, up);
}

static void uart_more(struct task *t)
{
    struct uart *u = container_of(t, struct uart, more);

    console_more(u->con);
}

/* There is room again: ask for what the console held back. */
static void uart_feed(struct uart *u)
{
    if (!u->starved || u->s.rx_n || (u->s.mcr & UART_MCR_LOOP))
        return;
    u->starved = false;
    loop_ask(u->d.env.loop, &u->more);
}

static size_t uart_take(void *arg, const uint8_t *p, size_t len)
{
    struct uart *u = arg;
    size_t n = 0;

    device_lock(&u->d);
    if (!(u->s.mcr & UART_MCR_LOOP)) {
        n = min_u64(len, uart_room(&u->s));
        for (size_t i = 0; i < n; i++)
            uart_receive(&u->s, p[i]);
    }
    u->starved = n < len;
    uart_update(u);
    device_unlock(&u->d);
    return n;
}

static void uart_transmit(struct uart *u, uint8_t byte)
{
    struct uart_state *s = &u->s;

    s->thri = true;
    if (s->mcr & UART_MCR_LOOP) {
        uart_receive(s, byte);
        return;
    }
    u->tx[u->tx_n++] = byte;
    if (u->tx_n == UART_GATHER || !(s->ier & UART_IER_THRI) || !(s->fcr & UART_FCR_ENABLE_FIFO))
        uart_flush(u);
}

/* The modem lines, which loop mode takes from the control register. */
static void uart_modem(struct uart *u)
{
    struct uart_state *s = &u->s;
    uint8_t was = s->msr, now = u->con ? UART_MSR_CONNECTED : 0, delta;

    if (s->mcr & UART_MCR_LOOP)
        now = (uint8_t)((s->mcr & 0x02) << 3 | (s->mcr & 0x01) << 5 | (s->mcr & 0x0c) << 4);
    delta = (uint8_t)((was ^ now) >> 4);
    /* The ring indicator counts only when it ends. */
    if (!(was & 0x40))
        delta &= (uint8_t)~0x04;
    s->msr = (uint8_t)(now | (was & 0x0f) | delta);
}

static void uart_set_fcr(struct uart_state *s, uint8_t v)
{
    if ((v ^ s->fcr) & UART_FCR_ENABLE_FIFO)
        v |= UART_FCR_CLEAR_RCVR;
    if (v & UART_FCR_CLEAR_RCVR)
        s->rx_n = s->rx_first = 0;
    s->fcr = v & UART_FCR_ENABLE_FIFO ? v & 0xc9 : 0;
}

static void uart_write(struct uart *u, unsigned reg, uint8_t v)
{
    struct uart_state *s = &u->s;

    if (reg != UART_RX_TX_DLL)
        uart_flush(u);
    switch (reg) {
    case UART_RX_TX_DLL:
        if (s->lcr & UART_LCR_DLAB)
            s->dll = v;
        else
            uart_transmit(u, v);
        break;
    case UART_IER_DLM:
        if (s->lcr & UART_LCR_DLAB) {
            s->dlm = v;
            break;
        }
        if (v & ~s->ier & UART_IER_THRI)
            s->thri = true; /* the register is empty: enabling says so at once */
        s->ier = v & 0x0f;
        break;
    case UART_IIR_FCR:
        uart_set_fcr(s, v);
        break;
    case UART_LCR:
        s->lcr = v;
        break;
    case UART_MCR:
        s->mcr = v & 0x1f;
        uart_modem(u);
        break;
    case UART_SCR:
        s->scr = v;
        return;
    default:
        break; /* LSR and MSR are read only */
    }
    uart_update(u);
    uart_feed(u);
}

static uint8_t uart_read_rx(struct uart *u)
{
    struct uart_state *s = &u->s;
    uint8_t v = 0;

    if (s->rx_n) {
        v = s->rx[s->rx_first];
        s->rx_first = (s->rx_first + 1) % UART_FIFO;
        s->rx_n--;
    }
    uart_update(u);
    uart_feed(u);
    return v;
}

static uint8_t uart_read_iir(struct uart *u)
{
    struct uart_state *s = &u->s;
    uint8_t iir = uart_iir(s);

    uart_flush(u);
    if (iir == UART_IIR_THRI) {
        s->thri = false;
        uart_update(u);
    }
    return iir | (s->fcr & UART_FCR_ENABLE_FIFO ? UART_IIR_FIFO : 0);
}

static uint8_t uart_read(struct uart *u, unsigned reg)
{
    struct uart_state *s = &u->s;
    uint8_t v = 0;

    switch (reg) {
    case UART_RX_TX_DLL:
        return s->lcr & UART_LCR_DLAB ? s->dll : uart_read_rx(u);
    case UART_IER_DLM:
        return s->lcr & UART_LCR_DLAB ? s->dlm : s->ier;
    case UART_IIR_FCR:
        return uart_read_iir(u);
    case UART_LCR:
        return s->lcr;
    case UART_MCR:
        return s->mcr;
    case UART_LSR:
        uart_flush(u);
        v = (uint8_t)(UART_LSR_IDLE | (s->rx_n ? UART_LSR_DR : 0) | (s->overrun ? UART_LSR_OE : 0));
        if (s->overrun) {
            s->overrun = false;
            uart_update(u);
        }
        return v;
    case UART_MSR:
        v = s->msr;
        s->msr &= 0xf0;
        if (v & 0x0f)
            uart_update(u);
        return v;
    default:
        return s->scr;
    }
}

static void uart_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                    uint64_t *val)
{
    struct uart *u = (struct uart *)d;

    if (size != 1) {
        chipset_bytes(d, region, off, size, dir, val);
        return;
    }
    if (dir == ACC_READ)
        *val = uart_read(u, (unsigned)off);
    else
        uart_write(u, (unsigned)off, (uint8_t)*val);
}

static void uart_reset(struct device *d)
{
    struct uart *u = (struct uart *)d;

    device_lock(d);
    uart_flush(u);
    u->s = (struct uart_state){.dll = 12, .thri = false, .mcr = 0};
    u->s.msr = u->con ? UART_MSR_CONNECTED : 0;
    uart_update(u);
    uart_feed(u);
    device_unlock(d);
}

static void uart_destroy(struct device *d)
{
    struct uart *u = (struct uart *)d;

    loop_forget(d->env.loop, &u->more);
    uart_flush(u);
    if (u->con)
        console_listen(u->con, NULL, NULL);
    chipset_free(d, 1, u->irq);
    free(u);
}

static void uart_describe(struct device *d, struct dump *out)
{
    const struct uart_state *s = &((struct uart *)d)->s;

    dump_add(out, "uart.divisor", "%u", s->dlm << 8 | s->dll);
    dump_add(out, "uart.interrupts", "0x%x", s->ier);
}

static const struct device_ops uart_ops = {
    .name = "uart",
    .destroy = uart_destroy,
    .reset = uart_reset,
    .io = uart_io,
    .describe = uart_describe,
};

int uart_create(const struct env *env, uint16_t port, unsigned gsi, struct console *con,
                struct device **out, struct err *e)
{
    struct uart *u = calloc(1, sizeof(*u));
    int rc;

    if (!u)
        return err_set(e, ENOMEM, "no memory for a serial port");
    device_init(&u->d, &uart_ops, env);
    rc = chipset_line(env, gsi, &u->irq, e);
    if (rc == 0)
        rc = chipset_claim(env, port, 8, &u->d, 0, e);
    if (rc < 0) {
        uart_destroy(&u->d);
        return rc;
    }
    u->con = con;
    u->more.run = uart_more;
    uart_reset(&u->d);
    if (con)
        console_listen(con, uart_take, u);
    *out = &u->d;
    return 0;
}
