# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# A kernel entered by Xen's PVH note, as an uncompressed ELF file, sees Xen and its disk.
variants='host_kernel=6.1 host_kernel=6.12'
kernel=6.1 # packed by xz, which Python reads
modules='xen-blkfront'
args="--persona xen --cpus 2 --nic none"
timeout=400

host()
{
    truncate -s 16M "$work/disk.img"
    # The payload of a bzImage: boot.rst of Linux, fields setup_sects, payload_offset and payload_length.
    python3 - "$kernel_image" "$work/vmlinux" <<'END' || return 1
import lzma, struct, sys
image = open(sys.argv[1], "rb").read()
offset, length = struct.unpack_from("<II", image, 0x248)
start = (image[0x1f1] + 1) * 512 + offset
open(sys.argv[2], "wb").write(lzma.LZMADecompressor().decompress(image[start:start + length]))
END
    kernel_image=$work/vmlinux
    run --disk "$work/disk.img,format=raw" </dev/null 2>"$work/err"
    local code=$?
    cat "$work/err"
    grep -q 'PVH kernel' "$work/err" || echo "verdict: failure the kernel was not entered by its PVH note"
    return $code
}

guest()
{
    dmesg | grep -E "Hypervisor detected|Booting paravirt" | head -n 3
    dmesg | grep -q "Hypervisor detected: Xen HVM" || failure "Xen was not detected"
    dmesg | grep -q "PVH" || failure "the kernel does not say that it is a PVH guest"
    want "processors" "$(grep -c ^processor /proc/cpuinfo)" 2
    wait_for 10 test -e /dev/xvda || failure "there is no disk"
    dd if=/dev/xvda of=/dev/null bs=1M || failure "the disk cannot be read"
    success
}
