/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flash chip: commands, data and resets in any order and width, within the array and at its
 * ends. Whatever happened, asking for the array shows it, and programming has set no bit.
 */
#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "abi/cfi.h"
#include "board/chipset/chipset.h"
#include "core/err.h"
#include "core/gmem.h"
#include "steps.h"

enum { SIZE = 8 << 10, RAM = 1 << 20 };
#define BASE UINT64_C(0xffc00000)

static uint8_t array[SIZE] __attribute__((aligned(4096)));
static struct fake_env f;
static bool keeps;

static bool write_array(void *arg, size_t off, const uint8_t *p, size_t n)
{
    assert(range_in(off, n, SIZE));
    for (size_t i = 0; i < n; i++)
        assert(n == PFLASH_BLOCK || !(p[i] & ~array[off + i]));
    memcpy(array + off, p, n);
    return keeps;
}

static void step(struct device *dev, const uint8_t *p)
{
    static const uint8_t command[] = {CFI_READ_ARRAY,  CFI_READ_STATUS, CFI_CLEAR_STATUS,
                                      CFI_PROGRAM,     CFI_BLOCK_ERASE, CFI_WRITE_BUFFER,
                                      CFI_LOCK_SETUP,  CFI_CONFIRM,     CFI_QUERY,
                                      CFI_PROGRAM_ALT, CFI_READ_ID};

    if (step_window(&f, BASE, SIZE, p))
        return;
    switch (p[0] & 7) {
    case 2:
        keeps = p[3] & 1;
        break;
    case 3:
        dev->ops->reset(dev);
        break;
    default:
        fake_env_write(&f, BASE + (p[1] | (uint64_t)p[2] << 8) % SIZE, 1,
                       command[p[3] % ARRAY_SIZE(command)]);
        break;
    }
}

static void check(struct device *dev)
{
    uint8_t now[SIZE];
    int rc;

    dev->ops->reset(dev);
    rc = gmem_read(f.env.mem, BASE, now, SIZE);
    assert(rc == 0 && memcmp(now, array, SIZE) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pflash_cfg c = {.base = BASE, .bytes = array, .size = SIZE, .write = write_array};
    struct device *dev;
    struct err e = {0};
    int rc;

    memset(array, 0xff, sizeof(array));
    keeps = true;
    fake_env_create(&f, RAM);
    rc = pflash_create(&f.env, &c, &dev, &e);
    assert(rc == 0);
    for (size_t at = 0; at < steps_in(size); at += STEP)
        step(dev, data + at);
    check(dev);
    dev->ops->destroy(dev);
    fake_env_destroy(&f);
    return 0;
}
