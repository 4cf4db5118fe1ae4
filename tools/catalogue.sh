#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# catalogue.sh GUESTS [PLAN] - runs the project's matrix, signs it, adds it to a catalogue and builds its site. Whoever has the
# key of the published catalogue as build/catalogue/lab.key adds to docs/catalogue; for others a key is made, and their
# catalogue is build/catalogue/tree.
set -euo pipefail
cd "$(dirname "$0")/.."
guests=$1 plan=${2:-docs/guide/matrix.plan}
hospes=build/hospes work=build/catalogue
mkdir -p "$work"
tree=docs/catalogue
[ -e "$work/lab.key" ] || "$hospes" validate key "$work/lab"
if [ -e "$tree/trust.json" ] && ! grep -qF "$(sed -n 2p "$work/lab.pub")" "$tree/trust.json"; then
    tree=$work/tree
fi

# The software host wants a kernel, too.
export HOSPES_SOFT_KERNEL=${HOSPES_SOFT_KERNEL:-$guests/6.1}
name=$(sed -n 's/^name *//p' "$plan")
code=0
"$hospes" validate run --out "$work/$name" --bundle "$work/$name.tar.zst" --key "$work/lab.key" "$plan" || code=$?
# 1: a check failed, which is published like a pass. Else there is nothing to publish.
[ $code -le 1 ] || exit $code
"$hospes" validate verify --trust "$work/lab.pub" "$work/$name.tar.zst"
"$hospes" catalogue add --key "$work/lab.key" "$tree" "$work/$name.tar.zst"
"$hospes" catalogue build "$tree" "$work/site"
echo "catalogue: $tree; open $work/site/index.html"
