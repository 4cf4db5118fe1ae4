/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xml.h - XML from a stranger as a tree: no network, no document type, no entities of its own.
 *
 * Elements and attributes become nodes by their local names, attributes with an @ in front. An
 * element's own text is its value; one with neither text, attributes nor children has the value "".
 */
#ifndef HOSPES_IMPORT_XML_H
#define HOSPES_IMPORT_XML_H

#include "import/reading.h"

/* Parses r->f into r->t. -errno with r->e: a sentence with the line. */
MUST int xml_parse(struct reading *r);

/* Does the first element have that local name? Knows UTF-8 and UTF-16 with a byte order mark. */
bool xml_probe(const char *head, size_t n, const char *element);

#endif
