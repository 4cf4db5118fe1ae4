/* SPDX-License-Identifier: Apache-2.0 */
/* old-init.c - init of a Linux of 2005, built with musl: says who it is and powers off. */
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/utsname.h>
#include <unistd.h>

int main(void)
{
    struct utsname u;

    uname(&u);
    printf("old guest: %s %s\n", u.release, u.machine);
    fflush(stdout);
    reboot(RB_POWER_OFF);
    return 1;
}
