#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fuzz.sh - fuzz one target of tests/fuzz, or all of them, with libFuzzer, ASan and UBSan.
# usage: tools/fuzz.sh TARGET [SECONDS] | all SECONDS
# Seeds come from tests/fuzz/corpus/TARGET; what is found new stays in build-fuzz/corpus/TARGET.
# An input that breaks a target is named; put it into the seeds under a name that says what it is.
set -eu
cd "$(dirname "$0")/.."
target=${1:-}
seconds=${2:-60}
usage() {
    echo "usage: ./dev fuzz TARGET [SECONDS] | all SECONDS" >&2
    echo "targets: $(sed -n "s/^  '\([a-z0-9_-]*\)': files.*/\1/p" tests/fuzz/meson.build | tr '\n' ' ')" >&2
    exit 64
}
case $target in '' | -*) usage ;; esac
case $seconds in *[!0-9]* | '') usage ;; esac

[ -f build-fuzz/build.ninja ] || CC=clang meson setup build-fuzz -Dfuzz=true \
    -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
ninja -C build-fuzz >build-fuzz/log.txt || {
    grep -E 'error|FAILED' -A4 build-fuzz/log.txt >&2
    exit 1
}
if [ "$target" = all ]; then
    targets=$(cd build-fuzz/tests/fuzz && find . -maxdepth 1 -name 'fuzz-*' -type f | sed 's/.*fuzz-//' | sort)
    # shellcheck disable=SC2086 # a list of words
    seconds=$((seconds / $(echo $targets | wc -w)))
    [ "$seconds" -gt 0 ] || seconds=1 # 0 would be for ever
else
    targets=$target
    [ -x "build-fuzz/tests/fuzz/fuzz-$target" ] || usage
fi

failed=0
for t in $targets; do
    mkdir -p "build-fuzz/corpus/$t" "build-fuzz/found/$t"
    if "build-fuzz/tests/fuzz/fuzz-$t" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
        -print_final_stats=1 -artifact_prefix="build-fuzz/found/$t/" \
        "build-fuzz/corpus/$t" "tests/fuzz/corpus/$t" >"build-fuzz/found/$t.log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "build-fuzz/found/$t.log")
        echo "fuzz $t: $runs inputs in $seconds s, nothing found"
    else
        failed=1
        echo "fuzz $t: FAILED; the input is in build-fuzz/found/$t/, the report:"
        grep -E -A25 'ERROR|runtime error|SUMMARY' "build-fuzz/found/$t.log" | head -60
    fi
done
exit $failed
