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

# --- catalogue: the site ---

ends 0 'claims added' catalogue add --key lab.key ours "$bundle"
mkdir real
ln -s real link
for site in new/ real/ ./real/. link "n ü"; do
    ends 0 combinations catalogue build ours "$site"
    ends 0 '0 faults' catalogue verify ours "$site"
done
if [ ! -L link ] || [ ! -e real/index.html ]; then
    fail "a symbolic link to a site is replaced"
fi
touch real/CNAME
ends 64 'has CNAME in it' catalogue build ours real
[ -e real/CNAME ] || fail "what was put beside a site is lost"
ends 64 'has no name' catalogue build ours ''
ends 66 'cannot read the site' catalogue verify ours nosuch
[ -z "$(find . -name '*.new-*' -o -name '*.old-*')" ] || fail "building a site leaves something: $(ls)"

# --- catalogue: making one ---

for wrong in '--level Foo' '--owner me' '--note Bad_Id' '--trust nosuch' '--name=' '--preview --level Supported' \
    '--claim --level Legacy'; do
    code=0
    # shellcheck disable=SC2086 # options are words
    "$hospes" catalogue add --key lab.key $wrong fresh "$bundle" >said 2>&1 || code=$?
    if [ $code != 64 ] && [ $code != 66 ]; then
        fail "add $wrong: exit code $code: $(cat said)"
    fi
    [ ! -e fresh ] || fail "add $wrong leaves something: $(ls fresh)"
done
# One that was interrupted, at any point, is made again.
mkdir -p cut/entries cut/bundles
: >cut/chain
echo '{' >cut/trust.json
echo x >cut/catalogue.json.1-1.part
ends 0 'claims added' catalogue add --key lab.key cut/ "$bundle"
ends 0 '0 faults' catalogue verify cut
grep -q '"name":"cut"' cut/catalogue.json || fail "the name of a catalogue is $(cat cut/catalogue.json)"
