/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect_html.c - a fleet as one HTML page that needs nothing else: no script, no font, no
 * network.
 *
 * A real table with a caption and scoped heads; on a narrow screen each machine is a card whose
 * cells carry their heads. Verdicts are words, colour only repeats them. Roles are written out
 * because browsers drop a table's own when its display changes.
 */
#include <stdio.h>

#include "cli/inspect.h"
#include "inspect/fleet.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>Machines and their "
    "personas</title>\n"
    "<style>\n"
    ":root { --ink: #1b1f24; --soft: #57606a; --page: #fff; --line: #d0d7de; --band: #f6f8fa;\n"
    "  --yes: #116329; --maybe: #7d4e00; --no: #a40e26; --link: #0550ae; }\n"
    "@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa5b1; --page: "
    "#0d1117;\n"
    "  --line: #30363d; --band: #161b22; --yes: #56d364; --maybe: #e3b341; --no: #ff7b72;\n"
    "  --link: #79c0ff; } }\n"
    "* { box-sizing: border-box; }\n"
    "body { margin: 0 auto; padding: 1.5rem; max-width: 90rem; color: var(--ink);\n"
    "  background: var(--page); font: 1rem/1.5 system-ui, sans-serif; }\n"
    "h1 { font-size: 1.5rem; margin: 0 0 .25rem; }\n"
    "p { margin: .25rem 0 1rem; color: var(--soft); max-width: 60rem; overflow-wrap: anywhere; }\n"
    ".sum { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; list-style: none; padding: 0; }\n"
    ".sum b { font-size: 1.25rem; }\n"
    "table { width: 100%; border-collapse: collapse; }\n"
    "caption { text-align: left; color: var(--soft); padding-bottom: .5rem; }\n"
    "th, td { text-align: left; vertical-align: top; padding: .5rem .75rem;\n"
    "  border-bottom: 1px solid var(--line); overflow-wrap: break-word; }\n"
    "thead th { white-space: nowrap; position: sticky; top: 0; background: var(--band); }\n"
    "tbody th { font-weight: 600; min-width: 12rem; overflow-wrap: anywhere; }\n"
    "td:nth-child(5) { min-width: 9rem; }\n"
    "td:last-child { min-width: 18rem; overflow-wrap: anywhere; }\n"
    "small { color: var(--soft); display: block; font-weight: 400; font-size: .875rem; }\n"
    ".yes, .likely { color: var(--yes); font-weight: 600; }\n"
    ".unknown, .unlikely { color: var(--maybe); font-weight: 600; }\n"
    ".no { color: var(--no); font-weight: 600; }\n"
    "@media (max-width: 60rem) {\n  body { padding: 1rem; }\n"
    "  table, caption, tbody, tr, th, td { display: block; }\n"
    "  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: "
    "inset(50%); }\n"
    "  tr { border: 1px solid var(--line); border-radius: .5rem; margin-bottom: 1rem; padding: "
    ".5rem; }\n"
    "  tbody th, td:nth-child(5), td:last-child { min-width: 0; }\n  th, td { border: 0; padding: "
    ".25rem .5rem; }\n"
    "  td { display: grid; grid-template-columns: 6rem 1fr; gap: .5rem; }\n"
    "  td::before { content: attr(data-head); color: var(--soft); } }\n"
    "</style>\n</head>\n<body>\n<main>\n";

static void html(const char *text)
{
    for (; text && *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", stdout);
            break;
        case '<':
            fputs("&lt;", stdout);
            break;
        case '>':
            fputs("&gt;", stdout);
            break;
        case '"':
            fputs("&quot;", stdout);
            break;
        default:
            putchar(*text);
        }
    }
}

static void print_sum(const struct fleet *f)
{
    unsigned sure[SURE_YES + 1] = {0}, unread = 0;

    for (size_t i = 0; i < f->n; i++) {
        if (f->v[i].persona < 0)
            unread++;
        else
            sure[f->v[i].boots]++;
    }
    printf("<ul class=\"sum\" aria-label=\"How many boot\">\n");
    for (int s = SURE_YES; s >= SURE_NO; s--)
        printf("<li><b class=\"%s\">%u</b> %s</li>\n", sure_names[s], sure[s], sure_names[s]);
    if (unread)
        printf("<li><b class=\"no\">%u</b> cannot be read</li>\n", unread);
    printf("</ul>\n");
}

static void print_machine(const struct fleet_machine *m)
{
    char memory[24], disk[24];

    printf("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">");
    html(m->name);
    printf("<small>");
    html(m->file);
    printf(
        "</small></th>\n<td role=\"cell\" data-head=\"Boots\"><span class=\"%s\">%s</span></td>\n",
        m->persona < 0 ? "no" : sure_names[m->boots],
        m->persona < 0 ? "cannot be read" : sure_names[m->boots]);
    printf(
        "<td role=\"cell\" data-head=\"Persona\">%s</td>\n<td role=\"cell\" data-head=\"System\">",
        m->persona < 0 ? "none" : persona_names[m->persona]);
    printf("<span>");
    html(m->system ? m->system : "not known");
    printf("</span></td>\n<td role=\"cell\" data-head=\"Size\"><span>");
    if (m->cpus)
        printf("%u CPU%s", m->cpus, m->cpus > 1 ? "s" : "");
    if (m->memory) {
        inspect_size(m->memory, memory);
        printf("%s%s", m->cpus ? ", " : "", memory);
    }
    if (m->bytes) {
        inspect_size(m->bytes, disk);
        printf("<small>%u disk%s, first %s</small>", m->disks, m->disks > 1 ? "s" : "", disk);
    }
    printf("</span></td>\n<td role=\"cell\" data-head=\"Why\"><span>");
    html(m->why);
    if (m->problem) {
        printf("<small>Problem: ");
        html(m->problem);
        printf("</small>");
    }
    if (m->lacks) {
        printf("<small>Lacks ");
        html(m->lacks);
        printf("</small>");
    }
    printf("</span></td></tr>\n");
}

void inspect_html(const char *folder, const struct fleet *f)
{
    static const char *const heads[] = {"Machine", "Boots", "Persona", "System", "Size", "Why"};

    fputs(head, stdout);
    printf("<h1>Machines and their personas</h1>\n<p>What would happen to each machine in ");
    html(folder);
    printf(" under hospes. Nothing was started and nothing was written.</p>\n");
    print_sum(f);
    printf(
        "<table role=\"table\">\n<caption>%zu machines%s</caption>\n<thead role=\"rowgroup\"><tr "
        "role=\"row\">",
        f->n, f->cut ? "; there is more than was looked at" : "");
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
        printf("<th role=\"columnheader\" scope=\"col\">%s</th>", heads[i]);
    printf("</tr></thead>\n<tbody role=\"rowgroup\">\n");
    for (size_t i = 0; i < f->n; i++)
        print_machine(&f->v[i]);
    printf("</tbody>\n</table>\n</main>\n</body>\n</html>\n");
}
