#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# catalogue.sh GUESTS [PLAN] - from nothing to a signed, published, verified matrix: runs the plan's cells, signs the
# bundle, verifies it with hospes and with minisign alone, adds it to a catalogue, verifies that and builds its site.
# Whoever has the key of the published catalogue as build/catalogue/lab.key adds to docs/catalogue; for others a key is
# made, and their catalogue is build/catalogue/tree. A run that was broken off goes on with the cells that are left, as long
# as the program is the same.
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

# The software host wants a kernel, too, and it is this run's own: it ends with it.
export HOSPES_SOFT_KERNEL=${HOSPES_SOFT_KERNEL:-$guests/6.1}
HOSPES_RUNTIME=$(mktemp -dt hospes-XXXXXX)
export HOSPES_RUNTIME
end()
{
    "$hospes" host --stop
    rm -rf "$HOSPES_RUNTIME" "$work/check"
}
trap end EXIT

name=$(sed -n 's/^name *//p' "$plan")
results=$work/$name-$(sha256sum "$hospes" | cut -c1-12) bundle=$work/$name.tar.zst
# A build in the middle must not change the program.
cp -u "$hospes" "$work/hospes-$name" && hospes=$work/hospes-$name
rm -f "$bundle"
code=0 began=$SECONDS
"$hospes" validate run --out "$results" --bundle "$bundle" --key "$work/lab.key" "$plan" || code=$?
# 1: a check failed, 2: one could not be done; both are published like a pass. Without a bundle there is nothing to publish.
[ $code -le 2 ] && [ -e "$bundle" ] || exit $code
ran=$((SECONDS - began))

"$hospes" validate verify --trust "$work/lab.pub" "$bundle"
mkdir "$work/check"
zstd -dcq "$bundle" | tar -x -C "$work/check"
(cd "$work/check" && minisign -Vqm SHA256SUMS -x signatures/*.minisig -p ../lab.pub && sha256sum -c --quiet SHA256SUMS)
echo "catalogue: minisign and sha256sum say the same"

"$hospes" catalogue add --key "$work/lab.key" "$tree" "$bundle"
"$hospes" catalogue build "$tree" "$work/site"
"$hospes" catalogue verify "$tree" "$work/site"
echo "catalogue: $(find "$results/cells" -name result.json | wc -l) cells in $ran s, all in $((SECONDS - began)) s; $tree; open $work/site/index.html"
