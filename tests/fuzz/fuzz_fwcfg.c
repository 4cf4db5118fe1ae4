/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firmware configuration device: accesses of any width in any order, transfers with descriptors
 * of any content, and resets. Its files keep what they hold.
 */
#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "abi/fw_cfg.h"
#include "board/chipset/chipset.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"

enum { OPS_MAX = 2000, STEP = 16, RAM = 1 << 20, DESC = 0x1000 };

static const char text[] = "what the file holds";
static struct fake_env f;
static struct device *dev;

static void ports(const uint8_t *p)
{
    uint16_t port = (uint16_t)(FW_CFG_PORT_SEL + p[1] % FW_CFG_PORTS);
    unsigned size = 1u << p[2] % 3;

    if (p[0] & 1)
        fake_env_out(&f, port, size, le32_at(p + 4));
    else
        fake_env_in(&f, port, size);
}

/* Bytes of the input as descriptor: length and address are near the file's size and the end of RAM
 * more often than not. */
static void transfer(const uint8_t *p)
{
    struct fw_cfg_dma_access a = {
        .control = be32_of((uint32_t)(p[4] % 40) << 16 | p[5]),
        .length = be32_of(p[0] & 0x10 ? le32_at(p + 6) : p[6]),
        .address = be64_of(p[0] & 0x20 ? le32_at(p + 10) : (uint32_t)RAM - p[10]),
    };
    uint32_t at = p[0] & 0x40 ? le32_at(p + 12) : DESC;

    if (gmem_write(f.env.mem, DESC, &a, sizeof(a)) < 0)
        return;
    fake_env_out(&f, FW_CFG_PORT_DMA, 4, p[0] & 0x80 ? p[14] : 0);
    fake_env_out(&f, FW_CFG_PORT_DMA + 4, 4, __builtin_bswap32(at));
}

static void check(void)
{
    fake_env_out(&f, FW_CFG_PORT_SEL, 2, FW_CFG_FILE_FIRST);
    for (size_t i = 0; i < sizeof(text); i++)
        assert(fake_env_in(&f, FW_CFG_PORT_DATA, 1) == (uint8_t)text[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    int rc;

    fake_env_create(&f, RAM);
    rc = fwcfg_create(&f.env, &dev, &e);
    assert(rc == 0);
    rc = fwcfg_set_file(dev, "etc/text", text, sizeof(text), &e);
    assert(rc == 0);
    for (size_t at = 0; at + STEP <= size && at < (size_t)STEP * OPS_MAX; at += STEP) {
        const uint8_t *p = data + at;

        if (p[0] % 16 < 8)
            ports(p);
        else if (p[0] % 16 < 15)
            transfer(p);
        else
            dev->ops->reset(dev);
    }
    check();
    dev->ops->destroy(dev);
    fake_env_destroy(&f);
    return 0;
}
