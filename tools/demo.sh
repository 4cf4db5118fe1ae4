#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh GUESTS - boots Debian's kernel from GUESTS with a disk and a network, lets it work, and shows
# in a table what happened. Everything is installed and built. Exit code 0 when all went well.
set -eu
cd "$(dirname "$0")/.."
kernel=$1/6.1-cloud
work=$(mktemp -d "${TMPDIR:-/tmp}/hospes-demo-XXXXXX")
trap 'rm -rf "$work"' EXIT
bad=0

row() { printf '%-26s %-34s %s\n' "$1" "$2" "$3"; }

# check WHAT GOT WANTED: a row with its verdict.
check()
{
    if [ "$2" = "$3" ]; then
        row "$1" "$2" ok
    else
        row "$1" "${2:-nothing}" "WRONG, not $3"
        bad=1
    fi
}

# A disk as it comes from elsewhere: an ext4 file system with real files, and their sums.
mkdir "$work/tree"
cp -r LICENSE README.md docs "$work/tree"
(cd "$work/tree" && find . -type f -exec sha256sum {} + >../sums && mv ../sums SHA256SUMS)
files=$(wc -l <"$work/tree/SHA256SUMS")
mke2fs -q -t ext4 -d "$work/tree" "$work/disk.img" 64M >/dev/null
before=$(sha256sum <"$work/disk.img")
tools/mkinitramfs.py -o "$work/initrd" --kernel "$kernel" --init tools/demo-guest.sh \
    --module virtio_pci --module virtio_blk --module virtio_net --module ext4
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

set -- build/hospes run --name "demo-$$" --cpus 2 --memory 512M --kernel "$kernel/vmlinuz" \
    --initrd "$work/initrd" --append 'console=ttyS0 quiet panic=-1' --disk "$work/disk.img,format=raw,snapshot" \
    --nic "user,forward=tcp:127.0.0.1:$port-:80"
echo "\$ $*"
start=$(date +%s)
"$@" </dev/null >"$work/console" 2>"$work/banner" &
pid=$!
while kill -0 $pid 2>/dev/null && ! grep -q '^demo: ready' "$work/console"; do
    sleep 0.2
done
ready=$(($(date +%s) - start))
# The guest answers once, and may need a moment to listen.
python3 - "$port" "$work/page" <<'END' || true
import sys, time, urllib.request
for attempt in range(50):
    try:
        page = urllib.request.urlopen("http://127.0.0.1:%s/" % sys.argv[1], timeout=20).read()
        open(sys.argv[2], "wb").write(page)
        break
    except OSError:
        time.sleep(0.2)
END
code=0
wait $pid || code=$?

fact() { tr -d '\r' <"$work/console" | sed -n "s/^demo: $1 //p"; }
sed 's/^/  /' "$work/banner"
echo
row WHAT "SEEN BY THE GUEST OR THE HOST" VERDICT
check "kernel" "$(fact kernel)" "$(cat "$kernel/version")"
check "hypervisor it found" "$(fact hypervisor)" KVM
check "clock" "$(fact clock)" kvm-clock
check "processors" "$(fact cpus)" 2
check "disk driver" "$(fact disk-driver)" virtio_blk
check "network driver" "$(fact nic-driver)" virtio_net
check "files with the right sum" "$(fact files)" "$files"
check "deleted files on its disk" "$(fact deleted)" yes
check "disk image afterwards" "$(sha256sum <"$work/disk.img" | cut -c 1-16)" "$(echo "$before" | cut -c 1-16)"
check "page from port $port" "$(sha256sum 2>/dev/null <"$work/page" | cut -c 1-16)" "$(sha256sum <LICENSE | cut -c 1-16)"
check "exit code of hospes run" "$code" 0
row "seconds to ready, to the end" "$ready, $(($(date +%s) - start))" ""
if [ $bad != 0 ]; then
    tail -n 20 "$work/console"
fi
exit $bad
