# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# A kernel that is started by another one (how=kexec), or by one that crashed (how=kdump, on the vCPU on=), finds xvda and its
# network card again. A core is written to xvdb. Xen guests tell of no crash that a crash kernel follows.
variants='how=kexec how=kdump how=kdump,on=1 how=kexec,host_kernel=6.12 how=kdump,host_kernel=6.12 how=kdump,on=1,host_kernel=6.12'
modules='xen-blkfront xen-netfront crc32c_generic ext4'
programs='/usr/sbin/kexec'
kernel=6.1
timeout=600
args="--persona xen --cpus 2 --memory 1G"
# A kernel that crashes leaves the next one the vCPU that it crashed on.
append="crashkernel=384M how=${how:-kexec} on=${on:-0}"

host() { kexec_run "$how"; }

kexec_disks()
{
    tree=/dev/xvda core=/dev/xvdb
    [ -b $tree ] && [ -b $core ]
}

guest()
{
    [ "$(word second)" != kexec ] || want "processors" "$(grep -c ^processor /proc/cpuinfo)" 2
    kexec_test
}
