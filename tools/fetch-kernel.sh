#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fetch-kernel.sh FLAVOUR DIR - puts a Debian kernel package's vmlinuz, config and modules into DIR/FLAVOUR.
# FLAVOUR is 6.1, 6.1-cloud, 6.12 or 6.12-cloud. Nothing is installed; needs no root.
set -eu

flavour=$1 dir=$2
case $flavour in
6.1) meta=linux-image-amd64 ;;
6.1-cloud) meta=linux-image-cloud-amd64 ;;
6.12) meta=linux-image-6.12-amd64 ;;
6.12-cloud) meta=linux-image-6.12-cloud-amd64 ;;
*)
    echo "fetch-kernel: unknown kernel '$flavour': use 6.1, 6.1-cloud, 6.12 or 6.12-cloud" >&2
    exit 64
    ;;
esac
[ ! -e "$dir/$flavour/vmlinuz" ] || exit 0
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
exec 9>"$dir/.$flavour.lock"
flock 9
[ ! -e "$dir/$flavour/vmlinuz" ] || exit 0

package()
{
    apt-cache depends "$meta" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

download()
{
    rm -rf "$tmp"
    mkdir -p "$tmp/root"
    [ -n "$(package)" ] && (cd "$tmp" && apt-get -q -o APT::Sandbox::User=root download "$(package)" >&2)
}

tmp=$dir/.$flavour.tmp
echo "fetch-kernel: $flavour from $meta" >&2
if ! download; then
    # The lists are missing or out of date.
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    $as_root apt-get -q update >&2
    download || {
        echo "fetch-kernel: cannot download $meta: see what apt said above" >&2
        exit 69
    }
fi
dpkg-deb -x "$tmp"/*.deb "$tmp/root"
rm -f "$tmp"/*.deb
[ -d "$tmp/root/lib/modules" ] || mv "$tmp/root/usr/lib" "$tmp/root/lib"
version=$(ls "$tmp/root/lib/modules")
find "$tmp/root/lib/modules" -name '*.ko.xz' -exec xz -d {} +
depmod -b "$tmp/root" "$version"
mkdir -p "$tmp/out/lib"
mv "$tmp/root/lib/modules" "$tmp/out/lib/modules"
mv "$tmp/root/boot/config-$version" "$tmp/out/config"
echo "$version" >"$tmp/out/version"
mv "$tmp/root/boot/vmlinuz-$version" "$tmp/out/vmlinuz"
rm -rf "${dir:?}/$flavour"
mv "$tmp/out" "$dir/$flavour"
rm -rf "$tmp"
