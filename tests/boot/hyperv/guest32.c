/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest32.c - a guest with no operating system, in 32-bit protected mode without paging, that
 * takes Hyper-V's hypercall page, posts and receives messages, opens a storage channel and gets an
 * answer through its rings. Polls; no interrupt is taken.
 *
 * Document: TLFS 6.0b, chapters 3 (32-bit hypercalls) and 11. Entered by multiboot 1. Its verdict
 * goes to COM1, then the exit port of kvm-unit-tests ends the machine.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    COM1 = 0x3f8,
    EXIT_PORT = 0xf4,
    MSR_GUEST_OS_ID = 0x40000000,
    MSR_HYPERCALL = 0x40000001,
    MSR_SCONTROL = 0x40000080,
    MSR_SIEFP = 0x40000082,
    MSR_SIMP = 0x40000083,
    MSR_EOM = 0x40000084,
    MSR_SINT2 = 0x40000092,
    POST_MESSAGE = 0x5c,
    SIGNAL_EVENT_FAST = 0x5d | 1 << 16,
    VERSION_4_0 = 4 << 16,
    SPINS = 200000000,
};
enum {
    OFFER = 1,
    REQUESTOFFERS = 3,
    ALLOFFERS = 4,
    OPEN = 5,
    OPENED = 6,
    GPADL = 8,
    CREATED = 10,
    CONTACT = 14,
    VERSION = 15,
};

typedef uint8_t page[4096];
static page hypercall_page __attribute__((aligned(4096)));
static page messages __attribute__((aligned(4096)));
static page events __attribute__((aligned(4096)));
static page input __attribute__((aligned(4096)));
static page ring[4] __attribute__((aligned(4096)));

void start_c(void);

static void out8(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static void put(const char *s)
{
    for (; *s; s++)
        out8(COM1, (uint8_t)*s);
}

static void end(const char *verdict)
{
    if (verdict)
        put(verdict);
    put("\r\n");
    out8(EXIT_PORT, 0);
    for (;;)
        __asm__ volatile("hlt");
}

static void want(bool ok, const char *what)
{
    if (ok)
        return;
    put("verdict: failure ");
    put(what);
    end(NULL);
}

static void wrmsr(uint32_t msr, uint32_t high, uint32_t low)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"(low), "d"(high));
}

static uint32_t at32(const volatile uint8_t *p)
{
    return *(const volatile uint32_t *)p;
}

static void put32(uint8_t *p, uint32_t v)
{
    *(volatile uint32_t *)p = v;
}

/* Control in EDX:EAX, the first argument in EBX:ECX, the second in EDI:ESI. */
static uint32_t hypercall(uint32_t control, uint32_t argument)
{
    static uint32_t entry = (uint32_t)hypercall_page;
    uint32_t status = control, high = 0;

    __asm__ volatile("call *%[entry]"
                     : "+a"(status), "+d"(high)
                     : "b"(0), "c"(argument), "D"(0), "S"(0), [entry] "m"(entry)
                     : "memory", "cc");
    return status & 0xffff;
}

/* A message of `n` bytes stands in input + 16. */
static void post(uint32_t n)
{
    put32(input, 1);
    put32(input + 8, 1);
    put32(input + 12, n);
    want(hypercall(POST_MESSAGE, (uint32_t)input) == 0, "a message cannot be posted");
}

static uint8_t *request(uint32_t type)
{
    for (int i = 0; i < 256; i++)
        input[i] = 0;
    put32(input + 16, type);
    return input + 16;
}

/* Waits for the next message and copies it. */
static uint32_t message(uint8_t out[240])
{
    volatile uint8_t *slot = messages + 2 * 256;
    bool more;

    for (uint32_t i = 0; at32(slot) == 0; i++) {
        want(i < SPINS, "no message came");
        __asm__ volatile("pause");
    }
    for (int i = 0; i < 240; i++)
        out[i] = slot[16 + i];
    put32((uint8_t *)slot, 0);
    __asm__ volatile("lock; orl $0, (%%esp)" ::: "memory");
    more = slot[5] & 1;
    if (more)
        wrmsr(MSR_EOM, 0, 0);
    return at32(out);
}

/* The channel of a SCSI controller: its number and the connection that signals it. */
static bool offers(uint32_t *relid, uint32_t *conn)
{
    static const uint8_t scsi[16] = {0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04, 0x29, 0x4d,
                                     0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f};
    uint8_t m[240];
    bool found = false;
    uint32_t type;

    request(REQUESTOFFERS);
    post(8);
    while ((type = message(m)) == OFFER) {
        bool same = true;

        for (int i = 0; i < 16; i++)
            same &= m[8 + i] == scsi[i];
        if (same) {
            *relid = at32(m + 184);
            *conn = at32(m + 192);
            found = true;
        }
    }
    want(type == ALLOFFERS, "the offers do not end");
    return found;
}

static void open(uint32_t relid)
{
    uint8_t m[240], *r = request(GPADL);

    put32(r + 8, relid);
    put32(r + 12, 0x77);
    put32(r + 16, 40 | 1 << 16);
    put32(r + 20, sizeof(ring));
    for (uint32_t i = 0; i < 4; i++)
        put32(r + 28 + 8 * i, (uint32_t)ring[i] >> 12);
    post(60);
    want(message(m) == CREATED && at32(m + 16) == 0, "the rings are refused");
    r = request(OPEN);
    put32(r + 8, relid);
    put32(r + 12, relid);
    put32(r + 16, 0x77);
    put32(r + 24, 2);
    post(148);
    want(message(m) == OPENED && at32(m + 16) == 0, "the channel cannot be opened");
}

/* BEGIN_INITIALIZATION, and its completion. */
static void talk(uint32_t relid, uint32_t conn)
{
    uint8_t *out = ring[1];
    volatile uint8_t *in = ring[3];

    put32(out, 6 | 2 << 16);
    put32(out + 4, 10 | 1 << 16);
    put32(out + 8, 0x1234);
    put32(out + 16, 7);
    put32(out + 20, 1);
    put32(ring[0], 88);
    want(hypercall(SIGNAL_EVENT_FAST, conn) == 0, "the channel cannot be signalled");
    for (uint32_t i = 0; at32(ring[2]) == 0; i++) {
        want(i < SPINS, "no packet came");
        __asm__ volatile("pause");
    }
    want((at32(in) & 0xffff) == 0xb && at32(in + 8) == 0x1234, "another packet came");
    want(at32(in + 16) == 1 && at32(in + 24) == 0, "the controller does not begin");
    want(at32(events + 2 * 256 + relid / 32 * 4) >> relid % 32 & 1, "the event flag is not set");
}

void start_c(void)
{
    uint32_t a = 0x40000000, b, c, d, relid = 0, conn = 0;
    uint8_t m[240], *r;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    want(b == 0x7263694d && c == 0x666f736f && d == 0x76482074, "this is not Hyper-V");
    wrmsr(MSR_GUEST_OS_ID, 0x81000000, 0);
    wrmsr(MSR_HYPERCALL, 0, (uint32_t)hypercall_page | 1);
    wrmsr(MSR_SIMP, 0, (uint32_t)messages | 1);
    wrmsr(MSR_SIEFP, 0, (uint32_t)events | 1);
    wrmsr(MSR_SINT2, 0, 0x40);
    wrmsr(MSR_SCONTROL, 0, 1);
    r = request(CONTACT);
    put32(r + 8, VERSION_4_0);
    put32(r + 24, (uint32_t)input);
    put32(r + 32, (uint32_t)input);
    post(40);
    want(message(m) == VERSION && m[8] == 1, "VMBus 4.0 is refused");
    want(offers(&relid, &conn), "there is no SCSI controller");
    open(relid);
    talk(relid, conn);
    end("verdict: success");
}

__asm__(".section .head, \"ax\"\n"
        ".balign 4\n"
        ".long 0x1badb002, 0, -0x1badb002\n"
        ".globl start\n"
        "start: mov $stack_top, %esp\n"
        "call start_c\n"
        ".section .bss\n"
        ".balign 16\n"
        ".skip 16384\n"
        "stack_top:\n");
