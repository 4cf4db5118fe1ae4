# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034 # read by the runner
# The guest brings up every vCPU that it was given, and each of them does work.
variants='cpus=1 cpus=2 cpus=4 cpus=8 cpus=16'
args="--cpus ${cpus:-1}"
append="cpus=${cpus:-1}"

guest()
{
    wanted=$(sed -n 's/.*[ ]cpus=\([0-9]*\).*/\1/p' /proc/cmdline)
    want "number of CPUs" "$(grep -c ^processor /proc/cpuinfo)" "$wanted"
    cpu=0
    while [ "$cpu" -lt "$wanted" ]; do
        taskset -c "$cpu" true || failure "no work on CPU $cpu"
        cpu=$((cpu + 1))
    done
    success
}
