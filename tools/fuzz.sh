#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# fuzz.sh - fuzz targets of tests/fuzz with libFuzzer, ASan and UBSan.
# usage: tools/fuzz.sh TARGET[,TARGET...] [SECONDS] | import|inspect|all SECONDS | --all SECONDS | --times
# Several targets share SECONDS of wall time. Seeds come from tests/fuzz/corpus/TARGET; what is found new stays in
# build-fuzz/corpus/TARGET. An input that breaks a target is named; put it into the seeds under a name that says what it
# is. Each run adds a line to build-fuzz/times; --times sums them up: processor time is what was really fuzzed.
set -eu
cd "$(dirname "$0")/.."
target=${1:-} seconds=${2:-60}
times=build-fuzz/times
all=$(sed -n "s/^  '\([a-z0-9_-]*\)': files.*/\1/p" tests/fuzz/meson.build)
usage() {
    echo "usage: ./dev fuzz TARGET[,TARGET...] [SECONDS] | import|inspect|all SECONDS | --times" >&2
    echo "targets: $(echo "$all" | tr '\n' ' ')" >&2
    exit 64
}

tell_times() {
    [ -s "$times" ] || {
        echo "fuzz: nothing was fuzzed here yet"
        return
    }
    awk '{ n[$2]++; cpu[$2] += $4; inputs[$2] += $5; bad[$2] += $6; all += $4; runs += $5; found += $6 }
        END { for (t in n) printf "%-20s %9.0f s  %12d inputs  %d found\n", t, cpu[t], inputs[t], bad[t] | "sort"
            close("sort")
            printf "%-20s %9.0f s  %12d inputs  %d found, of processor time\n", "all", all, runs, found }' "$times"
}

case $target in
--times)
    tell_times
    exit
    ;;
--all | all) targets=$all ;;
import) targets='archive vmx ovf ova libvirt vbox hyperv xl xva proxmox' ;;
inspect) targets='fs lvm menu part unpack cpio' ;;
'' | -*) usage ;;
*) targets=${target//,/ } ;;
esac
case $seconds in *[!0-9]* | '') usage ;; esac
goals=
for t in $targets; do
    grep -qx -e "$t" <<<"$all" || usage
    goals="$goals tests/fuzz/fuzz-$t"
done

[ -f build-fuzz/build.ninja ] || CC=clang meson setup build-fuzz -Dfuzz=true \
    -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
# shellcheck disable=SC2086 # a list of words
ninja -C build-fuzz $goals >build-fuzz/log.txt || {
    grep -E 'error|FAILED' -A4 build-fuzz/log.txt >&2
    exit 1
}
# shellcheck disable=SC2086 # a list of words
seconds=$((seconds / $(echo $targets | wc -w)))
[ "$seconds" -gt 0 ] || seconds=1 # 0 would be for ever

failed=0
interrupted=72 # the exit code of libFuzzer that was told to end
TIMEFORMAT='%U %S'
for t in $targets; do
    log=build-fuzz/found/$t.log code=0
    mkdir -p "build-fuzz/corpus/$t" "build-fuzz/found/$t"
    cpu=$({ time "build-fuzz/tests/fuzz/fuzz-$t" "-max_total_time=$seconds" -timeout=30 -rss_limit_mb=1024 \
        -print_final_stats=1 "-artifact_prefix=build-fuzz/found/$t/" \
        "build-fuzz/corpus/$t" "tests/fuzz/corpus/$t" >"$log" 2>&1; } 2>&1) || code=$?
    cpu=$(awk '{ printf "%.1f", $1 + $2 }' <<<"$cpu")
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "$(date -u +%FT%TZ) $t $seconds $cpu ${runs:-0} $((code != 0 && code != interrupted))" >>"$times"
    if [ $code = $interrupted ]; then
        echo "fuzz $t: interrupted after $runs inputs and $cpu s of processor time, nothing found"
        exit 130
    elif [ $code = 0 ]; then
        echo "fuzz $t: $runs inputs, $cpu s of processor time in $seconds s, nothing found"
    else
        failed=1
        echo "fuzz $t: FAILED; the input is in build-fuzz/found/$t/, the report:"
        grep -E -A25 'ERROR|runtime error|SUMMARY' "$log" | head -60
    fi
done
[ "$target" = "$targets" ] || tell_times
exit $failed
