/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - all importers. */
#include "import/import.h"

extern const struct importer_ops importer_vmx, importer_ovf, importer_ova, importer_libvirt,
    importer_vbox, importer_hyperv, importer_xl, importer_xva, importer_proxmox;

const struct importer_ops *const importers[] = {
    &importer_vmx,    &importer_ovf, &importer_ova, &importer_libvirt, &importer_vbox,
    &importer_hyperv, &importer_xl,  &importer_xva, &importer_proxmox, NULL,
};
