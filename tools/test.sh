#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# test.sh [SUITE...] - passes the tests; everything is installed. The last line is
# `N passed, N failed, N skipped`; the exit code is 0 when nothing failed. Logs are in build/results.
#
#   unit      build with gcc; unit tests, and each fuzz target over its seeds
#   sanitize  the same with clang, ASan and UBSan
#   threads   the same with clang and ThreadSanitizer; only when asked for
#   style     rules about the tree
#   smoke     the boot tests that every change must pass: those in tests/boot/every-change
#   disks     whole Debian disks under each persona; makes them (root, network) when they are missing;
#             only when asked for
#   boot      all boot tests: kernels as guests, where KVM is usable; only when asked for
#   validation  real guests through every status, a control run, a replay; and a Slurm array; only when asked for
#   long      the boot tests of tests/boot/long, ten minutes of guest time and more each; only when asked for
#   inspect   disks with Debian and Windows-shaped ones, looked into; only when asked for
#   fuzz      a minute of new inputs, shared by all targets; only when asked for
set -u
cd "$(dirname "$0")/.." || exit
[ $# -gt 0 ] || set -- unit sanitize style smoke
results=$PWD/build/results
rm -rf "$results"
mkdir -p "$results"

# A step that is no test of its own, like a build, counts only when it fails.
step()
{
    name=$1
    shift
    echo "== $name"
    "$@" >"$results/$name.log" 2>&1 && return
    echo "$name" >>"$results/broken"
    grep -E 'error:|FAILED|ERROR' -A4 "$results/$name.log" | head -n 40
    echo "== $name failed; all of it: $results/$name.log"
    return 1
}

# meson_suite BUILD SUITE NAME
meson_suite()
{
    echo "== $3"
    meson test -C "$1" --suite "$2" --no-rebuild -t "${TIMES:-1}" --print-errorlogs --logbase "$3" >"$results/$3.log" 2>&1 ||
        sed -n '/Summary of Failures/,$p' "$results/$3.log"
    cp "$1/meson-logs/$3.junit.xml" "$results/" 2>/dev/null || echo "$3" >>"$results/broken"
}

built()
{
    [ -f build/build.ninja ] || meson setup build || return
    ninja -C build
}

built_sanitized()
{
    [ -f build-asan/build.ninja ] ||
        CC=clang meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false || return
    ninja -C build-asan
}

built_threads()
{
    [ -f build-tsan/build.ninja ] || CC=clang meson setup build-tsan -Db_sanitize=thread -Db_lundef=false || return
    ninja -C build-tsan
}

# A report is a failure of the test that it comes from.
threads()
{
    TSAN_OPTIONS="suppressions=$PWD/tests/unit/tsan.supp second_deadlock_stack=1" TIMES=6 meson_suite build-tsan unit threads
}

# boot [NAME...]
boot()
{
    echo "== boot"
    tests/boot/run.py --work build/boot "$@" 2>"$results/boot.log" | grep -v '^boot:'
    cp build/boot/junit.xml "$results/boot.junit.xml" || echo boot >>"$results/broken"
    tail -n 5 "$results/boot.log"
    ./dev host --stop
}

looked_into()
{
    echo "== inspect"
    tests/inspect/run.py 2>"$results/inspect.log" | sed '$d'
    cp build/inspect/junit.xml "$results/inspect.junit.xml" || echo inspect >>"$results/broken"
}

validated()
{
    ./dev kernel 6.1 && ./dev kernel 6.1-cloud && ./dev kernel 6.12
    step validation tests/validation/run.sh build/hospes
    # 77: no Slurm here.
    step slurm sh -c 'tests/slurm/run.sh build/hospes || [ $? = 77 ]'
}

rm -f build/boot/junit.xml build/inspect/junit.xml
if step build built; then
    for suite; do
        case $suite in
        unit | style) meson_suite build "$suite" "$suite" ;;
        sanitize) ! step build-sanitize built_sanitized || meson_suite build-asan unit sanitize ;;
        threads) ! step build-threads built_threads || threads ;;
        smoke)
            set -f # names have brackets
            # shellcheck disable=SC2046 # one name a line
            boot $(cat tests/boot/every-change)
            set +f
            ;;
        disks)
            for p in kvm hyperv xen vmware bare; do
                [ -e "build/disks/$p.img" ] || step "disk-$p" tools/mkdebian.sh build/disks "$p"
            done
            for p in kvm hyperv vmware; do
                [ -e "build/disks/$p-efi.img" ] || step "disk-$p-efi" tools/mkdebian.sh build/disks "$p" efi
            done
            step disks-inspect tests/inspect/run.py --boots
            boot disks/ inspect/
            ;;
        boot) boot ;;
        long)
            set -f # names have brackets
            # shellcheck disable=SC2046 # one name a line
            boot $(cat tests/boot/long)
            set +f
            ;;
        inspect) looked_into ;;
        validation) validated ;;
        fuzz) step fuzz tools/fuzz.sh all 60 ;;
        *)
            echo "test: there is no suite $suite: unit sanitize threads style smoke disks boot long validation inspect fuzz" >&2
            exit 64
            ;;
        esac
    done
fi
exec tools/results.py "$results"
