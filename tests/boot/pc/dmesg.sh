# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034 # read by the runner
# The kernel of the guest has nothing to complain about.
variants='kernel=6.1-cloud kernel=6.1 kernel=6.12'
modules='virtio_pci virtio_blk virtio_net virtio_console virtio_rng virtio_balloon'
args='--cpus 2'

guest()
{
    # Said on every virtual machine, by QEMU's guests too: facts about this CPU and this configuration.
    dmesg -r | grep -E '^<[0-4]>' | grep -vE \
        'mitigation|[Vv]ulnerab|Spectre|Speculative|RETBleed|TAA|MDS|MMIO Stale|retpoline|module verification|tainting|platform regulatory|Unknown kernel command line' \
        >/tmp/warnings
    while read -r line; do
        echo "dmesg: $line"
    done </tmp/warnings
    [ ! -s /tmp/warnings ] || failure "$(wc -l </tmp/warnings) warnings in dmesg"
    success
}
