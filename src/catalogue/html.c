/* SPDX-License-Identifier: Apache-2.0 */
/*
 * html.c - see html.h. The pages follow WCAG 2.2 AA: words beside signs, never colour alone; real
 * tables with headers; contrast of 4.5 and more in light and dark; nothing that needs a script.
 */
#include "catalogue/html.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "validation/key.h"

const char html_style[] =
    ":root{color-scheme:light dark;--fg:#1b1f24;--bg:#fff;--soft:#f3f5f7;--line:#c9d1d9;"
    "--link:#0550ae;--good:#116329;--bad:#a40e26;--warn:#7d4e00;--quiet:#57606a}\n"
    "@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--bg:#0d1117;--soft:#161b22;"
    "--line:#3d444d;--link:#79c0ff;--good:#56d364;--bad:#ff9492;--warn:#e3b341;--quiet:#9ea7b3}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:72rem;padding:0 1rem 3rem;"
    "font:1rem/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg)}\n"
    "a{color:var(--link)}a:focus-visible,input:focus-visible,select:focus-visible,"
    "[tabindex]:focus-visible{outline:3px solid var(--link);outline-offset:2px}\n"
    "header nav{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;padding:.75rem 0;"
    "border-bottom:1px solid var(--line)}\n"
    ".skip{position:absolute;left:-99rem}.skip:focus{position:static}\n"
    "h1{font-size:1.6rem;line-height:1.25;margin:1.25rem 0 .5rem}h2{font-size:1.25rem;"
    "margin:2rem 0 .5rem}h1,h2,p,li{overflow-wrap:anywhere}\n"
    /* A shade at the edge behind which there is more; what scrolls along covers it at the end. */
    ".wide{overflow-x:auto;background:linear-gradient(to left,var(--bg) 50%,transparent) "
    "right/3rem "
    "100% no-repeat local,linear-gradient(to left,var(--line),transparent) right/.75rem 100% "
    "no-repeat scroll}\n"
    "table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem}"
    "caption{text-align:left;color:var(--quiet);padding:.25rem 0}\n"
    "th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid "
    "var(--line)}thead th{background:var(--soft);white-space:nowrap}.whole{white-space:nowrap}\n"
    "tbody th{position:sticky;left:0;background:var(--bg);min-width:7.5rem;"
    "overflow-wrap:anywhere}tbody th.number{min-width:0}"
    "tbody tr:target>*{background:var(--soft)}\n"
    "td a{text-decoration-thickness:1px}.mark{white-space:nowrap;font-weight:600}"
    ".validated .mark,.PASS,.FLAKY{color:var(--good)}.failed .mark,.FAIL,.MISS{color:var(--bad)}"
    ".undecided .mark,.stale,.disputed,.ERROR,.KNOWN{color:var(--warn)}"
    ".inherited .mark,.vendor-stated .mark,.planned .mark,.unknown .mark,.SKIP,.none"
    "{color:var(--quiet)}\n"
    ".inherited .mark,.vendor-stated .mark,.planned .mark{font-weight:400;font-style:italic}"
    "small{display:block;font-size:.85rem}.lead{font-size:1.1rem}\n"
    "form{display:flex;flex-wrap:wrap;gap:.75rem;margin:1rem 0}label{display:flex;"
    "flex-direction:column;font-size:.9rem}input,select{font:inherit;padding:.35rem .5rem;"
    "min-height:2.5rem;min-width:12rem;color:var(--fg);background:var(--bg);border:1px solid "
    "var(--quiet);"
    "border-radius:.25rem}\n"
    "dl.facts{display:grid;grid-template-columns:minmax(8rem,14rem) 1fr;gap:.2rem 1rem;margin:0}"
    "dl.facts dt{color:var(--quiet)}dl.facts dd{margin:0;overflow-wrap:anywhere}\n"
    "pre,code{font-family:ui-monospace,monospace;font-size:.875rem}pre{overflow-x:auto;"
    "background:var(--soft);padding:.75rem;border-radius:.25rem}\n"
    "pre.log a{color:var(--quiet);text-decoration:none;display:inline-block;width:4.5em;"
    "text-align:right;margin-right:1em}pre.log span:target{background:var(--line);"
    "outline:2px solid var(--link)}pre.log span:target a{color:var(--fg)}\n"
    "footer{margin-top:3rem;padding-top:.75rem;border-top:1px solid var(--line);"
    "color:var(--quiet);font-size:.9rem}\n"
    "@media(max-width:32rem){dl.facts{grid-template-columns:1fr}dl.facts dd{margin-bottom:.4rem}"
    "th,td{padding:.35rem .4rem}.wide table{min-width:40rem}tbody th{max-width:9rem}caption{"
    "position:sticky;left:0;max-width:calc(100vw - 2rem)}label,form{width:100%}"
    "pre.log a{width:3em;margin-right:.75em}}\n";

const char html_script[] =
    "'use strict';\n"
    "(function () {\n"
    "  var form = document.getElementById('filter');\n"
    "  var rows = document.querySelectorAll('#matrix tbody tr');\n"
    "  var told = document.getElementById('shown');\n"
    "  if (!form) return;\n"
    "  form.hidden = false;\n"
    "  function apply() {\n"
    "    var words = form.text.value.toLowerCase().split(/\\s+/).filter(Boolean);\n"
    "    var persona = form.persona.value, state = form.state.value, n = 0;\n"
    "    rows.forEach(function (row) {\n"
    "      var name = row.dataset.name, hit = words.every(function (w) {\n"
    "        return name.indexOf(w) >= 0;\n"
    "      });\n"
    "      if (hit && (persona || state)) {\n"
    "        hit = Array.prototype.some.call(row.querySelectorAll('td[data-persona]'), function "
    "(c) {\n"
    "          return (!persona || c.dataset.persona === persona) &&\n"
    "            (state ? c.classList.contains(state) : !c.classList.contains('none'));\n"
    "        });\n"
    "      }\n"
    "      row.hidden = !hit;\n"
    "      if (hit) n++;\n"
    "    });\n"
    "    told.textContent = n + ' of ' + rows.length + ' guests';\n"
    "  }\n"
    "  form.addEventListener('input', apply);\n"
    "  form.addEventListener('submit', function (e) { e.preventDefault(); });\n"
    "  apply();\n"
    "})();\n";

void html_bytes(struct vbuf *b, const char *from, size_t n)
{
    size_t start = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)from[i];
        const char *as = c == '&'                                            ? "&amp;"
                         : c == '<'                                          ? "&lt;"
                         : c == '>'                                          ? "&gt;"
                         : c == '"'                                          ? "&quot;"
                         : (c < 0x20 && c != '\t' && c != '\n') || c == 0x7f ? "\ufffd"
                                                                             : NULL;

        if (!as)
            continue;
        vbuf_add(b, from + start, i - start);
        vbuf_add(b, as, strlen(as));
        start = i + 1;
    }
    vbuf_add(b, from + start, n - start);
}

void html_text(struct vbuf *b, const char *text)
{
    html_bytes(b, text, strlen(text));
}

void html_count(struct vbuf *b, unsigned long long n, const char *one)
{
    vbuf_print(b, "%llu %s%s", n, one, n == 1 ? "" : "s");
}

void html_element(struct vbuf *b, const char *tag, const char *text)
{
    vbuf_print(b, "<%s>", tag);
    html_text(b, text);
    vbuf_print(b, "</%s>\n", tag);
}

void html_head(struct vbuf *b, const char *title, const char *up)
{
    vbuf_print(b, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                  "<title>");
    html_text(b, title);
    vbuf_print(b,
               "</title>\n<link rel=\"stylesheet\" href=\"%sstyle.css\">\n</head>\n<body>\n"
               "<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header><nav "
               "aria-label=\"Catalogue\"><a href=\"%sindex.html\">Catalogue</a><a "
               "href=\"%serrata.html\">Notes and errata</a><a href=\"%sabout.html\">How to check "
               "it</a></nav></header>\n<main id=\"main\">\n",
               up, up, up, up);
    html_element(b, "h1", title);
}

void html_foot(struct vbuf *b, const char *up)
{
    vbuf_print(b,
               "</main>\n<footer>Made by hospes from signed records. The same as data: <a "
               "href=\"%scatalogue.json\">JSON</a>, <a href=\"%scatalogue.csv\">CSV</a>.</footer>\n"
               "</body>\n</html>\n",
               up, up);
}

void html_fact(struct vbuf *b, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    vbuf_print(b, "<dt>");
    html_text(b, name);
    vbuf_print(b, "</dt><dd>");
    html_text(b, value);
    vbuf_print(b, "</dd>\n");
}

void html_slug(const char *text, char out[HTML_SLUG])
{
    char sha[V_SHA_TEXT];
    size_t n = 0;

    for (const char *p = text; *p && n < HTML_SLUG - 12; p++) {
        if (isalnum((unsigned char)*p))
            out[n++] = (char)tolower((unsigned char)*p);
        else if (n && out[n - 1] != '-')
            out[n++] = '-';
    }
    if (n && out[n - 1] != '-')
        out[n++] = '-';
    sha256_text(text, strlen(text), sha);
    memcpy(out + n, sha, 8);
    out[n + 8] = '\0';
}
