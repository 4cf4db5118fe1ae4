/* SPDX-License-Identifier: Apache-2.0 */
/* Console, balloon and entropy under a hostile driver; the first byte says which. */
#include <stdlib.h>

#include "unit.h"

#include "core/err.h"
#include "fake_console.h"
#include "personas/kvm/balloon.h"
#include "virtio.h"

static struct fake_console screen;
static struct balloon *balloon;

static void create(struct fuzz_virtio *z, const struct virtio_options *o)
{
    static const struct persona_env p;
    struct err e;
    int rc;

    balloon = NULL;
    fake_console_init(&screen);
    switch (fuzz_take(z, 1) % 3) {
    case 0:
        rc = hvc_create(&z->f.env, o, &screen.n, &e);
        break;
    case 1:
        rc = balloon_create(&z->f.env, o, &p, &balloon, &e);
        break;
    default:
        rc = rng_create(&z->f.env, o, &e);
        break;
    }
    if (rc < 0)
        abort();
}

static void ignore(struct dump *out, const char *key, const char *value)
{
}

static void event(struct fuzz_virtio *z)
{
    struct device *d = &pci_at(z->f.env.pci, 1 << 3)->dev;
    struct dump out = {ignore};
    struct err e;

    screen.used = 0;
    if (balloon && balloon_ask(balloon, fuzz_take(z, 3), &e) < 0)
        return;
    d->ops->describe(d, &out);
    if (screen.take)
        fake_console_type(&screen, "some text that was typed");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_virtio_target t = {4, create, event, NULL, NULL};

    fuzz_virtio(&t, data, size);
    return 0;
}
