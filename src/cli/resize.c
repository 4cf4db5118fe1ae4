/* SPDX-License-Identifier: Apache-2.0 */
/* resize.c - `hospes resize`: a disk gets larger while its guest runs. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/line.h"
#include "core/cfg.h"
#include "machine/remote.h"

/* What is in flight, and a format that makes its tables longer. */
enum { RESIZE_CALL_MS = 120000 };

static int resize_json(void *arg, const char *value, struct err *e)
{
    *(bool *)arg = true;
    return 0;
}

static const struct cli_option resize_options[] = {
    {"json", NULL, "print what happened as JSON", resize_json},
    {NULL},
};

/* *told: the guest is. */
static int resize_call(const char *name, const char *id, uint64_t bytes, bool *told, struct err *e)
{
    struct json_object *more = json_object_new_object(), *answer = NULL;
    const char *result;
    int rc;

    json_object_object_add(more, "disk", json_object_new_string(id));
    json_object_object_add(more, "bytes", json_object_new_int64((int64_t)bytes));
    rc = remote_ask(name, "resize", more, RESIZE_CALL_MS, &answer, e);
    if (rc == 0) {
        result = remote_text(answer, "result");
        *told = result && strcmp(result, "told") == 0;
    }
    json_object_put(answer);
    return rc;
}

static void resize_tell(bool json, const char *name, const char *id, uint64_t bytes, bool told)
{
    struct json_object *o;

    if (!json) {
        printf("%s: %s has %llu bytes, %s\n", name, id, (unsigned long long)bytes,
               told ? "and the guest is told"
                    : "which the guest sees when the machine starts the next time");
        return;
    }
    o = json_object_new_object();
    json_object_object_add(o, "name", json_object_new_string(name));
    json_object_object_add(o, "resized", json_object_new_string(id));
    json_object_object_add(o, "bytes", json_object_new_int64((int64_t)bytes));
    json_object_object_add(o, "told", json_object_new_boolean(told));
    line_json(o);
}

static int resize_main(int argc, char **argv)
{
    bool json = false, told = false;
    uint64_t bytes = 0;
    struct err e;
    int n, rc = cli_parse(&cli_resize, argc, argv, &json, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n != 3)
        rc = err_exit(&e, EX_USAGE_, EINVAL,
                      "resize wants the name of a machine, the id of a disk and its new size; see "
                      "hospes info");
    if (rc == 0 && (size_parse(argv[3], &bytes) < 0 || bytes == 0 || bytes > INT64_MAX))
        rc = err_exit(&e, EX_USAGE_, EINVAL, "'%s' is no size; 20G is one", argv[3]);
    if (rc == 0)
        rc = resize_call(argv[1], argv[2], bytes, &told, &e);
    if (rc < 0)
        return cli_fail(&e);
    resize_tell(json, argv[1], argv[2], bytes, told);
    return EX_OK;
}

const struct cli_command cli_resize = {
    .name = "resize",
    .args = "[OPTION...] NAME ID SIZE",
    .about = "Makes a disk of a running machine larger.",
    .more = "ID is what info shows, like disk0; SIZE is all that the disk shall have, like 20G,\n"
            "and more than it has. Its image grows, and the guest is told by the way that its\n"
            "device has: virtio, xvd, SCSI and NVMe disks have one, IDE and SATA disks have none.\n"
            "A disk whose changes are thrown away (no ,write) keeps its size. A block device is\n"
            "made larger first; then this takes its new size over.",
    .options = resize_options,
    .run = resize_main,
};
