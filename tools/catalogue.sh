#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# catalogue.sh GUESTS [PLAN] - runs the project's matrix, signs it, adds it to the catalogue in docs/catalogue and builds its
# site. The key is build/catalogue/lab.key, made when there is none; whoever publishes keeps it.
set -euo pipefail
cd "$(dirname "$0")/.."
guests=$1 plan=${2:-docs/guide/matrix.plan}
hospes=build/hospes work=build/catalogue
mkdir -p "$work"
[ -e "$work/lab.key" ] || "$hospes" validate key "$work/lab"

# The software host wants a kernel, too.
export HOSPES_SOFT_KERNEL=${HOSPES_SOFT_KERNEL:-$guests/6.1}
name=$(sed -n 's/^name *//p' "$plan")
code=0
"$hospes" validate run --out "$work/$name" --bundle "$work/$name.tar.zst" --key "$work/lab.key" "$plan" || code=$?
# 1: a check failed, which is published like a pass. Else there is nothing to publish.
[ $code -le 1 ] || exit $code
"$hospes" validate verify --trust "$work/lab.pub" "$work/$name.tar.zst"
"$hospes" catalogue add --key "$work/lab.key" docs/catalogue "$work/$name.tar.zst"
"$hospes" catalogue build docs/catalogue "$work/site"
echo "catalogue: docs/catalogue; open $work/site/index.html"
