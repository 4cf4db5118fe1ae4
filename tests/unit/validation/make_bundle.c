/* SPDX-License-Identifier: Apache-2.0 */
/* make_bundle.c DIR - a small signed bundle for recipe.sh. */
#include <stdio.h>
#include <stdlib.h>

#include "core/err.h"
#include "fake_vm.h"
#include "lab.h"
#include "validation/bundle.h"

int main(int argc, char **argv)
{
    struct seckey key;
    struct vrecord r;
    struct err e = {0};
    struct lab lab;
    char path[4096];

    if (argc != 2)
        return 64;
    lab_open(&lab, NULL, "");
    lab_run(&lab, 0, &r);
    vrecord_free(&r);
    snprintf(path, sizeof(path), "%s/lab", argv[1]);
    if (key_make(&key, &e) < 0 || key_write(&key, path, "lab", &e) < 0)
        return 1;
    snprintf(path, sizeof(path), "%s/matrix.results.tar.zst", argv[1]);
    if (bundle_write(lab.out, path, &key, 1, &e) < 0) {
        puts(e.msg);
        return 1;
    }
    lab_close(&lab);
    return 0;
}
