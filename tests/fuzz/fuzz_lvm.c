/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a volume group's, over two disks; each volume is then read at both ends. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "inspect/lvm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct work work;
    static uint8_t disk[1 << 16];
    static struct lvm l;
    struct vol v[2];
    char *text = malloc(size + 1);
    uint8_t b[512];

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    work.calls = 1000;
    work.bytes = 1 << 20;
    memset(&l, 0, sizeof(l));
    for (unsigned i = 0; i < 2; i++) {
        vol_mem(&v[i], disk, sizeof(disk), &work);
        l.pv[i].vol = &v[i];
        memset(l.pv[i].uuid, 'a' + (int)i, 3);
    }
    l.pvs = 2;
    (void)!lvm_text(&l, text);
    for (size_t i = 0; i < l.lvs; i++) {
        (void)!vol_read(&l.lv[i].vol, 0, b, sizeof(b));
        if (l.lv[i].vol.bytes > sizeof(b))
            (void)!vol_read(&l.lv[i].vol, l.lv[i].vol.bytes - sizeof(b), b, sizeof(b));
    }
    lvm_fini(&l);
    free(text);
    return 0;
}
