#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# results.sh MAKER HOSPES - validate, catalogue and support as they are used in odd ways. MAKER DIR makes
# DIR/matrix.results.tar.zst, DIR/lab.pub and DIR/lab.key.
set -euo pipefail
maker=$(realpath "$1") hospes=$(realpath "$2")
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
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

# never WORDS: what was said last does not have them.
never()
{
    if grep -qF -- "$1" said; then
        fail "it says $1: $(cat said)"
    fi
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

ends 0 ' added to ' catalogue add --key lab.key ours "$bundle"
mkdir real
ln -s real link
for site in new/ real/ ./real/. link "n ü"; do
    ends 0 ' combination' catalogue build ours "$site"
    ends 0 '0 faults' catalogue verify ours "$site"
done
if [ ! -L link ] || [ ! -e real/index.html ]; then
    fail "a symbolic link to a site is replaced"
fi
touch real/CNAME
ends 64 'has CNAME in it' catalogue build ours real
[ -e real/CNAME ] || fail "what was put beside a site is lost"
ends 64 'has no name' catalogue build ours ''
mkdir new.new-1 new.new-1x new.new-2 # one was ended, one is no build's, one is at work
mkfifo locked
(
    exec 9<new.new-2
    flock 9
    echo >locked
    exec sleep 60
) &
holder=$!
read -r _ <locked
ends 0 ' combination' catalogue build ours new
kill $holder
[ "$(echo new.new-*)" = 'new.new-1x new.new-2' ] || fail "of builds that were ended stays $(echo new.new-*)"
rmdir new.new-*
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
ends 0 ' added to ' catalogue add --key lab.key cut/ "$bundle"
ends 0 '0 faults' catalogue verify cut
grep -q '"name":"cut"' cut/catalogue.json || fail "the name of a catalogue is $(cat cut/catalogue.json)"

# --- catalogue: notes ---

note()
{
    local code=$1 words=$2
    shift 2
    ends "$code" "$words" catalogue errata ours --key lab.key "$@"
}
note 64 'want something' --add x-1 --text ' '
note 64 'fits nothing' --add x-1 --text t --applies persona=
note 64 'fits nothing' --add x-1 --text t --applies 'guest-product=De*n'
note 64 'persona twice' --add x-1 --text t --applies persona=xen --applies persona=kvm
note 64 'is not before' --add x-1 --text t --since 0.10.0 --resolved-in 0.9.0
note 64 'by --add' --text t
"$hospes" catalogue errata ours --add x-1 --text $'old\033[2J' --applies 'persona=*' --key lab.key
"$hospes" catalogue errata ours >said
grep -q 'x-1' said || fail "a note is not listed"
never $'\033'
"$hospes" catalogue errata ours --add x-1 --text new --applies 'persona=*' --resolved-in 9 --key lab.key
ends 0 '"text":"new"' catalogue errata ours --json
[ "$(wc -l <said)" = 1 ] || fail "two notes of one id count: $(cat said)"
ends 0 ' combination' catalogue build ours new
[ "$(grep -c 'id="x-1"' new/errata.html)" = 1 ] || fail "two elements of a page have one id"
# What somebody else says, whom nobody here trusts, is no erratum of ours.
"$hospes" validate key other >/dev/null
ends 0 ' added to ' catalogue add --key other.key --trust lab.pub theirs "$bundle"
"$hospes" catalogue errata theirs --add bad-1 --text 'it burns' --applies 'persona=*' --key other.key
ends 0 'bundle' catalogue merge ours theirs
ends 0 'x-1' catalogue errata ours
never bad-1
ends 0 ' combination' catalogue build ours new
cat new/*.html new/guest/*.html >said
never bad-1

# --- catalogue: merging ---

"$hospes" catalogue add --key lab.key --name fresh fresh "$bundle" >/dev/null
cp -r theirs poor
rm poor/bundles/*
rm fresh/bundles/*
ends 0 'and 0 bundles added' catalogue merge fresh poor
ends 0 'and 1 bundle added' catalogue merge fresh theirs
ends 0 '0 entries and 0 bundles added' catalogue merge fresh theirs
rm fresh/bundles/*
for each in theirs/bundles/*; do
    printf x >>"$each"
done
ends 65 'was changed' catalogue merge fresh theirs
[ -z "$(ls fresh/bundles)" ] || fail "a bundle is taken over that was changed"

# --- catalogue: serving ---

for at in 127.0.0.1 127.0.0.1: 127.0.0.1:8x 127.0.0.1:99999 localhost:0 :0; do
    ends 64 ' ' catalogue serve cut --http "$at"
done
export TMPDIR=$work/tmp
mkdir "$TMPDIR"
mkfifo told
"$hospes" catalogue serve cut --http 127.0.0.1:0 >told &
server=$!
read -r url <told
port=${url##*:} port=${port%/}

# asks REQUEST: the first line of the answer.
asks()
{
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf '%b' "$1" >&3
    timeout 20 head -n 1 <&3 | tr -d '\r'
    exec 3>&-
}
[[ $(asks 'GET / HTTP/1.0\r\n\r\n') = *' 200 OK' ]] || fail "GET is not answered"
[[ $(asks 'GET /../ours/chain HTTP/1.0\r\n\r\n') = *' 404 '* ]] || fail "serve leaves its folder"
for body in 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc' \
    'PUT /index.html HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx'; do
    [[ $(asks "$body") = *405* ]] || fail "it is not said that nothing can be written"
done
kill -HUP "$server"
wait "$server" || fail "serve ends with $? when its terminal is closed"
server=
[ -z "$(ls "$TMPDIR")" ] || fail "serve leaves its pages behind"

# --- validate: signatures ---

for k in one two three; do
    "$hospes" validate key "$k" >/dev/null
done
cp "$bundle" signed
ln -s signed by-link
"$hospes" validate countersign --key one.key signed &
"$hospes" validate countersign --key two.key by-link &
"$hospes" validate countersign --key three.key signed &
wait
for k in lab one two three; do
    ends 0 "trusted: $k.pub" validate verify --trust "$k.pub" signed
done
[ -L by-link ] || fail "countersign replaces a symbolic link"

# --- validate: facts ---

ends 64 'wants a name' validate key ''
ends 64 'wants a name' validate key real/
ends 64 'wants a plan' validate plan --json
ends 64 'wants no plan' validate plan --suites some.plan
ends 0 '"check":"boot.up"' validate plan --suites --json
ends 0 '"trusted":"lab.pub"' validate verify --json --trust lab.pub "$bundle"
ends 65 '"cells":' validate verify --json --trust other.pub "$bundle"
never '"trusted"'
ends 64 "$bundle:CELL" validate contract show "$bundle"
printf '{\n  "hospes-contract":1,\n  "cell":"c",\n  "persona":"xen",\n  "guest":"g",\n  "uses":[\n    {\n%s    }\n  ]\n}\n' \
    $'      "kind":"channel",\n      "name":"nic0"\n' >a:b
ends 0 '"name":"nic0"' validate contract show --json a:b
sed 's/nic0/nic1/' a:b >c
ends 1 '"change":"gone"' validate contract diff --json a:b c
"$hospes" validate contract diff a:b a:b || fail "a contract differs from itself"

# --- catalogue: facts ---

ends 0 '0 differences' catalogue diff cut cut
mkdir none
ends 0 ' added to ' catalogue add --key other.key --trust lab.pub none "$bundle"
rm -r none/entries/* && : >none/chain
ends 1 '"change":"gone"' catalogue diff --json cut none
ends 1 '"change":"new"' catalogue diff --json none cut
ends 66 'on nosuch: not validated' catalogue why cut "" --persona nosuch

# --- validate: collecting ---

printf 'hospes-validation 1\nname p\nsuite boot\npersona kvm\nguest g,kernel=k,modules=m\n' >p.plan
ends 2 'run the plan first' validate collect p.plan
[ ! -e p.results ] || fail "collect makes a folder for results that are not there"
