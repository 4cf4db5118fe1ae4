/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aml.h - writes ACPI Machine Language (ACPI 6.3 chapter 20) front to back.
 *
 * Calls follow the grammar's order: an operator, then its operands, so Store(5, FOO) is
 *     aml_op(a, AML_STORE); aml_int(a, 5); aml_path(a, "FOO");
 * What has a body (scope, device, method, if, package, ...) is open until aml_end(). Nothing fails
 * in between: aml_bytes() tells at last whether memory was enough.
 *
 * Paths are as in ASL: "\\_SB.PCI0", "^FOO", "ABC" (filled up with '_').
 */
#ifndef HOSPES_BOARD_AML_H
#define HOSPES_BOARD_AML_H

#include "core/core.h"

struct aml;

MUST struct aml *aml_create(void);
void aml_destroy(struct aml *a);
/* The code; owned by a. NULL when memory ran out. All bodies must be closed. */
const uint8_t *aml_bytes(const struct aml *a, size_t *len);

/* --- bodies --- */
void aml_scope(struct aml *a, const char *path);
void aml_device(struct aml *a, const char *name);
void aml_method(struct aml *a, const char *name, unsigned args, bool serialized);
void aml_if(struct aml *a); /* the condition follows */
void aml_else(struct aml *a);
void aml_while(struct aml *a); /* the condition follows */
void aml_package(struct aml *a, unsigned elements);
void aml_end(struct aml *a);

/* --- data and names --- */
void aml_int(struct aml *a, uint64_t v);
void aml_string(struct aml *a, const char *s);
void aml_eisaid(struct aml *a, const char *id); /* "PNP0A03" as an integer */
void aml_buffer(struct aml *a, const void *p, size_t len);
void aml_uuid(struct aml *a, const char *text); /* ToUUID */
void aml_path(struct aml *a, const char *path);

void aml_name(struct aml *a, const char *name); /* the object follows */
void aml_name_int(struct aml *a, const char *name, uint64_t v);
void aml_name_string(struct aml *a, const char *name, const char *v);
void aml_name_eisaid(struct aml *a, const char *name, const char *id);

/* --- operators --- */
enum aml_op {
    AML_STORE = 0x70,
    AML_ADD = 0x72,
    AML_CONCAT = 0x73,
    AML_SUBTRACT = 0x74,
    AML_INCREMENT = 0x75,
    AML_SHIFT_LEFT = 0x79,
    AML_SHIFT_RIGHT = 0x7a,
    AML_AND = 0x7b,
    AML_OR = 0x7d,
    AML_DEREF = 0x83,
    AML_NOTIFY = 0x86,
    AML_SIZEOF = 0x87,
    AML_INDEX = 0x88,
    AML_CREATE_DWORD = 0x8a,
    AML_CREATE_WORD = 0x8b,
    AML_LAND = 0x90,
    AML_LOR = 0x91,
    AML_LNOT = 0x92,
    AML_LEQUAL = 0x93,
    AML_LGREATER = 0x94,
    AML_LLESS = 0x95,
    AML_RETURN = 0xa4,
    AML_BREAK = 0xa5,
    /* Two bytes, 0x5b first. */
    AML_ACQUIRE = 0x5b23,
    AML_RELEASE = 0x5b27,
};
void aml_op(struct aml *a, enum aml_op op);
void aml_local(struct aml *a, unsigned n);
void aml_arg(struct aml *a, unsigned n);
void aml_no_target(struct aml *a); /* the result goes nowhere */

void aml_mutex(struct aml *a, const char *name);
void aml_acquire(struct aml *a, const char *name); /* waits for ever */
void aml_release(struct aml *a, const char *name);

enum aml_space { AML_SYSTEM_MEMORY, AML_SYSTEM_IO, AML_PCI_CONFIG };
void aml_region(struct aml *a, const char *name, enum aml_space space, uint64_t at, uint64_t len);
enum aml_access { AML_ANY_ACC, AML_BYTE_ACC, AML_WORD_ACC, AML_DWORD_ACC };
/* A body of units, with the other bits of a unit preserved, or written as zeros. */
void aml_field(struct aml *a, const char *region, enum aml_access access, bool preserve);
void aml_unit(struct aml *a, const char *name, unsigned bits); /* name NULL: a gap */

/* --- resource templates: aml_resources(), descriptors, aml_resources_end() --- */
void aml_resources(struct aml *a, const char *name); /* NULL: no Name() around it */
void aml_resources_end(struct aml *a);
void aml_res_io(struct aml *a, uint16_t at, uint8_t len);
void aml_res_dma(struct aml *a, unsigned channel);
void aml_res_irq(struct aml *a, unsigned irq); /* ISA: edge, active high, exclusive */
/* One of the extended interrupts (GSI): level, active high, shared. */
void aml_res_gsi(struct aml *a, uint32_t gsi);
void aml_res_memory32(struct aml *a, uint32_t at, uint32_t len, bool writable);
/* Windows that a bridge passes on, [first, last]. */
void aml_res_bus_numbers(struct aml *a, uint16_t first, uint16_t last);
void aml_res_io_window(struct aml *a, uint16_t first, uint16_t last);
void aml_res_mem_window(struct aml *a, uint32_t first, uint32_t last, bool cacheable);
void aml_res_mem64_window(struct aml *a, uint64_t first, uint64_t last, bool cacheable);

#endif
