/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image files of every format: probed, opened, mapped, read, written, checked and repaired. The
 * first byte chooses what is done, so that each way is found by itself.
 */
#define _GNU_SOURCE
#include "fuzz.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd;

    if (size < 2)
        return 0;
    fd = memfd_create("image", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)size - 1)
        abort();
    image_use(image_file(fd, !(data[0] & IMAGE_WRITES)), data[0]);
    return 0;
}
