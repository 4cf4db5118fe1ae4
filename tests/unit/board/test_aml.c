/* SPDX-License-Identifier: Apache-2.0 */
/* The AML writer: every encoding against bytes worked out by hand from ACPI 6.3 chapter 20. */
#include "unit.h"

#include <stdlib.h>

#include "board/aml.h"

static struct aml *a;

static int setup(void **state)
{
    (void)state;
    a = aml_create();
    assert_non_null(a);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    aml_destroy(a);
    return 0;
}

static void expect(const char *bytes, size_t n)
{
    size_t len;
    const uint8_t *p = aml_bytes(a, &len);

    assert_non_null(p);
    assert_int_equal(len, n);
    assert_memory_equal(p, bytes, n);
}

#define EXPECT(text) expect(text, sizeof(text) - 1)

static void integers_take_the_shortest_form(void **state)
{
    (void)state;
    aml_int(a, 0);
    aml_int(a, 1);
    aml_int(a, 2);
    aml_int(a, 0x100);
    aml_int(a, 0x10000);
    aml_int(a, UINT64_C(0x100000000));
    EXPECT("\x00\x01\x0a\x02\x0b\x00\x01\x0c\x00\x00\x01\x00\x0e\x00\x00\x00\x00\x01\x00\x00\x00");
}

static void names_are_filled_and_prefixed(void **state)
{
    (void)state;
    aml_path(a, "\\");
    aml_path(a, "A");
    aml_path(a, "^^AB");
    aml_path(a, "\\_SB.PCI0");
    aml_path(a, "\\_SB.PCI0.ISA");
    EXPECT("\\\0A___^^AB__\\\x2e_SB_PCI0\\\x2f\x03_SB_PCI0ISA_");
}

static void ids_and_uuids_have_their_byte_order(void **state)
{
    (void)state;
    aml_name_eisaid(a, "_HID", "PNP0A03");
    aml_uuid(a, "33DB4D5B-1FF7-401C-9657-7441C03DD766");
    EXPECT("\x08_HID\x0c\x41\xd0\x0a\x03"
           "\x11\x13\x0a\x10\x5b\x4d\xdb\x33\xf7\x1f\x1c\x40\x96\x57\x74\x41\xc0\x3d\xd7\x66");
}

/* A buffer of n bytes has a body of n and its size's integer. */
static void package_length(size_t n, const char *head, size_t head_len)
{
    uint8_t *zeros = calloc(1, n);
    const uint8_t *p;
    size_t len;

    aml_destroy(a);
    a = aml_create();
    assert_non_null(a);
    aml_buffer(a, zeros, n);
    p = aml_bytes(a, &len);
    assert_non_null(p);
    assert_memory_equal(p, head, head_len);
    assert_int_equal(len, head_len + n);
    free(zeros);
}

static void package_lengths_change_form_at_their_bounds(void **state)
{
    (void)state;
    package_length(60, "\x11\x3f\x0a\x3c", 4);               /* 63 in all: one byte */
    package_length(61, "\x11\x41\x04\x0a\x3d", 5);           /* 65 with two bytes */
    package_length(4090, "\x11\x4f\xff\x0b\xfa\x0f", 6);     /* 4095: two bytes */
    package_length(4091, "\x11\x81\x00\x01\x0b\xfb\x0f", 7); /* 4097 with three */
}

static void bodies_nest(void **state)
{
    (void)state;
    aml_scope(a, "\\_SB");
    aml_device(a, "D0");
    aml_method(a, "M1", 2, true);
    aml_if(a);
    aml_op(a, AML_LEQUAL);
    aml_arg(a, 0);
    aml_int(a, 1);
    aml_op(a, AML_RETURN);
    aml_local(a, 3);
    aml_end(a);
    aml_else(a);
    aml_release(a, "MTX");
    aml_end(a);
    aml_end(a);
    aml_end(a);
    aml_end(a);
    EXPECT("\x10\x23\\_SB_"
           "\x5b\x82\x1b"
           "D0__"
           "\x14\x15"
           "M1__\x0a"
           "\xa0\x06\x93\x68\x01\xa4\x63"
           "\xa1\x07\x5b\x27MTX_");
}

static void fields_and_regions(void **state)
{
    (void)state;
    aml_region(a, "REG", AML_SYSTEM_IO, 0xae00, 0x10);
    aml_field(a, "REG", AML_DWORD_ACC, true);
    aml_unit(a, NULL, 32);
    aml_unit(a, "F1", 100);
    aml_end(a);
    EXPECT("\x5b\x80REG_\x01\x0b\x00\xae\x0a\x10"
           "\x5b\x81\x0eREG_\x03\x00\x20"
           "F1__\x44\x06");
}

static void resources_end_with_their_size(void **state)
{
    (void)state;
    aml_resources(a, "_CRS");
    aml_res_io(a, 0x3f8, 8);
    aml_res_irq(a, 4);
    aml_res_memory32(a, 0xe0000000, 0x100000, true);
    aml_resources_end(a);
    EXPECT("\x08_CRS\x11\x1d\x0b\x19\x00"
           "\x47\x01\xf8\x03\xf8\x03\x01\x08"
           "\x22\x10\x00"
           "\x86\x09\x00\x01\x00\x00\x00\xe0\x00\x00\x10\x00"
           "\x79\x00");
}

static void windows_carry_first_last_and_length(void **state)
{
    (void)state;
    aml_resources(a, NULL);
    aml_res_bus_numbers(a, 0, 0);
    aml_res_gsi(a, 10);
    aml_resources_end(a);
    EXPECT("\x11\x1f\x0b\x1b\x00"
           "\x88\x0d\x00\x02\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00"
           "\x89\x06\x00\x09\x01\x0a\x00\x00\x00"
           "\x79\x00");
}

#define AML_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AML_TEST(integers_take_the_shortest_form),
        AML_TEST(names_are_filled_and_prefixed),
        AML_TEST(ids_and_uuids_have_their_byte_order),
        AML_TEST(package_lengths_change_form_at_their_bounds),
        AML_TEST(bodies_nest),
        AML_TEST(fields_and_regions),
        AML_TEST(resources_end_with_their_size),
        AML_TEST(windows_carry_first_last_and_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
