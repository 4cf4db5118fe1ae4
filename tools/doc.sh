#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# doc.sh - the documentation as a folder of HTML pages: man pages by mandoc, which also checks them,
# everything else by cmark-gfm; then every link between the pages is followed.
# usage: tools/doc.sh [FOLDER], build/doc by default
set -eu
cd "$(dirname "$0")/.."
out=${1:-build/doc}
rm -rf "$out"
mkdir -p "$out"

# page TITLE FILE: wraps what comes in
page()
{
    printf '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>%s</title>\n' "$1"
    printf '<style>body{max-width:52em;margin:2em auto;font-family:sans-serif;line-height:1.4}'
    printf 'table{border-collapse:collapse}td,th{border:1px solid #999;padding:.2em .6em;vertical-align:top}'
    printf 'pre{background:#eee;padding:.6em;overflow:auto}</style></head><body>\n'
    cat
    printf '</body></html>\n'
}

bad=0
for m in docs/man/*.[1-8]; do
    to=$out/man/$(basename "$m").html
    mkdir -p "$out/man"
    mandoc -T lint -W warning "$m" >"$out/said" 2>&1 || {
        cat "$out/said" >&2
        bad=1
    }
    mandoc -T html -O man=%N.%S.html "$m" >"$to"
done
for m in README.md CONTRIBUTING.md SECURITY.md MAINTAINERS docs/*/*.md; do
    case $m in *.md) to=$out/${m%.md}.html ;; *) continue ;; esac
    mkdir -p "$(dirname "$to")"
    # Links between pages lead to the pages that are made of them.
    cmark-gfm --extension table --extension autolink "$m" |
        sed 's/\(href="[^":]*\)\.md\([#"]\)/\1.html\2/g' |
        page "$(sed -n 's/^# //p;q' "$m")" >"$to"
done
mv "$out/README.html" "$out/index.html"

# What a page points at is there, in the pages or in the sources.
find "$out" -name '*.html' >"$out/pages"
while IFS= read -r p; do
    dir=$(dirname "$p")
    sed -n 's/.*/&\n/;s/href="/\n&/gp' "$p" | sed -n 's/^href="\([^"#:]*\)[#"].*/\1/p' | sort -u >"$out/links"
    while IFS= read -r link; do
        source=${dir#"$out"}
        [ -z "$link" ] || [ -e "$dir/$link" ] || [ -e ".$source/$link" ] || {
            echo "doc: $p points at $link, which is not there" >&2
            bad=1
        }
    done <"$out/links"
done <"$out/pages"
rm -f "$out/said" "$out/pages" "$out/links"
echo "doc: $(find "$out" -name '*.html' | wc -l) pages in $out, index.html first"
exit $bad
