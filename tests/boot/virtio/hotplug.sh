# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A disk comes while the guest runs, is used, and goes again; then another comes.
kernel=6.1-cloud
modules='virtio_pci virtio_scsi sd_mod'
timeout=240

host() { plug_run disk0 bus=scsi '' --persona kvm,scsi; }

guest()
{
    come_and_go sda
    success
}
