#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tables.sh TEST-BOARD : ACPI's own compiler reads every table, and takes the DSDT back without a remark.
set -eu
command -v iasl >/dev/null || {
    echo 'iasl is not installed (acpica-tools)'
    exit 77
}
dir=$(mktemp -d) bad=0
trap 'rm -rf "$dir"' EXIT
# check FOLDER: the tables in there.
check()
{
    cd "$1"
    for table in APIC DSDT FACP FACS MCFG RSDT XSDT; do
        file=$(find . -name "$table@*.dat" | head -n 1)
        [ -n "$file" ] || { echo "$table was not left"; exit 1; }
        mv "$file" $table.dat
        iasl -d $table.dat >said 2>&1 || { echo "$table: "; cat said; bad=1; }
        if grep -Ei 'invalid|incorrect|warning|error' said; then bad=1; fi
    done
    iasl -tc DSDT.dsl >said 2>&1 || bad=1
    grep -q '0 Errors, 0 Warnings, 0 Remarks' said || { cat said; bad=1; }
    cd "$dir"
}

test=$(realpath "$1")
mkdir "$dir/pc" "$dir/q35"
HOSPES_TEST_TABLES=$dir/pc "$test" >"$dir/log" 2>&1 || {
    cat "$dir/log"
    exit 1
}
check "$dir/pc"
# The tests of that program are about a PC; here it makes the tables of a q35.
HOSPES_TEST_Q35=1 HOSPES_TEST_TABLES=$dir/q35 "$test" >"$dir/log" 2>&1 || :
check "$dir/q35"
exit $bad
