#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# full.sh MAKER HOSPES - what is written on a disk that is full or becomes it: all of it or nothing, with a sentence and
# exit code 74. MAKER DIR makes DIR/matrix.results.tar.zst, DIR/lab.pub and DIR/lab.key.
set -euo pipefail
maker=$(realpath "$1") hospes=$(realpath "$2")
if [ "${3:-}" != inside ]; then
    unshare -rm true 2>/dev/null || {
        echo "no namespaces for a small disk"
        exit 77
    }
    exec unshare -rm "$0" "$maker" "$hospes" inside
fi

work=$(mktemp -d)
trap 'umount "$work/disk" 2>/dev/null || true; rm -rf "$work"' EXIT
"$maker" "$work"
mkdir "$work/disk" "$work/catalogue"
printf 'password=hunter2Secret of 10.1.2.3\n' >"$work/log"
printf 'config.version = "8"\nmemsize = "64"\n' >"$work/m.vmx"
"$hospes" catalogue add --key "$work/lab.key" "$work/catalogue" "$work/matrix.results.tar.zst" >/dev/null
failed=0 refused=0 done=0

# All files but the filler, with their digests.
state() { (cd "$work/disk" && find . -type f ! -name fill | sort | xargs -r sha256sum); }

# once NAME KIB COMMAND...: with KIB of room left. What is there already stays as it was unless the command succeeds.
once()
{
    local name=$1 left=$2 code=0 before
    shift 2
    dd if=/dev/zero of="$work/disk/fill" bs=4k 2>/dev/null || true # until it is full
    truncate -s -$((left * 1024)) "$work/disk/fill"
    before=$(state)
    "$@" >"$work/said" 2>&1 || code=$?
    case $code in
    0) done=$((done + 1)) ;;
    74)
        refused=$((refused + 1))
        grep -q 'No space left' "$work/said" || {
            echo "$name, $left KiB: it does not say why: $(cat "$work/said")"
            failed=1
        }
        [ "$name" = catalogue ] || [ "$before" = "$(state)" ] || {
            echo "$name, $left KiB: something is left behind:"
            diff <(echo "$before") <(state) || true
            failed=1
        }
        ;;
    *)
        echo "$name, $left KiB: exit code $code: $(cat "$work/said")"
        failed=1
        ;;
    esac
    rm "$work/disk/fill"
}

fresh()
{
    umount "$work/disk" 2>/dev/null || true
    mount -t tmpfs -o size=1024k tmpfs "$work/disk"
}

for left in 0 4 8 12 16 24 32 48 96; do
    fresh
    once key $left "$hospes" validate key "$work/disk/k"
    fresh
    once import $left "$hospes" import -o "$work/disk/plan.json" "$work/m.vmx"
    fresh
    once support $left "$hospes" support bundle --log "$work/log" --out "$work/disk/s.tar.zst"
    fresh
    cp "$work/matrix.results.tar.zst" "$work/disk/b"
    "$hospes" validate key "$work/disk/second" >/dev/null
    once countersign $left "$hospes" validate countersign --key "$work/disk/second.key" "$work/disk/b"
    "$hospes" validate verify --trust "$work/lab.pub" "$work/disk/b" >/dev/null
    fresh
    cp -r "$work/catalogue" "$work/disk/cat"
    once catalogue $left "$hospes" catalogue add --key "$work/lab.key" "$work/disk/cat" "$work/matrix.results.tar.zst"
    "$hospes" catalogue verify "$work/disk/cat" >"$work/said" 2>&1 || {
        echo "catalogue, $left KiB: $(cat "$work/said")"
        failed=1
    }
done
echo "full: $refused refused, $done done"
[ $refused -gt 0 ] && [ $done -gt 0 ] && exit $failed
exit 1
