# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# A kernel that is started by another one (how=kexec), or by one that crashed (how=kdump), finds disk and
# network card again. A core is written to storvsc; the machine then ends as crashed, 3.
variants='how=kexec how=kdump'
modules='hv_vmbus hv_storvsc hv_netvsc hv_utils sd_mod crc32c_generic ext4'
programs='/usr/sbin/kexec'
kernel=6.1
timeout=500
args="--persona hyperv --cpus 2 --memory 1G"
append="crashkernel=384M how=${how:-kexec}"
[ "${how:-kexec}" = kexec ] || exit=3

host() { kexec_run "$how"; }

kexec_disks() { tree=$(disk_of 1048576) && core=$(disk_of 1310720); }

guest() { kexec_test; }
