#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# recipe.sh MAKER GUIDE - a bundle is checked by the lines of the guide, with minisign and openssl alone.
# MAKER DIR makes DIR/matrix.results.tar.zst and DIR/lab.pub.
set -eu
for tool in minisign openssl zstd tar; do
    command -v "$tool" >/dev/null || {
        echo "no $tool"
        exit 77
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" "$work"
# The two blocks of the section, as they stand.
sed -n '/^## Check a bundle without hospes/,/^## Do it again/p' "$2" |
    sed -n '/^```$/,/^```$/p' | grep -v '^```$' >"$work/lines"
grep -q minisign "$work/lines" && grep -q pkeyutl "$work/lines"
(cd "$work" && sh -eu ./lines) >"$work/out" 2>&1 || {
    cat "$work/out"
    exit 1
}
grep -q 'Signature and comment signature verified' "$work/out"
grep -q 'Signature Verified Successfully' "$work/out"
# And it can fail.
printf 'x' >>"$work/b/manifest.json"
! (cd "$work/b" && sha256sum -c --quiet SHA256SUMS) >"$work/out" 2>&1
printf 'x' >>"$work/b/pae"
! (cd "$work/b" && openssl pkeyutl -verify -rawin -pubin -inkey lab.pem -in pae -sigfile sig) >"$work/out" 2>&1
