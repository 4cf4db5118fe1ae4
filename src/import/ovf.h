/* SPDX-License-Identifier: Apache-2.0 */
/* ovf.h - an OVF descriptor that has been parsed into a tree: what its parts share. */
#ifndef HOSPES_IMPORT_OVF_H
#define HOSPES_IMPORT_OVF_H

#include "import/reading.h"

enum { OVF_ITEMS = 1024 };

struct ovf_item {
    struct node *n;
    unsigned type; /* CIM resource type */
    const char *id, *parent;
    const char *subtype; /* "" when there is none */
    int bus;             /* of a controller: its number among those of its kind */
    const char *model;   /* of a controller: its bus in the words of plans */
    unsigned disk, card; /* 1 more than the index in the plan; 0: none */
};

struct ovf {
    struct reading *r;
    struct node *envelope, *system, *hardware;
    const char *configuration; /* NULL: there are none */
    struct ovf_item item[OVF_ITEMS];
    size_t items;
};

/* The child section of that name; OVF 0.9 writes it as <Section xsi:type="ovf:NAME_Type">. */
struct node *ovf_section(const struct node *n, const char *name);
/* The value of vmw:Config (or ExtraConfig) with that key below n; NULL: none. */
struct node *ovf_config(const struct node *n, const char *key);
/* Does a list of words, by space, comma or semicolon, hold this one? */
bool ovf_word(const char *list, const char *word);

/* ovf_item.c: collects the items that count, then takes each into the plan. */
void ovf_items(struct ovf *o);
/* From those items, when the system does not say whose it is: a persona and why, or NULL. */
const char *ovf_persona_of_items(const struct ovf *o, const char **why);

/* The virtual system type that says so. */
const char *ovf_type_of(const char *persona);

/* vbox.c: what VirtualBox says of a machine in its own words, here inside an OVF. */
void vbox_inside_ovf(struct reading *r, struct node *machine);

#endif
