/* SPDX-License-Identifier: Apache-2.0 */
/* disc.c - `hospes disc`: another disc in a drive of a running machine, or none. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/line.h"
#include "machine/remote.h"

/* What is in flight on the disc that goes. */
enum { DISC_CALL_MS = 60000 };

struct disc {
    bool json, eject, force;
    const char *drive; /* NULL: the only one */
};

static int disc_json(void *arg, const char *value, struct err *e)
{
    ((struct disc *)arg)->json = true;
    return 0;
}

static int disc_eject(void *arg, const char *value, struct err *e)
{
    ((struct disc *)arg)->eject = true;
    return 0;
}

static int disc_force(void *arg, const char *value, struct err *e)
{
    ((struct disc *)arg)->force = true;
    return 0;
}

static int disc_drive(void *arg, const char *value, struct err *e)
{
    ((struct disc *)arg)->drive = value;
    return 0;
}

static const struct cli_option disc_options[] = {
    {"eject", NULL, "leave the drive empty, instead of FILE", disc_eject},
    {"drive", "ID", "which drive, as info shows it; a machine with one needs no word", disc_drive},
    {"force", NULL, "take the disc also when the guest has locked the drive", disc_force},
    {"json", NULL, "print what happened as JSON", disc_json},
    {NULL},
};

static int disc_call(const char *name, const struct disc *d, const char *spec, struct err *e)
{
    struct json_object *more = json_object_new_object();

    json_object_object_add(more, "disc", json_object_new_string(spec));
    if (d->drive)
        json_object_object_add(more, "drive", json_object_new_string(d->drive));
    if (d->force)
        json_object_object_add(more, "force", json_object_new_boolean(true));
    return remote_ask(name, "disc", more, DISC_CALL_MS, NULL, e);
}

static void disc_tell(const struct disc *d, const char *name, const char *spec)
{
    struct json_object *o;

    if (!d->json) {
        if (d->eject)
            printf("%s: the drive is empty\n", name);
        else
            printf("%s: the drive holds %s\n", name, spec);
        return;
    }
    o = json_object_new_object();
    json_object_object_add(o, "name", json_object_new_string(name));
    json_object_object_add(o, "disc", d->eject ? NULL : json_object_new_string(spec));
    line_json(o);
}

static int disc_main(int argc, char **argv)
{
    struct disc d = {0};
    char *spec = NULL;
    struct err e;
    int n, rc = cli_parse(&cli_disc, argc, argv, &d, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n != (d.eject ? 1 : 2))
        rc = err_exit(&e, EX_USAGE_, EINVAL,
                      "disc wants the name of a machine and a file, or --eject; see hospes ls");
    if (rc == 0) {
        spec = d.eject ? strdup("none") : cli_absolute(argv[2]);
        rc = spec ? disc_call(argv[1], &d, spec, &e) : err_set(&e, ENOMEM, "no memory for a path");
    }
    if (rc == 0)
        disc_tell(&d, argv[1], spec);
    free(spec);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_disc = {
    .name = "disc",
    .args = "[OPTION...] NAME FILE[,format=F][,write]",
    .about = "Puts another disc into a drive of a running machine, or takes it out.",
    .more =
        "The machine was started with --cdrom FILE or --floppy FILE, or with none in place of the\n"
        "file for an empty drive. What a guest writes to a floppy is kept with write alone.\n"
        "A guest that has locked the drive, as one that has mounted its disc, is asked to open\n"
        "it; if it has not within five seconds, the disc stays: try again later, or use\n"
        "--force. The plan's disc is back when the machine starts the next time.",
    .options = disc_options,
    .run = disc_main,
};
