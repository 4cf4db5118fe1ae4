/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest sees of the processor, made of what a KVM says that it supports. */
#include "unit.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

#include "host/kvm.h"

static void the_processor_has_the_hosts_name(void **state)
{
    struct kvm_host h = {.vm = -1};
    struct cpuid_leaf leaf[8];
    uint32_t want[4];

    (void)state;
    h.cpuid = calloc(1, sizeof(*h.cpuid) + 4 * sizeof(h.cpuid->entries[0]));
    h.cpuid->nent = 4;
    for (uint32_t i = 0; i < 4; i++)
        h.cpuid->entries[i].function = 0x80000002 + i;
    h.cpuid->entries[1].eax = 5; /* should a KVM know one */
    assert_int_equal(kvm_cpuid_list(&h.base, leaf, ARRAY_SIZE(leaf)), 4);
    __cpuid(0x80000002, want[0], want[1], want[2], want[3]);
    assert_int_not_equal(want[0], 0);
    assert_memory_equal(&leaf[0].eax, want, sizeof(want));
    assert_int_equal(leaf[1].eax, 5);
    assert_int_equal(leaf[1].ebx, 0);
    __cpuid(0x80000004, want[0], want[1], want[2], want[3]);
    assert_memory_equal(&leaf[2].eax, want, sizeof(want));
    assert_int_equal(leaf[3].eax, 0); /* a leaf that names nothing */
    free(h.cpuid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_processor_has_the_hosts_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
