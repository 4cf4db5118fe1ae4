/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a description of kind libvirt; see import.h. */
#include "import.h"

FUZZ_IMPORTER(importer_libvirt)
