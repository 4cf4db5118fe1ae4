/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses a boot loader; the rest is its menu, and its environment. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "inspect/look.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const kinds[] = {"grub2", "grub", "syslinux", "bls", "lilo"};
    static struct inspect out;
    static struct look l;
    char *text, *env;

    if (size < 1)
        return 0;
    text = malloc(size);
    env = malloc(size);
    if (text && env) {
        memcpy(text, data + 1, size - 1);
        text[size - 1] = '\0';
        memcpy(env, text, size);
        l.out = &out;
        l.entries = 0;
        look_menu(&l, 0, kinds[data[0] % 5], text, env);
    }
    free(text);
    free(env);
    return 0;
}
