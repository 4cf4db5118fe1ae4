# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034 # read by the runner
# The kernel of the guest has nothing to complain about.
variants='kernel=6.1-cloud kernel=6.1 kernel=6.12'
modules='virtio_pci virtio_blk virtio_net virtio_console virtio_rng virtio_balloon'
args='--cpus 2'

guest()
{
    # What QEMU's guests on the same host say too is not held against hospes: the CPU's faults, no _CPC object, a busy host,
    # and, where KVM itself is emulated, XSETBV that KVM does not see ("XSAVE consistency", a block of lines).
    dmesg -r | grep -E '^<[0-4]>' |
        awk '/cut here/ { block = $0; next }
             block != "" { xsave = /XSAVE consistency/; if (!xsave) print block; block = "" }
             !xsave && !/CPUID\[0d/
             /end trace/ { xsave = 0 }' | grep -vE \
        'mitigation|[Vv]ulnerab|Spectre|Speculative|RETBleed|TAA|MDS|MMIO Stale|retpoline|module verification|tainting|_CPC object|hrtimer: interrupt took' \
        >/tmp/warnings
    while read -r line; do
        echo "dmesg: $line"
    done </tmp/warnings
    [ ! -s /tmp/warnings ] || failure "$(wc -l </tmp/warnings) warnings in dmesg"
    success
}
