/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a description of kind ovf; see import.h. */
#include "import.h"

FUZZ_IMPORTER(importer_ovf)
