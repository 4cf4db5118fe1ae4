/* SPDX-License-Identifier: Apache-2.0 */
/* import.c - `hospes import`: a foreign description becomes a plan, with a report of every key. */
#define _GNU_SOURCE
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/line.h"
#include "core/file.h"

struct import {
    bool json;
    const char *out; /* NULL: only the report */
    struct import_wish wish;
};

static int import_json(void *arg, const char *value, struct err *e)
{
    ((struct import *)arg)->json = true;
    return 0;
}

static int import_out(void *arg, const char *value, struct err *e)
{
    ((struct import *)arg)->out = value;
    return 0;
}

static int import_format(void *arg, const char *value, struct err *e)
{
    ((struct import *)arg)->wish.format = value;
    for (size_t i = 0; importers[i]; i++) {
        if (strcmp(importers[i]->name, value) == 0)
            return 0;
    }
    return err_exit(e, EX_USAGE_, EINVAL, "there is no importer \"%s\"; see hospes help import",
                    value);
}

static int import_pick(void *arg, const char *value, struct err *e)
{
    ((struct import *)arg)->wish.choice = value;
    return 0;
}

static int import_trust(void *arg, const char *value, struct err *e)
{
    ((struct import *)arg)->wish.trust = true;
    return 0;
}

static int import_unchecked(void *arg, const char *value, struct err *e)
{
    ((struct import *)arg)->wish.unchecked = true;
    return 0;
}

static const struct cli_option import_options[] = {
    {"o", "PLAN", "write the plan to this file; -: print it in place of the report", import_out},
    {"f", "FORMAT", "read FILE as this format, whatever it looks like", import_format},
    {"pick", "NAME", "of several machines or configurations in FILE, this one", import_pick},
    {"trust", NULL, "disks may lie anywhere: the description is your own", import_trust},
    {"unchecked", NULL, "do not compare digests with the files", import_unchecked},
    {"json", NULL, "print the report as JSON, one key a line", import_json},
    {NULL},
};

static bool to_stdout(const struct import *i)
{
    return i->out && strcmp(i->out, "-") == 0;
}

static int import_save(const struct import *i, const char *text, struct err *e)
{
    char *line;
    int rc;

    if (to_stdout(i)) {
        printf("%s\n", text);
        return 0;
    }
    rc = asprintf(&line, "%s\n", text);
    if (rc < 0)
        return err_set(e, ENOMEM, "no memory for the plan");
    rc = file_replace(i->out, line, (size_t)rc, 0666);
    free(line);
    return rc < 0 ? err_set(e, -rc, "cannot write the plan %s: %s", i->out, strerror(-rc)) : 0;
}

static void import_need(void *arg, const char *text)
{
    fflush(stdout); /* a note that goes to the same file stands after what was said before it */
    line_complain("hospes: note: %s", text);
}

static int import_go(const struct import *i, const char *path, struct err *e)
{
    struct import_report report = {0};
    char *text = NULL;
    struct plan plan;
    int rc;

    plan_init(&plan);
    rc = import_read(path, &i->wish, &plan, &report, e);
    if (rc == 0 && i->out)
        rc = plan_to_json(&plan, &text, e);
    if (rc == 0 && i->out)
        rc = import_save(i, text, e);
    if (rc == 0 && !to_stdout(i))
        rc = describe_report(&report, i->json, e);
    if (rc == 0) {
        if (!i->json && !to_stdout(i))
            describe_machine(&plan);
        describe_needs(&plan, true, import_need, NULL);
    }
    free(text);
    import_report_free(&report);
    plan_free(&plan);
    return rc;
}

static int import_main(int argc, char **argv)
{
    struct import i = {0};
    struct err e = {0};
    int n, rc = cli_parse(&cli_import, argc, argv, &i, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n != 1)
        rc = err_exit(&e, EX_USAGE_, EINVAL, "import takes one FILE; see hospes help import");
    if (rc == 0 && i.json && to_stdout(&i))
        rc = err_exit(
            &e, EX_USAGE_, EINVAL,
            "-o - prints the plan in place of the report; leave out --json, or name a file");
    if (rc == 0)
        rc = import_go(&i, argv[1], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_import = {
    .name = "import",
    .args = "[OPTION...] FILE",
    .about = "Turns a machine description of another product into a plan.",
    .options = import_options,
    .more =
        "FILE is one of these, or a folder that holds one:\n"
        "  vmx      VMware's .vmx and .vmtx\n"
        "  ovf      an OVF of VMware, VirtualBox, Citrix and others; its manifest is checked\n"
        "  ova      the same in one archive, whose disks are used in place\n"
        "  libvirt  libvirt's domain XML\n"
        "  vbox     VirtualBox' .vbox\n"
        "  hyperv   Hyper-V's .vmcx, the older .xml, and the folder of an export\n"
        "  xl       Xen's xl.cfg, and old xm files that only assign values\n"
        "  xva      an export of XenServer or XCP-ng\n"
        "  proxmox  Proxmox VE's .conf\n\n"
        "Every key is told: kept, changed (to what, and why) or dropped (and what that means for\n"
        "the guest). Nothing is executed. Disks are looked for beside FILE; a name that leads\n"
        "elsewhere is cut to its last part unless --trust is given.",
    .run = import_main,
};
