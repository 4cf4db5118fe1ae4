# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034 # read by the runner
# The guest brings up every vCPU that it was given, and each of them does work.
variants='cpus=1 cpus=2 cpus=4 cpus=8 cpus=16'
args="--cpus ${cpus:-1}"
append="hospes.cpus=${cpus:-1}"

guest()
{
    check_smp_work
}
