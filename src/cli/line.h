/* SPDX-License-Identifier: Apache-2.0 */
/* line.h - lines of answers: folded on a terminal, one line each in a pipe or a file. */
#ifndef HOSPES_CLI_LINE_H
#define HOSPES_CLI_LINE_H

#include <stdio.h>

#include "core/core.h"

struct json_object;

/* Prints a line to standard output as fold_line() does; without the line feed in `fmt`. */
void line_print(unsigned indent, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The same for a row of a table, which is not folded. */
void line_row(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Prints a line to standard error, as one line whatever width it has. Like those of line_print(),
 * what a guest, an image or a file's name says in it moves no cursor and begins no line. */
void line_complain(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Prints JSON and a line feed. Names of files may hold bytes that are no UTF-8, which JSON has to
 * be: each becomes U+FFFD. */
void line_utf8(FILE *out, const char *json);
/* Prints an object on one line of standard output and lets go of it. */
void line_json(struct json_object *o);
/* The columns of the terminal that fd is; 0: it is none, or too narrow to fold lines for. */
unsigned line_width(int fd);

#endif
