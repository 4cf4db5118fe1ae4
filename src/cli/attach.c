/* SPDX-License-Identifier: Apache-2.0 */
/* attach.c - `hospes attach` and `hospes detach`: what comes and goes while a guest runs. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/line.h"
#include "machine/remote.h"

enum { ATTACH_CALL_MS = 30000 };

struct attach {
    bool json;
    const char *nic; /* attach --nic: instead of a disk */
};

static int attach_json(void *arg, const char *value, struct err *e)
{
    ((struct attach *)arg)->json = true;
    return 0;
}

static int attach_nic(void *arg, const char *value, struct err *e)
{
    ((struct attach *)arg)->nic = value;
    return 0;
}

static const struct cli_option attach_options[] = {
    {"nic", "NET[,K=V]", "a network card in the words of run's --nic, instead of a disk",
     attach_nic},
    {"json", NULL, "print what happened as JSON", attach_json},
    {NULL},
};

static const struct cli_option detach_options[] = {
    {"json", NULL, "print what happened as JSON", attach_json},
    {NULL},
};

/* what: "disk" or "nic". */
static int attach_call(const char *name, const char *word, const char *what, const char *text,
                       char *id, size_t room, struct err *e)
{
    struct json_object *more = json_object_new_object(), *answer = NULL;
    int rc;

    json_object_object_add(more, what, json_object_new_string(text));
    rc = remote_ask(name, word, more, ATTACH_CALL_MS, &answer, e);
    if (rc == 0 && remote_text(answer, "result"))
        snprintf(id, room, "%s", remote_text(answer, "result"));
    json_object_put(answer);
    return rc;
}

static void attach_tell(const struct attach *a, const char *name, const char *key, const char *id)
{
    struct json_object *o;

    if (!a->json && strcmp(key, "asked") == 0) {
        printf("%s: the guest is asked to give %s back\n", name, id);
        return;
    }
    if (!a->json) {
        printf("%s: %s is %s\n", name, id, key);
        return;
    }
    o = json_object_new_object();
    json_object_object_add(o, "name", json_object_new_string(name));
    json_object_object_add(o, key, json_object_new_string(id));
    line_json(o);
}

static int attach_main(int argc, char **argv)
{
    struct attach a = {0};
    char *disk = NULL, id[64] = "";
    struct err e;
    int n, rc = cli_parse(&cli_attach, argc, argv, &a, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n != (a.nic ? 1 : 2))
        rc = err_exit(&e, EX_USAGE_, EINVAL,
                      "attach wants the name of a machine and a disk, or --nic; see hospes ls");
    if (rc == 0 && a.nic) {
        rc = attach_call(argv[1], "attach", "nic", a.nic, id, sizeof(id), &e);
    } else if (rc == 0) {
        disk = cli_absolute(argv[2]);
        rc = disk ? attach_call(argv[1], "attach", "disk", disk, id, sizeof(id), &e)
                  : err_set(&e, ENOMEM, "no memory for a path");
    }
    free(disk);
    if (rc < 0)
        return cli_fail(&e);
    attach_tell(&a, argv[1], "attached", id);
    return EX_OK;
}

static int detach_main(int argc, char **argv)
{
    struct attach a = {0};
    struct err e;
    char id[64] = "";
    int n, rc = cli_parse(&cli_detach, argc, argv, &a, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n != 2)
        rc = err_exit(&e, EX_USAGE_, EINVAL,
                      "detach wants the name of a machine and the id of a disk; see hospes info");
    if (rc == 0)
        rc = attach_call(argv[1], "detach", "disk", argv[2], id, sizeof(id), &e);
    if (rc < 0)
        return cli_fail(&e);
    attach_tell(&a, argv[1], id[0] ? "asked" : "detached", argv[2]);
    return EX_OK;
}

const struct cli_command cli_attach = {
    .name = "attach",
    .args = "[OPTION...] NAME [FILE[,K=V...]]",
    .about = "Gives a running machine one more disk or network card.",
    .more = "The disk is given in the words of run's --disk. Persona kvm takes it on the SCSI\n"
            "controller of a machine that has one (a disk with bus=scsi, or --persona kvm,scsi),\n"
            "or as a PCI device (bus=virtio, with --machine q35 or --persona kvm,hotplug), and so\n"
            "network cards;\n"
            "persona vmware on a SCSI controller that had a disk at the start;\n"
            "persona hyperv on VMBus's.",
    .options = attach_options,
    .run = attach_main,
};

const struct cli_command cli_detach = {
    .name = "detach",
    .args = "[OPTION...] NAME ID",
    .about = "Takes a disk or a network card away from a running machine.",
    .more = "ID is what attach said and info shows. What the guest has not written to it yet is\n"
            "lost, as with a cable that is pulled. A disk that is a PCI device is asked back, and "
            "goes\n"
            "when the guest has given it up.",
    .options = detach_options,
    .run = detach_main,
};
