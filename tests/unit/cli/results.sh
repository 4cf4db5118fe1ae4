#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# results.sh MAKER HOSPES - validate, catalogue and support as they are used in odd ways. MAKER DIR makes
# DIR/matrix.results.tar.zst, DIR/lab.pub and DIR/lab.key.
set -euo pipefail
maker=$(realpath "$1") hospes=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$maker" .
bundle=matrix.results.tar.zst

fail()
{
    echo "results: $*"
    exit 1
}

# ends CODE WORDS COMMAND...: with this exit code, and says these words.
ends()
{
    local want=$1 words=$2 code=0
    shift 2
    "$hospes" "$@" >said 2>&1 </dev/null || code=$?
    [ $code = "$want" ] || fail "$*: exit code $code, not $want: $(cat said)"
    grep -qF -- "$words" said || fail "$*: it says $(cat said)"
}

# --- support ---

printf 'password=hunter2Secret\nKernel panic - not syncing: x\n' >log
ends 66 'cannot read nosuch' support bundle --out case --log nosuch
ends 64 'two names' support bundle --out case --map case
mkdir folder
ends 74 'it is a folder' support bundle --out folder --log log
if [ -e case ] || [ -e folder.map ]; then
    fail "a bundle that cannot be written leaves something"
fi
ends 0 'log-1.txt' support bundle --out case --log <(cat log)
ends 0 'stopped itself' support triage case
cp "$bundle" other-name
ends 0 'points at' support triage other-name
ends 64 'wants a day' support who --date 2009-02-30
