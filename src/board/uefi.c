/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uefi.c - see uefi.h. OvmfPkg's README and flash map of EDK II, QEMU docs/specs/fw_cfg.
 *
 * OVMF comes as two files: the code, which ends at 4 GiB and is read-only, and right below it the
 * variables, which are a flash chip (pflash.c) that a file keeps (varstore.c). Secure Boot is the
 * same code with variables that have keys: Debian builds it so that it checks signatures and needs
 * no SMM, which is not modelled. So a guest's kernel can write to the chip past the firmware.
 *
 * A kernel is handed over as its two parts, setup and the rest; firmware puts them together again
 * and starts the result as an EFI program. That is why it must have an EFI stub.
 */
#define _GNU_SOURCE
#include "board/uefi.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/fw_cfg.h"
#include "abi/linux_boot.h"
#include "board/chipset/chipset.h"
#include "board/varstore.h"
#include "core/err.h"
#include "core/file.h"
#include "core/gmem.h"
#include "core/log.h"

#define UEFI_TOP UINT64_C(0x100000000)

enum { UEFI_CODE_MIN = 64 << 10, UEFI_CODE_MAX = 12 << 20, UEFI_PAGE = 4096 };

/* Where distributions put the pair. */
struct uefi_pair {
    const char *code, *vars;
};
static const struct uefi_pair uefi_known[] = {
    {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
    {"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
    {"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
    {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
};
/* Code that checks signatures and does without SMM, and variables with keys in them. */
static const struct uefi_pair uefi_secure[] = {
    {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"},
};

struct uefi {
    struct gmem *mem;
    uint8_t *code; /* anonymous mapping of size bytes */
    size_t size;
    bool shown;
    struct varstore *vars;
    bool nested_tcg;
};

/* --- files --- */

/* A whole file of [min, max] bytes. what: "the firmware". *out is malloc()ed. */
static int uefi_read(const char *path, const char *what, size_t min, size_t max, uint8_t **out,
                     size_t *size, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *p = NULL;
    struct stat st;
    ssize_t n = 0;
    int rc = 0;

    if (fd < 0 || fstat(fd, &st) < 0)
        rc = err_set(e, errno, "cannot open %s %s: %s", what, path, strerror(errno));
    else if (!S_ISREG(st.st_mode) || st.st_size < (off_t)min || (uint64_t)st.st_size > max)
        rc = err_set(e, EINVAL, "%s %s is no file of %zu to %zu bytes", what, path, min, max);
    else if (!(p = malloc((size_t)st.st_size)))
        rc = err_set(e, ENOMEM, "no memory for %s", what);
    if (rc == 0 && (n = file_read(fd, p, (size_t)st.st_size, 0)) != st.st_size)
        rc = err_set(e, n < 0 ? (int)-n : EIO, "cannot read %s %s: %s", what, path,
                     n < 0 ? strerror((int)-n) : "it is shorter than it was");
    if (fd >= 0)
        close(fd);
    if (rc < 0) {
        free(p);
        return rc;
    }
    *out = p;
    *size = (size_t)n;
    return 0;
}

/* --- flash --- */

static bool uefi_installed(const struct uefi_pair *pair, size_t n, const char **code,
                           const char **vars)
{
    for (size_t i = 0; i < n; i++) {
        if (access(pair[i].code, R_OK) == 0 && access(pair[i].vars, R_OK) == 0) {
            *code = pair[i].code;
            *vars = pair[i].vars;
            return true;
        }
    }
    return false;
}

bool uefi_available(bool secure)
{
    const char *code, *vars;

    return secure ? uefi_installed(uefi_secure, ARRAY_SIZE(uefi_secure), &code, &vars)
                  : uefi_installed(uefi_known, ARRAY_SIZE(uefi_known), &code, &vars);
}

static int uefi_choose(const struct board_uefi *c, const char **code, const char **vars,
                       struct err *e)
{
    *code = c->code;
    *vars = c->vars;
    if ((c->code || c->vars) && c->secure)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "secure chooses the firmware's code and variables itself: leave code= and "
                        "vars= out, or give variables that have keys and no secure");
    if (c->code && c->vars)
        return 0;
    if (c->code || c->vars)
        return err_exit(
            e, EX_USAGE_, EINVAL,
            "the firmware's code and variables belong together: give both code=FILE and "
            "vars=FILE");
    if (c->secure && !uefi_installed(uefi_secure, ARRAY_SIZE(uefi_secure), code, vars))
        return err_exit(e, EX_MISSING, ENOENT,
                        "there is no UEFI firmware with Secure Boot (%s and %s): install Debian's "
                        "package ovmf, or start without it by --firmware uefi,secure=off",
                        uefi_secure[0].code, uefi_secure[0].vars);
    if (c->secure || uefi_installed(uefi_known, ARRAY_SIZE(uefi_known), code, vars))
        return 0;
    return err_exit(e, EX_MISSING, ENOENT,
                    "there is no UEFI firmware in /usr/share: install the package ovmf, or use "
                    "--firmware bios");
}

static int uefi_code(struct uefi *u, const char *path, struct err *e)
{
    uint8_t *bytes;
    int rc = uefi_read(path, "the firmware", UEFI_CODE_MIN, UEFI_CODE_MAX, &bytes, &u->size, e);

    if (rc < 0)
        return rc;
    if (u->size % UEFI_PAGE || memcmp(bytes + 0x28, "_FVH", 4) != 0) {
        free(bytes);
        return err_set(e, EINVAL, "%s is no UEFI firmware: install the package ovmf anew", path);
    }
    u->code = mmap(NULL, u->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (u->code == MAP_FAILED) {
        u->code = NULL;
        free(bytes);
        return err_set(e, ENOMEM, "no memory for the firmware");
    }
    memcpy(u->code, bytes, u->size);
    free(bytes);
    rc = gmem_add(u->mem, UEFI_TOP - u->size, u->size, u->code, GMEM_ROM, e);
    u->shown = rc == 0;
    return rc;
}

static bool uefi_write(void *arg, size_t off, const uint8_t *p, size_t n)
{
    return varstore_write(((struct uefi *)arg)->vars, off, p, n);
}

static int uefi_flash(struct uefi *u, struct board *b, const struct env *env, struct err *e)
{
    struct pflash_cfg c = {.write = uefi_write, .arg = u};
    struct env mine = *env;
    struct device *d;
    int rc;

    c.bytes = varstore_bytes(u->vars, &c.size);
    c.base = UEFI_TOP - u->size - c.size;
    mine.id = "nvram";
    rc = pflash_create(&mine, &c, &d, e);
    if (rc == 0)
        board_add(b, d);
    return rc;
}

/* --- a kernel --- */

static int uefi_give(struct device *fwcfg, unsigned size_key, unsigned data_key, const void *p,
                     size_t n, struct err *e)
{
    le32 size = le32_of((uint32_t)n);
    int rc = fwcfg_set(fwcfg, (uint16_t)size_key, &size, sizeof(size), e);

    return rc < 0 ? rc : fwcfg_set(fwcfg, (uint16_t)data_key, p, n, e);
}

static int uefi_kernel(struct device *fwcfg, const char *path, struct err *e)
{
    const size_t head = sizeof(struct linux_setup_header) + LINUX_HEADER_AT;
    const struct linux_setup_header *h;
    size_t size, setup;
    uint8_t *p;
    int rc = uefi_read(path, "the kernel", head, 512 * MiB, &p, &size, e);

    if (rc < 0)
        return rc;
    h = (const struct linux_setup_header *)(p + LINUX_HEADER_AT);
    setup = ((h->setup_sects ? h->setup_sects : 4) + (size_t)1) * 512;
    if (memcmp(p, "MZ", 2) != 0 || le32_get(h->header) != LINUX_HEADER_MAGIC || setup >= size)
        rc = err_set(e, EINVAL,
                     "%s is no Linux kernel with an EFI stub: start it without --firmware", path);
    if (rc == 0)
        rc = uefi_give(fwcfg, FW_CFG_SETUP_SIZE, FW_CFG_SETUP_DATA, p, setup, e);
    if (rc == 0)
        rc = uefi_give(fwcfg, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA, p + setup, size - setup, e);
    free(p);
    return rc;
}

static int uefi_start(const struct board_uefi *c, struct device *fwcfg, struct err *e)
{
    const char *line = c->append ? c->append : "";
    uint8_t *p = NULL;
    size_t size;
    int rc;

    if (!c->kernel)
        return 0;
    rc = uefi_kernel(fwcfg, c->kernel, e);
    if (rc == 0)
        rc = uefi_give(fwcfg, FW_CFG_CMDLINE_SIZE, FW_CFG_CMDLINE_DATA, line, strlen(line) + 1, e);
    if (rc < 0 || !c->initrd)
        return rc;
    rc = uefi_read(c->initrd, "the initrd", 1, UINT32_MAX / 2, &p, &size, e);
    if (rc == 0)
        rc = uefi_give(fwcfg, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA, p, size, e);
    free(p);
    return rc;
}

/* --- life --- */

int uefi_create(struct board *b, const struct env *env, const struct board_uefi *c,
                struct device *fwcfg, struct uefi **out, struct err *e)
{
    struct uefi *u = calloc(1, sizeof(*u));
    const char *code, *vars;
    int rc;

    if (!u)
        return err_set(e, ENOMEM, "no memory for the firmware");
    u->mem = env->mem;
    u->nested_tcg = c->nested_tcg;
    rc = uefi_choose(c, &code, &vars, e);
    if (rc == 0)
        rc = uefi_code(u, code, e);
    if (rc == 0)
        rc = varstore_open(c->nvram, vars, &u->vars, e);
    if (rc == 0)
        rc = uefi_flash(u, b, env, e);
    if (rc == 0)
        rc = uefi_start(c, fwcfg, e);
    *out = u; /* also on failure: the flash on the board uses it */
    return rc;
}

void uefi_destroy(struct uefi *u)
{
    if (!u)
        return;
    if (u->shown)
        gmem_remove(u->mem, UEFI_TOP - u->size);
    if (u->code)
        munmap(u->code, u->size);
    varstore_close(u->vars);
    free(u);
}

const uint8_t *uefi_image(const struct uefi *u, size_t *size)
{
    *size = u->size;
    return u->code;
}

/* Where it unpacks itself to (FvMainCompact, OvmfPkg). */
enum { UEFI_UNPACKED = 8 << 20, UEFI_UNPACKED_END = 64 << 20 };

void uefi_tame(struct uefi *u)
{
    /* pop %rax; mov %rax,%cr4; pop %rax; mov %rax,%cr8 */
    static const uint8_t code[] = {0x58, 0x0f, 0x22, 0xe0, 0x58, 0x44, 0x0f, 0x22, 0xc0};
    static const uint8_t nop[] = {0x0f, 0x1f, 0x40, 0x00};
    const size_t all = UEFI_UNPACKED_END - UEFI_UNPACKED;
    const uint8_t *p = u->nested_tcg ? gmem_shared(u->mem, UEFI_UNPACKED, all) : NULL, *at = p;
    unsigned n = 0;

    while (at && (at = memmem(at, all - (size_t)(at - p), code, sizeof(code)))) {
        gpa_t where = UEFI_UNPACKED + (gpa_t)(at - p) + sizeof(code) - sizeof(nop);

        n += gmem_write(u->mem, where, nop, sizeof(nop)) == 0;
        at += sizeof(code);
    }
    if (p)
        log_line(LOG_INFO, "firmware", "%u writes of CR8 taken out, because of QEMU's TCG", n);
}
