#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# stdout.sh HOSPES - what is printed arrives, or the command fails, and goes nowhere else; `import -o -` prints the plan
# alone; ls is silent about a machine that ends meanwhile.
set -euo pipefail
hospes=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail()
{
    echo "stdout: $*"
    exit 1
}

# full COMMAND...: has much or little to print, and nowhere to.
full()
{
    local code=0
    "$hospes" "$@" >/dev/full 2>said || code=$?
    [ $code = 74 ] || fail "$*: exit code $code into a full device"
    grep -q 'No space left' said || fail "$*: it says $(cat said)"
}

printf 'config.version = "8"\nmemsize = "64"\ndisplayName = "one"\n' >m.vmx
truncate -s 1M disk.img

full version
full help
full image info --json -f raw disk.img
full import m.vmx
full import -o - m.vmx
# Somebody who has read enough is no fault.
"$hospes" help | head -n 1 >/dev/null

"$hospes" import -o plan.json m.vmx >report
"$hospes" import -o - m.vmx >printed
cmp plan.json printed || fail "import prints another plan than it writes"
code=0
"$hospes" import --json -o - m.vmx >printed 2>said || code=$?
[ $code = 64 ] || fail "the plan and the report both on standard output: exit code $code"
[ -z "$(cat printed)$(ls ./- 2>/dev/null)" ] || fail "a refused import left something"

# A file that may not grow is an error like others, and leaves nothing.
code=0
(ulimit -f 100 && "$hospes" image create -f vhd -o subformat=fixed grown.vhd 1M 2>said) || code=$?
[ $code = 74 ] || fail "exit code $code for a file that may not grow: $(cat said)"
grep -q 'File too large' said || fail "it says $(cat said)"
[ ! -e grown.vhd ] || fail "the file that may not grow is left behind"

# A program that is started without standard streams: no file takes their numbers.
"$hospes" image serve --write -f raw --nbd unix=socket disk.img <&- >&- 2>&- &
server=$!
for _ in $(seq 100); do
    [ ! -S socket ] || break
    sleep 0.1
done
for fd in 0 1 2; do
    [ "$(readlink /proc/$server/fd/$fd)" = /dev/null ] || fail "$fd is $(readlink /proc/$server/fd/$fd)"
done
kill $server
wait $server || true

# A machine that ends while it is asked is none, and no fault.
mkdir -m 700 runtime
python3 - runtime/gone.sock <<'END' &
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind("socket.new")
s.listen()
os.rename("socket.new", sys.argv[1])
s.accept()[0].close()
END
server=$!
for _ in $(seq 100); do
    [ ! -S runtime/gone.sock ] || break
    sleep 0.1
done
HOSPES_RUNTIME=$PWD/runtime "$hospes" ls >printed 2>&1 || fail "ls ended with $?"
wait $server
[ ! -s printed ] || fail "ls says of a machine that has gone: $(cat printed)"
