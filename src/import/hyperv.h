/* SPDX-License-Identifier: Apache-2.0 */
/* hyperv.h - the classes of Hyper-V's devices, by which a description names them. */
#ifndef HOSPES_IMPORT_HYPERV_H
#define HOSPES_IMPORT_HYPERV_H

#define HYPERV_BIOS "ac6b8dc1-3257-4a70-b1b2-a9c9215659ad"
#define HYPERV_IDE "83f8638b-8dca-4152-9eda-2ca8b33039b4"
#define HYPERV_FLOPPY "8f0d2762-0b00-4e04-af4f-19010527cb93"
#define HYPERV_SCSI "d422512d-2bf2-4752-809d-7b82b5fcb1b4"
#define HYPERV_NIC "2fc216b0-d2e2-4967-9b6d-b8a5c9ca2778"

#endif
