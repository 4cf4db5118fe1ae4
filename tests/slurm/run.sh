#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [HOSPES [PLAN]] - the cells of a plan as an array job of Slurm on this one node, with daemons of its own: nothing
# is configured, and nothing stays. Needs Debian's slurm-wlm and munge, and root or a user that may run them.
# Without PLAN: four personas with Debian's 6.1 cloud kernel, which takes some minutes.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
hospes=$(realpath "${1:-$top/build/hospes}")
for tool in munged slurmctld slurmd sbatch scontrol; do
    command -v "$tool" >/dev/null || {
        echo "slurm: no $tool: install slurm-wlm and munge"
        exit 77
    }
done

d=$(mktemp -dt hospes-slurm.XXXXXX)
node=$(hostname -s)
stop()
{
    for name in slurmd slurmctld munged; do
        [ -s "$d/$name.pid" ] || continue
        pid=$(cat "$d/$name.pid")
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 50); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
    done
    HOSPES_RUNTIME=$d/runtime "$hospes" host --stop
    rm -rf "$d"
}
trap stop EXIT

fail()
{
    echo "slurm: $*"
    tail -n 20 "$d"/*.log "$d"/cell-*.out 2>/dev/null || true
    exit 1
}

chmod 755 "$d"
mkdir -p "$d/state" "$d/spool"
# The jobs get it from here.
export HOSPES_RUNTIME=$d/runtime HOSPES_SOFT_KERNEL=${HOSPES_SOFT_KERNEL:-$top/build/guests/6.1}
dd if=/dev/urandom of="$d/key" bs=1 count=128 2>/dev/null
chmod 400 "$d/key"
munged --key-file="$d/key" --socket="$d/munge.sock" --pid-file="$d/munged.pid" --log-file="$d/munged.log" \
    --seed-file="$d/seed" --force
cat >"$d/slurm.conf" <<END
ClusterName=hospes
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$d/munge.sock
StateSaveLocation=$d/state
SlurmdSpoolDir=$d/spool
SlurmctldPidFile=$d/slurmctld.pid
SlurmdPidFile=$d/slurmd.pid
SlurmctldLogFile=$d/slurmctld.log
SlurmdLogFile=$d/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
JobCompType=jobcomp/filetxt
JobCompLoc=$d/jobs.txt
ReturnToService=2
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF=$d/slurm.conf
slurmctld
slurmd
for _ in $(seq 60); do
    [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && break
    sleep 1
done
[ "$(sinfo -h -o %T)" = idle ] || fail "the node is not idle: $(sinfo -h -o %T)"

plan=${2:-$d/array.plan}
[ -e "$plan" ] || cat >"$plan" <<END
hospes-validation 1
name     array
suite    identity smp
persona  kvm hyperv xen vmware
guest    debian-6.1-cloud,kernel=$top/build/guests/6.1-cloud/vmlinuz,modules=$top/build/guests/6.1-cloud,vendor=Debian
END
n=$("$hospes" validate plan --json "$plan" | wc -l)
cat >"$d/cells.sh" <<END
#!/bin/sh
#SBATCH --requeue
exec "$hospes" validate run-cell --out "$d/results" "$plan" "\$SLURM_ARRAY_TASK_ID"
END

# One number more than there are cells: its exit code must come through.
job=$(sbatch --parsable --array="1-$((n + 1))%2" --output="$d/cell-%a.out" "$d/cells.sh")
while [ -n "$(squeue -h -j "$job" 2>/dev/null)" ]; do
    sleep 2
done
sleep 1
"$hospes" validate collect --out "$d/results" "$plan" || fail "not every cell passed"
grep "ArrayTaskId=$((n + 1)) " "$d/jobs.txt" | grep -q 'ExitCode=64:0' || fail "the exit code of a cell is lost"
[ "$(grep -c 'JobState=COMPLETED' "$d/jobs.txt")" = "$n" ] || fail "Slurm does not count $n completed cells"

# The same once more: nothing is done twice.
before=$(sha256sum "$d"/results/cells/*/result.json)
start=$(date +%s)
job=$(sbatch --parsable --wait --array="1-$n%2" --output="$d/again-%a.out" "$d/cells.sh")
[ "$before" = "$(sha256sum "$d"/results/cells/*/result.json)" ] || fail "a result was made again"
echo "slurm: $n cells, job $job again in $(($(date +%s) - start)) s without work"
