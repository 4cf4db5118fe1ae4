#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# hostile.sh HOSPES - images that name other people's files, or lie about themselves.
# shellcheck source=tests/image/kit.sh
. "$(dirname "$0")/kit.sh"
begin "$1" qemu-img qemu-io python3

mkdir in
qemu-io -f raw -c 'write -q -P 7 0 64k' secret 2>/dev/null || {
    qemu-img create -q -f raw secret 1M
    qemu-io -f raw -c 'write -q -P 7 0 64k' secret
}

# refers NAME: a child of that file can be looked at, but nothing of the file is read.
refers()
{
    rm -f in/child.qcow2
    qemu-img create -q -u -f qcow2 -b "$1" -F raw in/child.qcow2 1M
    "$hospes" image info in/child.qcow2 >out
    grep -qF "$1" out || same "$(cat out)" "a line with $1"
    fails 65 "$hospes" image convert in/child.qcow2 stolen
    grep -q outside said || same "$(cat said)" "the option that allows it"
    [ ! -e stolen ] || same stolen nothing
    fails 65 "$hospes" image map in/child.qcow2
    fails 65 "$hospes" image serve --nbd unix=socket in/child.qcow2
}
ln -s ../secret in/link
refers "$work/secret"
refers ../secret
refers in/../../secret
refers link
refers /dev/zero
qemu-img create -q -u -f qcow2 -b ../secret -F raw in/child.qcow2 1M
"$hospes" image convert --outside in/child.qcow2 allowed
cmp -n 65536 allowed secret

# Loops, and chains that go on and on.
qemu-img create -q -u -f qcow2 -b b.qcow2 -F qcow2 a.qcow2 1M
qemu-img create -q -u -f qcow2 -b a.qcow2 -F qcow2 b.qcow2 1M
fails 65 "$hospes" image convert a.qcow2 out.raw
grep -q loop said
qemu-img create -q -f raw 0.img 1M
qemu-io -f raw -c 'write -q -P 9 0 1M' 0.img
was=0.img
for n in $(seq 60); do
    qemu-img create -q -u -f qcow2 -b "$was" -F "$([ "$n" = 1 ] && echo raw || echo qcow2)" "$n.img" 1M
    was=$n.img
done
"$hospes" image convert -f qcow2 60.img deep.raw
cmp deep.raw 0.img
"$hospes" image compare -q -f qcow2 60.img 0.img

# Sizes that lie: refused within a second, in little memory.
python3 - "$hospes" <<'END'
import resource, struct, subprocess, sys, time
hospes = sys.argv[1]

def refused(name, head, size=10 << 20):
    with open(name, "wb") as f:
        f.write(head)
        f.truncate(size)
    for verb in ("info", "map", "check"):
        start = time.monotonic()
        got = subprocess.run([hospes, "image", verb, name], capture_output=True, text=True, timeout=20)
        took = time.monotonic() - start
        if got.returncode < 0 or got.returncode == 70 or took > 5:
            sys.exit(f"{verb} {name}: {got.returncode} after {took} s: {got.stderr}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if peak > 64 * 1024:
        sys.exit(f"{name} cost {peak} KiB")

def qcow2(size, l1, bits=16, refs=1, snapshots=0):
    return struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, bits, size, 0, l1, 0x30000, 0x10000,
                       refs, snapshots, 0x40000, 0, 0, 0, 4, 104)

refused("l1.qcow2", qcow2(1 << 62, 0x7fffffff))
refused("l1-9.qcow2", qcow2(1 << 50, 1 << 30, 9))
refused("refs.qcow2", qcow2(1 << 30, 2, refs=0x7fffffff))
refused("snapshots.qcow2", qcow2(1 << 30, 2, snapshots=0xffffffff))
foot = struct.pack(">8sIIQI4sI4sQQHBBI", b"conectix", 2, 0x10000, 0x200, 0, b"win ", 0, b"Wi2k", 1 << 60,
                   1 << 60, 65535, 16, 255, 3)
foot += struct.pack(">I", ~sum(foot) & 0xffffffff) + bytes(16 + 428)
dyn = struct.pack(">8sQQIII", b"cxsparse", (1 << 64) - 1, 0x600, 0x10000, 0xffffffff, 0x200000)
dyn += struct.pack(">I", ~sum(dyn) & 0xffffffff)
refused("entries.vhd", foot + dyn.ljust(1024, b"\0"))
vdi = bytearray(512)
vdi[64:76] = struct.pack("<III", 0xbeda107f, 0x10001, 0x190)
vdi[76:84] = struct.pack("<II", 1, 0)
vdi[0x154:0x15c] = struct.pack("<II", 512, 1 << 20)
vdi[0x168:0x16c] = struct.pack("<I", 512)
vdi[0x170:0x188] = struct.pack("<QIIII", 1 << 60, 1 << 20, 0, 0xffffffff, 0xffffffff)
refused("blocks.vdi", bytes(vdi))
vmdk = struct.pack("<4sIIQQQQIQQQB4sH", b"KDMV", 1, 3, 1 << 55, 8, 1, 20, 512, 21, 1 << 20, 128, 0,
                   b"\n \r\n", 0)
refused("grains.vmdk", vmdk)
refused("text.vmdk", b"# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n"
        b'createType="monolithicFlat"\nRW 99999999999 FLAT "/dev/zero" 0\n', 4096)
END

# A guest that writes a header into its raw disk does not change what the disk is.
qemu-img create -q -f raw guest.raw 2M
qemu-img create -q -u -f qcow2 -b "$work/secret" -F raw trap.qcow2 1M
if "$hospes" image serve --help | grep -q nbd && command -v nbdcopy >/dev/null &&
    python3 -c 'import os; os.setxattr("guest.raw", "user.hospes.try", b"1")' 2>/dev/null; then
    serve --write guest.raw
    qemu-io -f raw "$uri" -c 'write -q -P 0 0 1M' >out
    nbdcopy trap.qcow2 "$uri"
    unserve
    "$hospes" image info guest.raw | grep -q '^format *raw$'
fi
