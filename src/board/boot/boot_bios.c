/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_bios.c - the traces of a BIOS that kernels look for which were written for BIOS machines, as
 * the Multiboot Specification 0.6.96, 3.2 has it: what it does not name is left in normal working
 * order, as initialized by the BIOS.
 *
 * The BIOS data area says how much conventional memory there is and where the extended one lies
 * (Xen puts its trampoline below that). Every interrupt of real mode leads to a routine that sets
 * the carry flag and returns, which is how a BIOS says that it does not know a call: kernels that
 * drop to real mode to ask for memory, disks or screens then take what they were handed instead.
 * The interrupt controllers have a BIOS's vectors and know which lines are shared, and the timer
 * ticks 18.2 times a second, counted in the BIOS data area; all other lines are masked.
 *
 * Not modelled: any call, disks and keyboards in the data area.
 */
#include <string.h>

#include "abi/bytes.h"
#include "board/boot/boot_priv.h"
#include "core/err.h"

enum {
    BIOS_VECTORS = 256,
    BIOS_MASTER = 0x08, /* vector of line 0 */
    BIOS_SLAVE = 0x70,  /* vector of line 8 */
    BIOS_LINES = 8,
    /* Routines, from the first byte behind the BIOS data area to BOOT_IMAGE_LOW. */
    BIOS_REFUSE = 0x500,
    BIOS_TICK = 0x510,
    BIOS_MASTER_END = 0x530,
    BIOS_SLAVE_END = 0x538,
    BIOS_FIRST = 0x550,
};

/* Words of the BIOS data area. */
static const struct {
    uint16_t at, value;
} bios_data[] = {
    {0x400, 0x3f8},                          /* COM1 */
    {0x40e, LAYOUT_EBDA >> 4},               /* segment of the extended data area */
    {0x410, 0x226},                          /* coprocessor, mouse, 80 by 25, one COM */
    {0x413, BOOT_LOWER_KIB},                 /* KiB of conventional memory */
    {0x448, 0x0300},                         /* 0x449: the video mode */
    {0x44a, BOOT_TEXT_COLUMNS},              /* columns */
    {0x44c, 0x1000},                         /* bytes of a page of text */
    {0x463, 0x3d4},                          /* port of the CRTC */
    {0x484, 16 << 8 | (BOOT_TEXT_ROWS - 1)}, /* the last row; lines of a character */
};

/* push bp; mov bp, sp; or word [bp + 6], 1; pop bp; iret */
static const uint8_t bios_refuse[] = {0x55, 0x89, 0xe5, 0x83, 0x4e, 0x06, 0x01, 0x5d, 0xcf};
/* push ax; push ds; xor ax, ax; mov ds, ax; inc dword [0x46c]; pop ds; mov al, 0x20; out 0x20, al;
 * pop ax; iret */
static const uint8_t bios_tick[] = {0x50, 0x1e, 0x31, 0xc0, 0x8e, 0xd8, 0x66, 0xff, 0x06,
                                    0x6c, 0x04, 0x1f, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf};
/* push ax; mov al, 0x20; out 0x20, al; pop ax; iret */
static const uint8_t bios_master_end[] = {0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf};
/* push ax; mov al, 0x20; out 0xa0, al; out 0x20, al; pop ax; iret */
static const uint8_t bios_slave_end[] = {0x50, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0x58, 0xcf};

/* What a BIOS writes to the interrupt controllers (8259A, ICW1 to ICW4 and masks: the timer and the
 * second controller are let through) and to the timer (8254: channel 0, mode 2, 65536). */
static const struct {
    uint8_t port, value;
} bios_out[] = {
    {0x20, 0x11}, {0xa0, 0x11}, {0x21, BIOS_MASTER}, {0xa1, BIOS_SLAVE}, {0x21, 0x04},
    {0xa1, 0x02}, {0x21, 0x01}, {0xa1, 0x01},        {0x21, 0xfa},       {0xa1, 0xff},
    {0x43, 0x34}, {0x40, 0x00}, {0x40, 0x00},
};

/* mov dx, 0x4d1; mov al, 0x0e; out dx, al: lines 9 to 11 are those of ACPI and of PCI, and go by
 * their level (82371SB, ELCR2). */
static const uint8_t bios_levels[] = {0x66, 0xba, 0xd1, 0x04, 0xb0, 0x0e, 0xee};

static int bios_vectors(const struct boot_env *env, struct err *e)
{
    le32 vector[BIOS_VECTORS]; /* segment 0 */

    for (size_t i = 0; i < BIOS_VECTORS; i++)
        vector[i] = le32_of(BIOS_REFUSE);
    for (size_t i = 0; i < BIOS_LINES; i++) {
        vector[BIOS_MASTER + i] = le32_of(i == 0 ? BIOS_TICK : BIOS_MASTER_END);
        vector[BIOS_SLAVE + i] = le32_of(BIOS_SLAVE_END);
    }
    return boot_put(env, 0, vector, sizeof(vector), e);
}

static int bios_routines(const struct boot_env *env, struct err *e)
{
    int rc = boot_put(env, BIOS_REFUSE, bios_refuse, sizeof(bios_refuse), e);

    if (rc == 0)
        rc = boot_put(env, BIOS_TICK, bios_tick, sizeof(bios_tick), e);
    if (rc == 0)
        rc = boot_put(env, BIOS_MASTER_END, bios_master_end, sizeof(bios_master_end), e);
    return rc < 0 ? rc : boot_put(env, BIOS_SLAVE_END, bios_slave_end, sizeof(bios_slave_end), e);
}

/* 32-bit: mov al, value; out port, al for each; then the kernel, with its magic number in eax. */
static int bios_first(const struct boot_env *env, struct boot_start *out, struct err *e)
{
    uint8_t code[BOOT_IMAGE_LOW - BIOS_FIRST];
    size_t n = 0;

    _Static_assert(ARRAY_SIZE(bios_out) * 4 + sizeof(bios_levels) + 12 <= sizeof(code),
                   "it fits below the lowest image");
    for (size_t i = 0; i < ARRAY_SIZE(bios_out); i++) {
        memcpy(code + n, (const uint8_t[]){0xb0, bios_out[i].value, 0xe6, bios_out[i].port}, 4);
        n += 4;
    }
    memcpy(code + n, bios_levels, sizeof(bios_levels));
    n += sizeof(bios_levels);
    code[n++] = 0xb8; /* mov eax, imm32 */
    le32_put(code + n, (uint32_t)out->rax);
    n += 4;
    code[n++] = 0xb9; /* mov ecx, imm32 */
    le32_put(code + n, (uint32_t)out->rip);
    n += 4;
    code[n++] = 0xff; /* jmp ecx */
    code[n++] = 0xe1;
    out->first = BIOS_FIRST;
    return boot_put(env, BIOS_FIRST, code, n, e);
}

int boot_load_bios(const struct boot_env *env, struct boot_start *out, struct err *e)
{
    int rc = bios_vectors(env, e);

    if (rc == 0)
        rc = bios_routines(env, e);
    if (rc == 0)
        rc = bios_first(env, out, e);
    for (size_t i = 0; i < ARRAY_SIZE(bios_data) && rc == 0; i++) {
        le16 word = le16_of(bios_data[i].value);

        rc = boot_put(env, bios_data[i].at, &word, sizeof(word), e);
    }
    return rc;
}
