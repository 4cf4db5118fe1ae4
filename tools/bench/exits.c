/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exits.c - a guest with no operating system that times the ways out of it.
 *
 * A 32-bit flat ELF, entered in protected mode without paging by the multiboot 1 or the PVH
 * protocol; nothing that either hands over is used. Each row is the least of several rounds, in
 * time stamp ticks for one operation; on the exact meter a tick is an instruction. Rows go to COM1
 * as "@@ val NAME TICKS", "@@ done" closes them, and whoever started the machine ends it.
 */
#include <stdint.h>

enum {
    COM1 = 0x3f8,
    COM1_LSR = COM1 + 5,
    COM1_SCR = COM1 + 7,
    LSR_THRE = 0x20,
    PORT_NOBODY = 0x300,
    ROUNDS = 8,
    LOOPS = 200,
};

/* No device of any of the compared machines answers here. */
#define MMIO_NOBODY ((volatile uint32_t *)0xfe700000)

void start_c(void);

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t ticks(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}

static void put(const char *s)
{
    for (; *s; s++) {
        while (!(in8(COM1_LSR) & LSR_THRE))
            ;
        out8(COM1, (uint8_t)*s);
    }
}

static void put_number(uint32_t n)
{
    char digits[11];
    char *p = digits + sizeof(digits) - 1;

    *p = 0;
    do {
        *--p = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    put(p);
}

static void op_nothing(void)
{
    __asm__ volatile("");
}

static void op_cpuid(void)
{
    uint32_t a = 0, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
}

static void op_pio_in(void)
{
    in8(PORT_NOBODY);
}

static void op_pio_out(void)
{
    out8(PORT_NOBODY, 0);
}

static void op_uart_lsr(void)
{
    in8(COM1_LSR);
}

static void op_uart_scr(void)
{
    out8(COM1_SCR, 0x55);
}

static void op_mmio_read(void)
{
    (void)*MMIO_NOBODY;
}

static void op_mmio_write(void)
{
    *MMIO_NOBODY = 0;
}

static uint32_t measure(void (*op)(void))
{
    uint32_t best = ~0u;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t from = ticks();
        uint32_t took;

        for (int i = 0; i < LOOPS; i++)
            op();
        took = (uint32_t)(ticks() - from) / LOOPS;
        if (took < best)
            best = took;
    }
    return best;
}

void start_c(void)
{
    static const struct {
        const char *name;
        void (*op)(void);
    } rows[] = {
        {"nothing", op_nothing},     {"cpuid", op_cpuid},           {"pio_in", op_pio_in},
        {"pio_out", op_pio_out},     {"uart_lsr", op_uart_lsr},     {"uart_scr", op_uart_scr},
        {"mmio_read", op_mmio_read}, {"mmio_write", op_mmio_write},
    };

    put("@@ up\n");
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t best = measure(rows[i].op);

        put("@@ val ");
        put(rows[i].name);
        put(" ");
        put_number(best);
        put("\n");
    }
    put("@@ done\n");
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* The multiboot 1 header (magic, flags, checksum) and the ELF note XEN_ELFNOTE_PHYS32_ENTRY. */
__asm__(".section .head, \"ax\"\n"
        ".balign 4\n"
        ".long 0x1badb002, 0, -0x1badb002\n"
        ".globl start\n"
        "start:\n"
        "cli\n"
        "mov $stack_top, %esp\n"
        "call start_c\n"
        ".section .note.pvh, \"a\", @note\n"
        ".balign 4\n"
        ".long 4, 4, 18\n"
        ".asciz \"Xen\"\n"
        ".long start\n"
        ".section .bss\n"
        ".balign 16\n"
        ".skip 4096\n"
        "stack_top:\n"
        ".text\n");
