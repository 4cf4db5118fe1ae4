/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - all personas. */
#include <string.h>

#include "personas/persona.h"

extern const struct persona_ops persona_bare, persona_hyperv, persona_kvm, persona_vmware,
    persona_xen;

const struct persona_ops *const personas[] = {
    &persona_kvm, &persona_hyperv, &persona_xen, &persona_vmware, &persona_bare, NULL,
};

const struct persona_ops *persona_find(const char *name)
{
    for (size_t i = 0; personas[i]; i++) {
        if (strcmp(personas[i]->name, name) == 0)
            return personas[i];
    }
    return NULL;
}
