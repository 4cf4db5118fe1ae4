/* SPDX-License-Identifier: Apache-2.0 */
/* copy.c - `hospes copy`: a file of the host's goes into the guest by the persona's own channel. */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/told.h"

static const struct cli_option copy_options[] = {
    {"timeout", "SECONDS", "how long the guest may take (default 30)", told_timeout},
    {"json", NULL, "print the answer as JSON", told_json},
    {NULL},
};

static int copy_file(const struct told *t, const char *name, const char *file, const char *to,
                     struct err *e)
{
    char *path = realpath(file, NULL);
    struct json_object *req;

    if (!path)
        return err_exit(e, EX_MISSING, errno, "cannot open %s: %s", file, strerror(errno));
    req = json_object_new_object();
    json_object_object_add(req, "file", json_object_new_string(path));
    json_object_object_add(req, "to", json_object_new_string(to));
    free(path);
    return told_call(t, name, "copy", req, e);
}

static int copy_main(int argc, char **argv)
{
    struct told t = {.timeout = TOLD_TIMEOUT_S};
    struct err e;
    int n, rc = cli_parse(&cli_copy, argc, argv, &t, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n != 3)
        rc = err_exit(&e, EX_USAGE_, EINVAL,
                      "copy wants the name of a machine, a file, and its path in the guest");
    if (rc == 0)
        rc = copy_file(&t, argv[1], argv[2], argv[3], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_copy = {
    .name = "copy",
    .args = "[OPTION...] NAME FILE PATH",
    .about = "Copies a file into a guest.",
    .more = "By the persona's own channel, which Hyper-V alone has (its guest services, with\n"
            "hv_fcopy_daemon running in the guest). A file that is there is replaced. Exit codes:\n"
            "0 done, 66 no such machine or file, 74 the guest refused or did not answer.",
    .options = copy_options,
    .run = copy_main,
};
