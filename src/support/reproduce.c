/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reproduce.c - see reproduce.h.
 *
 * Document: qemu-system-x86_64(1) of QEMU 7.2. Not told: PCI places, firmware's own variables, the
 * order of starting.
 */
#include "support/reproduce.h"

#include <string.h>

#include "core/ids.h"
#include "machine/plan.h"

enum { IDE_DISKS = 4 };

/* In quotes for a shell; twice: a character that is doubled for the program, or 0. */
static void quoted_for(FILE *out, const char *text, char twice)
{
    fprintf(out, "%c", '\'');
    for (; *text; text++) {
        if (*text == '\'')
            fprintf(out, "'\\''");
        else
            fprintf(out, "%c", *text);
        if (twice && *text == twice)
            fprintf(out, "%c", *text);
    }
    fprintf(out, "%c", '\'');
}

static void option(FILE *out, const char *name, const char *value)
{
    if (!value)
        return;
    fprintf(out, " %s ", name);
    quoted_for(out, value, 0);
}

static void put_mac(FILE *out, const struct plan_nic *n)
{
    if (n->mac_said)
        fprintf(out, ",mac=" MAC_FMT, MAC_ARGS(n->mac));
}

void reproduce_bare(FILE *out, const struct plan *p)
{
    fprintf(out, "hospes run --persona bare --cpus %u --memory %lluM", p->cpus,
            (unsigned long long)(p->memory / MiB));
    if (plan_q35(p))
        fprintf(out, " --machine q35");
    if (plan_uefi(p))
        fprintf(out, " --firmware uefi");
    option(out, "--kernel", p->kernel);
    option(out, "--initrd", p->initrd);
    option(out, "--append", p->append);
    for (size_t i = 0; i < p->disks; i++) {
        const struct plan_disk *d = &p->disk[i];

        fprintf(out, "%s", plan_floppy(d) ? " --floppy " : d->cdrom ? " --cdrom " : " --disk ");
        quoted_for(out, d->path ? d->path : "none", ',');
        if (plan_floppy(d) || d->cdrom)
            continue;
        if (d->format)
            fprintf(out, ",format=%s", d->format);
        fprintf(out, ",snapshot");
    }
    for (size_t i = 0; i < p->nics; i++) {
        fprintf(out, " --nic user");
        put_mac(out, &p->nic[i]);
    }
    if (p->nics_said && !p->nics)
        fprintf(out, " --nic none");
    fprintf(out, "%c", '\n');
}

/* IDE takes four; more hang on an AHCI controller. */
static void qemu_disk(FILE *out, const struct plan *p, const struct plan_disk *d, unsigned n)
{
    const char *format = d->format && strcmp(d->format, "vhd") == 0 ? "vpc" : d->format;
    bool ahci = n >= IDE_DISKS && !plan_floppy(d) && !plan_q35(p);

    if (ahci && n == IDE_DISKS)
        fprintf(out, " -device ahci,id=more");
    fprintf(out, " -drive if=%s,snapshot=on", ahci ? "none" : plan_floppy(d) ? "floppy" : "ide");
    if (ahci)
        fprintf(out, ",id=d%u", n);
    if (!plan_floppy(d))
        fprintf(out, ",media=%s", d->cdrom ? "cdrom" : "disk");
    if (d->path && (format || d->cdrom || plan_floppy(d)))
        fprintf(out, ",format=%s", format ? format : "raw");
    if (d->path) { /* else an empty drive */
        fprintf(out, ",file=");
        quoted_for(out, d->path, ',');
    }
    if (ahci)
        fprintf(out, " -device ide-%s,drive=d%u,bus=more.%u", d->cdrom ? "cd" : "hd", n,
                n - IDE_DISKS);
}

void reproduce_qemu(FILE *out, const struct plan *p)
{
    unsigned n = 0;

    fprintf(out,
            "qemu-system-x86_64 -accel kvm -cpu host -machine %s -nodefaults -display none "
            "-serial stdio -device pvpanic-pci -smp %u -m %llu",
            plan_q35(p) ? "q35" : "pc", p->cpus, (unsigned long long)(p->memory / MiB));
    if (plan_uefi(p))
        fprintf(out, " -bios /usr/share/ovmf/OVMF.fd");
    if (p->rtc_local)
        fprintf(out, " -rtc base=localtime");
    option(out, "-kernel", p->kernel);
    option(out, "-initrd", p->initrd);
    option(out, "-append", p->append);
    for (size_t i = 0; i < p->disks; i++) {
        qemu_disk(out, p, &p->disk[i], n);
        n += !plan_floppy(&p->disk[i]);
    }
    for (size_t i = 0; i < p->nics; i++) {
        fprintf(out, " -nic user,model=e1000");
        put_mac(out, &p->nic[i]);
    }
    fprintf(out, "%c", '\n');
}
