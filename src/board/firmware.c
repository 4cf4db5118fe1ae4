/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firmware.c - see firmware.h. SeaBIOS (docs/Runtime_config and docs/Memory_Model of its sources)
 * as QEMU starts it; for UEFI see uefi.c, which is told the same by the same device.
 *
 * The image ends at 4 GiB, where the first processor starts, and its last 128 KiB are seen below
 * 1 MiB too, until it makes that RAM (shadow.c). Under Xen it starts as RAM. The board's ACPI
 * tables lie at the top of low memory and never move: firmware is told to put the root pointer
 * where guests look for it, and nothing else. It builds MP tables and the PCI interrupt routing
 * table itself, from the interrupt lines that it gives out.
 */
#include "board/firmware.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/acpi.h"
#include "abi/fw_cfg.h"
#include "abi/smbios.h"
#include "abi/xen_seabios.h"
#include "board/chipset/chipset.h"
#include "board/layout.h"
#include "board/loader.h"
#include "board/pci.h"
#include "board/uefi.h"
#include "core/err.h"
#include "core/file.h"
#include "core/gmem.h"

enum { FIRMWARE_MIN = 64 << 10, FIRMWARE_MAX = 8 << 20, FIRMWARE_RANGES = 16 };
enum { CMOS_BOOT_1 = 0x38, CMOS_BOOT_2 = 0x3d, CMOS_BOOTS = 3 };
#define FIRMWARE_TOP UINT64_C(0x100000000)
#define FIRMWARE_SHADOW UINT64_C(0x40000) /* bytes of it that Xen has below 1 MiB */

struct firmware {
    struct gmem *mem;
    bool xen;             /* it is told by a structure in memory, not by fw_cfg */
    unsigned menu_ms;     /* as in board_cfg */
    struct device *fwcfg; /* the board's */
    uint8_t *image;       /* anonymous mapping of size bytes */
    size_t size;
    struct uefi *uefi; /* NULL: a BIOS, and the image is above */
};

/* --- the image --- */

static int firmware_read(struct firmware *fw, int fd, const char *path, struct err *e)
{
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        return err_set(e, errno, "cannot read the firmware %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size < FIRMWARE_MIN || st.st_size > FIRMWARE_MAX ||
        st.st_size % FIRMWARE_MIN)
        return err_set(e, EINVAL,
                       "%s is no BIOS image, which has 64 KiB to 8 MiB: install SeaBIOS anew",
                       path);
    fw->size = (size_t)st.st_size;
    fw->image = mmap(NULL, fw->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fw->image == MAP_FAILED) {
        fw->image = NULL;
        return err_set(e, ENOMEM, "no memory for the firmware");
    }
    n = file_read(fd, fw->image, fw->size, 0);
    if (n != (ssize_t)fw->size)
        return err_set(e, n < 0 ? (int)-n : EIO, "cannot read the firmware %s: %s", path,
                       n < 0 ? strerror((int)-n) : "it is shorter than it was");
    return 0;
}

static int firmware_load(struct firmware *fw, const char *path, struct err *e)
{
    static const char *const known[] = {"/usr/share/seabios/bios-256k.bin",
                                        "/usr/share/qemu/bios-256k.bin",
                                        "/usr/share/seabios/bios.bin", "/usr/share/qemu/bios.bin"};
    int fd = -1, rc;

    for (size_t i = 0; i < ARRAY_SIZE(known) && !path; i++) {
        fd = open(known[i], O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            path = known[i];
    }
    if (!path)
        return err_exit(e, EX_MISSING, ENOENT,
                        "there is no SeaBIOS in /usr/share to start a disk with: install the "
                        "package seabios, or give --kernel");
    if (fd < 0)
        fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "cannot open the firmware %s: %s", path, strerror(errno));
    rc = firmware_read(fw, fd, path, e);
    close(fd);
    return rc;
}

static int firmware_bios(struct firmware *fw, const char *path, struct err *e)
{
    int rc = firmware_load(fw, path, e);

    return rc < 0 ? rc
                  : gmem_add(fw->mem, FIRMWARE_TOP - fw->size, fw->size, fw->image, GMEM_ROM, e);
}

int firmware_create(struct board *b, const struct env *env, const struct board_cfg *c,
                    struct firmware **out, struct err *e)
{
    struct firmware *fw = calloc(1, sizeof(*fw));
    int rc;

    if (!fw)
        return err_set(e, ENOMEM, "no memory for the firmware");
    fw->mem = env->mem;
    fw->xen = c->xen_firmware;
    fw->menu_ms = c->menu_ms;
    *out = fw;
    rc = fwcfg_create(env, &fw->fwcfg, e);
    if (rc < 0)
        return rc;
    board_add(b, fw->fwcfg);
    return c->uefi ? uefi_create(b, env, c->uefi, fw->fwcfg, &fw->uefi, e)
                   : firmware_bios(fw, c->bios, e);
}

void firmware_destroy(struct firmware *fw)
{
    if (!fw)
        return;
    if (fw->image) {
        gmem_remove(fw->mem, FIRMWARE_TOP - fw->size);
        munmap(fw->image, fw->size);
    }
    uefi_destroy(fw->uefi);
    free(fw);
}

const uint8_t *firmware_image(const struct firmware *fw, size_t *size)
{
    if (fw->uefi)
        return uefi_image(fw->uefi, size);
    *size = fw->size;
    return fw->image;
}

bool firmware_uefi(const struct firmware *fw)
{
    return fw->uefi != NULL;
}

void firmware_cmos(struct device *rtc, bool floppy, const struct board_boot *order, size_t n)
{
    static const enum board_boot_kind usual[] = {BOARD_BOOT_FLOPPY, BOARD_BOOT_DISK,
                                                 BOARD_BOOT_CDROM};
    uint8_t kind[CMOS_BOOTS] = {0};
    size_t have = 0;

    for (size_t i = 0; i < n + ARRAY_SIZE(usual) && have < CMOS_BOOTS; i++) {
        uint8_t k = (uint8_t)(i < n ? order[i].kind : usual[i - n]);

        if (!memchr(kind, k, have) && (k != BOARD_BOOT_FLOPPY || floppy))
            kind[have++] = k;
    }
    /* Three half bytes, the third one in another place. Bit 0 there is clear: a floppy whose first
     * sector does not end in 55 aa is not started. */
    rtc_cmos_set(rtc, CMOS_BOOT_1, (uint8_t)(kind[2] << 4));
    rtc_cmos_set(rtc, CMOS_BOOT_2, (uint8_t)(kind[1] << 4 | kind[0]));
}

int firmware_order(struct firmware *fw, struct pci_bus *pci, const struct board_boot *order,
                   size_t n, struct err *e)
{
    const char *id[BOARD_BOOTS];
    char *text;
    int rc = 0;

    for (size_t i = 0; i < n; i++)
        id[i] = order[i].id;
    text = pci_boot_order(pci, id, n);
    if (!text)
        return err_set(e, ENOMEM, "no memory for the boot order");
    if (*text)
        rc = fwcfg_set_file(fw->fwcfg, "bootorder", text, strlen(text) + 1, e);
    free(text);
    return rc;
}

/* --- fw_cfg --- */

static int firmware_tell_memory(struct firmware *fw, const struct board *b, struct err *e)
{
    struct board_range range[FIRMWARE_RANGES];
    struct fw_cfg_e820 map[FIRMWARE_RANGES];
    size_t n = board_ranges(b, range, ARRAY_SIZE(range));

    for (size_t i = 0; i < n; i++)
        map[i] = (struct fw_cfg_e820){le64_of(range[i].base), le64_of(range[i].size),
                                      le32_of(range[i].type)};
    return fwcfg_set_file(fw->fwcfg, "etc/e820", map, n * sizeof(map[0]), e);
}

static int firmware_tell_numbers(struct firmware *fw, const struct tables_cfg *c, struct err *e)
{
    const struct {
        uint16_t key;
        uint64_t v;
        size_t size;
    } item[] = {
        {FW_CFG_RAM_SIZE, c->memory, 8}, {FW_CFG_NB_CPUS, c->cpus, 2},
        {FW_CFG_MAX_CPUS, c->cpus, 2},   {FW_CFG_BOOT_MENU, fw->menu_ms != 0, 2},
        {FW_CFG_IRQ0_OVERRIDE, 1, 1},
    };
    const struct {
        const char *name;
        uint64_t v;
        size_t size;
    } file[] = {
        {"etc/sercon-port", 0x3f8, 2},               /* the screen is a terminal on COM1 */
        {"etc/show-boot-menu", fw->menu_ms != 0, 1}, /* else it starts without a pause for keys */
        {"etc/boot-fail-wait", UINT32_MAX, 4},       /* nothing boots: say so and stay */
        {"etc/boot-menu-wait", fw->menu_ms, 2},      /* the last: there with a menu alone */
    };
    size_t files = fw->menu_ms ? ARRAY_SIZE(file) : ARRAY_SIZE(file) - 1;
    int rc = fwcfg_set(fw->fwcfg, FW_CFG_UUID, c->uuid, sizeof(c->uuid), e);
    uint8_t v[8];

    for (size_t i = 0; i < ARRAY_SIZE(item) && rc == 0; i++) {
        le64_put(v, item[i].v);
        rc = fwcfg_set(fw->fwcfg, item[i].key, v, item[i].size, e);
    }
    for (size_t i = 0; i < files && rc == 0; i++) {
        le64_put(v, file[i].v);
        rc = fwcfg_set_file(fw->fwcfg, file[i].name, v, file[i].size, e);
    }
    return rc;
}

static int firmware_tell_acpi(struct firmware *fw, struct tables *t, gpa_t rsdp, struct err *e)
{
    struct fw_cfg_allocate a = {.command = le32_of(LOADER_ALLOCATE),
                                .file = "etc/acpi/rsdp",
                                .align = le32_of(16),
                                .zone = LOADER_ZONE_FSEG};
    int rc =
        fwcfg_set_file(fw->fwcfg, "etc/acpi/rsdp", tables_at(t, rsdp), sizeof(struct acpi_rsdp), e);

    return rc < 0 ? rc : fwcfg_set_file(fw->fwcfg, "etc/table-loader", &a, sizeof(a), e);
}

void firmware_awake(struct firmware *fw)
{
    uefi_tame(fw->uefi);
}

void firmware_on_tables(struct firmware *fw, void (*told)(void *arg), void *arg)
{
    fwcfg_on_directory(fw->fwcfg, told, arg);
}

int firmware_acpi(struct firmware *fw, struct tables *t, gpa_t rsdp, struct err *e)
{
    struct loader l;
    int rc = loader_build(&l, t, rsdp, e);
    const struct {
        const char *name;
        const struct loader_file *f;
    } file[] = {{LOADER_FILE_TABLES, &l.tables},
                {LOADER_FILE_RSDP, &l.rsdp},
                {LOADER_FILE_SCRIPT, &l.script}};

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < ARRAY_SIZE(file) && rc == 0; i++)
        rc = fwcfg_set_file(fw->fwcfg, file[i].name, file[i].f->bytes, file[i].f->len, e);
    loader_free(&l);
    return rc;
}

static int firmware_tell_smbios(struct firmware *fw, struct tables *t, gpa_t entry, struct err *e)
{
    const struct smbios_entry21 *s = tables_at(t, entry);
    int rc = fwcfg_set_file(fw->fwcfg, "etc/smbios/smbios-anchor", s, sizeof(*s), e);

    return rc < 0 ? rc
                  : fwcfg_set_file(fw->fwcfg, "etc/smbios/smbios-tables",
                                   tables_at(t, le32_get(s->table_address)),
                                   le16_get(s->table_length), e);
}

/* --- Xen's way --- */

/* The structure that SeaBIOS looks for when it sees Xen; it takes copies of all that it names. */
static int firmware_tell_xen(struct firmware *fw, const struct board *b,
                             const struct firmware_roots *r, struct err *e)
{
    struct {
        struct xen_seabios_info info;
        le32 table[3];
        struct xen_e820 e820[FIRMWARE_RANGES];
    } say = {.info = {.signature = "XenHVMSeaBIOS", .length = sizeof(say.info)},
             .table = {le32_of((uint32_t)r->rsdp), le32_of((uint32_t)r->smbios),
                       le32_of((uint32_t)r->mp)}};
    struct board_range range[FIRMWARE_RANGES];
    size_t n = board_ranges(b, range, ARRAY_SIZE(range));

    for (size_t i = 0; i < n; i++)
        say.e820[i] = (struct xen_e820){le64_of(range[i].base), le64_of(range[i].size),
                                        le32_of(range[i].type)};
    say.info.tables = le32_of(XEN_SEABIOS_INFO + offsetof(__typeof__(say), table));
    say.info.tables_nr = le32_of(ARRAY_SIZE(say.table));
    say.info.e820 = le32_of(XEN_SEABIOS_INFO + offsetof(__typeof__(say), e820));
    say.info.e820_nr = le32_of((uint32_t)n);
    say.info.checksum =
        tables_checksum(&say.info, sizeof(say.info), offsetof(struct xen_seabios_info, checksum));
    if (gmem_write(fw->mem, XEN_SEABIOS_INFO, &say, sizeof(say)) < 0)
        return err_set(e, EINVAL, "the guest has no memory for its firmware's information");
    return 0;
}

int firmware_place(struct firmware *fw, struct board *b, const struct tables_cfg *c,
                   struct tables *t, const struct firmware_roots *r, struct err *e)
{
    size_t n = (size_t)min_u64(fw->size, FIRMWARE_SHADOW);
    int rc = firmware_tell_memory(fw, b, e);

    if (rc == 0)
        rc = firmware_tell_numbers(fw, c, e);
    if (rc == 0)
        rc = fw->uefi ? firmware_acpi(fw, t, r->rsdp, e) : firmware_tell_acpi(fw, t, r->rsdp, e);
    if (rc == 0)
        rc = firmware_tell_smbios(fw, t, r->smbios, e);
    if (rc == 0 && fw->xen)
        rc = firmware_tell_xen(fw, b, r, e);
    /* Elsewhere it copies itself out of what PAM shows. */
    if (rc == 0 && fw->xen &&
        gmem_write(fw->mem, LAYOUT_ROM_END - n, fw->image + fw->size - n, n) < 0)
        rc = err_set(e, EINVAL, "the guest has no memory for its firmware: give it at least 4 MiB");
    return rc;
}
