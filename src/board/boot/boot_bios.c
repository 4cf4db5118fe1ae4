/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_bios.c - the traces of a BIOS that kernels look for which were written for BIOS machines.
 *
 * The BIOS data area says how much conventional memory there is and where the extended one lies
 * (Xen puts its trampoline below that). Every interrupt of real mode leads to a routine that sets
 * the carry flag and returns, which is how a BIOS says that it does not know a call: kernels that
 * drop to real mode to ask for memory, disks or screens then take what they were handed instead.
 */
#include <string.h>

#include "abi/bytes.h"
#include "board/boot/boot_priv.h"
#include "core/err.h"

enum {
    BIOS_VECTORS = 256,
    BIOS_REFUSE = 0x500, /* the first byte behind the BIOS data area */
    BDA_EBDA_SEGMENT = 0x40e,
    BDA_BASE_MEMORY = 0x413, /* KiB */
    BIOS_EBDA_SEGMENT = 0x9fc0,
    BIOS_BASE_KIB = 639,
};

/* push bp; mov bp, sp; or word [bp + 6], 1; pop bp; iret */
static const uint8_t bios_refuse[] = {0x55, 0x89, 0xe5, 0x83, 0x4e, 0x06, 0x01, 0x5d, 0xcf};

int boot_load_bios(const struct boot_env *env, struct err *e)
{
    le32 vector[BIOS_VECTORS];
    le16 ebda = le16_of(BIOS_EBDA_SEGMENT), base = le16_of(BIOS_BASE_KIB);
    int rc;

    for (size_t i = 0; i < BIOS_VECTORS; i++)
        vector[i] = le32_of(BIOS_REFUSE); /* segment 0 */
    rc = boot_put(env, 0, vector, sizeof(vector), e);
    if (rc == 0)
        rc = boot_put(env, BIOS_REFUSE, bios_refuse, sizeof(bios_refuse), e);
    if (rc == 0)
        rc = boot_put(env, BDA_EBDA_SEGMENT, &ebda, sizeof(ebda), e);
    return rc < 0 ? rc : boot_put(env, BDA_BASE_MEMORY, &base, sizeof(base), e);
}
