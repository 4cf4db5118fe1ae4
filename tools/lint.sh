#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# lint.sh - what a machine can say about the sources: clang-format, clang-tidy, cppcheck, shellcheck.
# usage: tools/lint.sh [FILE...]      default: every C file and script of the tree
# The build folder "build" must be configured; each tool runs even when one before it complains.
set -u
cd "$(dirname "$0")/.." || exit 1
# Names in this tree hold no spaces, so lists of them are words.
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(git ls-files '*.c' '*.h' '*.sh' dev .ci/run)
wrong=0
c=''
units=''
scripts=''
for f in "$@"; do
    case $f in
    *.c) c="$c $f" units="$units $f" ;;
    *.h) c="$c $f" ;;
    *) scripts="$scripts $f" ;;
    esac
done
# shellcheck disable=SC2086 # lists of names
{
    [ -z "$c" ] || clang-format -n --Werror $c || wrong=1
    [ -z "$scripts" ] || shellcheck $scripts || wrong=1
    [ -z "$c" ] || cppcheck -q --error-exitcode=1 --inline-suppr --std=c11 --language=c -Isrc \
        --library=posix --enable=warning,performance,portability \
        --suppressions-list=tools/cppcheck.txt $c || wrong=1
    # Only files that the build compiles: clang-tidy needs their flags.
    known=
    for f in $units; do
        ! grep -q "\"file\": \"[./]*$f\"" build/compile_commands.json || known="$known $f"
    done
    [ -z "$known" ] || echo $known | xargs -n 8 -P "$(nproc)" clang-tidy --quiet -p build \
        2>&1 | grep -vE '^[0-9]+ warnings? generated|^Suppressed|^Use -header' >build/tidy.txt
    [ -z "$known" ] || ! grep -E 'error:|warning:' -A3 build/tidy.txt || wrong=1
}
exit $wrong
