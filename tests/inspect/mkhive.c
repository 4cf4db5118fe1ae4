/* SPDX-License-Identifier: Apache-2.0 */
/* mkhive.c - mkhive OUT SERVICE=START[/OVERRIDE]...: a SYSTEM hive for the tests of the inspection.
 */
#include <stdio.h>

#include "fakes/fake_hive.h"

int main(int argc, char **argv)
{
    if (argc < 2 || fake_hive(argv[1], (const char *const *)argv + 2) < 0) {
        fprintf(stderr, "mkhive: cannot write the hive\n");
        return 1;
    }
    return 0;
}
