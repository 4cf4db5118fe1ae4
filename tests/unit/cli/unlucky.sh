#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# unlucky.sh HOSPES - names and files that nobody should have given: a pipe in place of an image, a device in place of a
# file, texts that are none or would move a terminal's cursor, ports that there are not.
set -euo pipefail
hospes=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail()
{
    echo "unlucky: $*"
    exit 1
}

# ends CODE COMMAND...: within ten seconds, and with one line of complaint without control characters.
ends()
{
    local code=0 wanted=$1
    shift
    timeout 10 "$hospes" "$@" </dev/null >out 2>said || code=$?
    [ $code = "$wanted" ] || fail "$*: exit code $code, not $wanted: $(cat said)"
    [ "$wanted" = 0 ] || [ "$(wc -l <said)" = 1 ] || fail "$*: it says $(cat -v said)"
    if LC_ALL=C grep -q '[^ -~]' said; then fail "$*: it says $(cat -v said)"; fi
}

printf 'config.version = "8"\nmemsize = "64"\n' >m.vmx
truncate -s 1M disk.img
mkfifo pipe
mkdir folder

ends 65 inspect pipe
ends 65 run --host kvm pipe
ends 65 image info pipe
ends 65 validate verify folder
ends 65 support bundle --log folder
ends 66 support bundle --log nothing
printf x >plan.json
ends 65 support reproduce plan.json
grep -q '^hospes: plan.json: ' said || fail "it does not say which file is no plan: $(cat said)"

# What an image says of its parent goes to a terminal.
python3 - evil.qcow2 <<'END'
import struct, sys
parent = b"x\x1b]0;title\x07\x1b[31m\nhospes: all is well"
head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 72, len(parent), 16, 1 << 20, 0, 1, 0x30000, 0x10000, 1, 0, 0)
open(sys.argv[1], "wb").write(head + parent + bytes(0x50000))
END
ends 0 image info evil.qcow2
if tr -d '\n' <out | LC_ALL=C grep -q '[^ -~]'; then fail "image info prints $(cat -v out)"; fi
if ! grep -q 'all is well' out || grep -q '^hospes:' out; then fail "image info prints $(cat -v out)"; fi
ends 66 image info --backing-chain evil.qcow2
mkdir fleet
cp evil.qcow2 $'fleet/a\n\e[31mb.qcow2'
ends 0 inspect --fleet fleet
if tr -d '\n' <out | LC_ALL=C grep -q '[^ -~]' || ! grep -q 'qcow2$' out; then fail "inspect prints $(cat -v out)"; fi
ends 66 import $'no\nsuch\e[31mfile'

# A name that is no text; JSON is, always.
cp disk.img $'b\xff\xc3\xa9\xe2\x82.img'
for words in 'image info' inspect; do
    # shellcheck disable=SC2086 # two words
    ends 0 $words --json $'b\xff\xc3\xa9\xe2\x82.img'
    python3 -c 'import json; assert "b\ufffd\u00e9\ufffd\ufffd.img" in str(json.load(open("out", encoding="utf-8")))' ||
        fail "$words: that is no JSON: $(cat -v out)"
done

# A device takes what is written to it, and stays what it is.
ln -s /dev/null null
ends 0 import -o null m.vmx
[ -L null ] || fail "import put a file in the place of a link to /dev/null"
ends 74 import -o pipe m.vmx
[ -p pipe ] || fail "import put a file in the place of a pipe"
ends 0 support bundle --log m.vmx --map null --out bundle
[ -L null ] || fail "support put a file in the place of a link to /dev/null"

ends 64 image serve -f raw --nbd tcp=127.0.0.1:99999 disk.img
ends 64 image serve -f raw --nbd tcp=127.0.0.1:65536 disk.img
# served WHERE: what a server says of its place.
served()
{
    : >said
    "$hospes" image serve -f raw --nbd "$1" disk.img 2>said &
    for _ in $(seq 40); do
        [ ! -s said ] || break
        sleep 0.1
    done
    kill $!
    wait $! || true
}
served tcp=127.0.0.1:0
grep -Eq ' at nbd://127.0.0.1:[1-9][0-9]*$' said || fail "nobody can find port 0: $(cat said)"
served 'unix=s p&ü'
grep -q ' at nbd+unix:///?socket=s%20p%26%C3%BC$' said || fail "that is no URI: $(cat said)"
