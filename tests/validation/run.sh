#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [HOSPES [PART...]] - validation with real guests: every status that a check can have, the control run on plain QEMU, a guest
# in which nothing is installed, two guests of different personas beside each other, what two kernels use of their
# hypervisor, and a bundle run again. Where KVM is not usable, in software hosts that end with it.
# PART: status, closed, kernels, beside; all without one.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
hospes=$(realpath "${1:-$top/build/hospes}")
guests=$top/build/guests here=$top/tests/validation
export HOSPES_SOFT_KERNEL=${HOSPES_SOFT_KERNEL:-$guests/6.1}
# Where the software host sees the same files: not in a memory of this machine's own.
work=$(mktemp -d "$top/build/validation-XXXXXX")
HOSPES_RUNTIME=$(mktemp -dt hospes-XXXXXX)
export HOSPES_RUNTIME
end()
{
    "$hospes" host --stop
    rm -rf "$work" "$HOSPES_RUNTIME"
}
trap end EXIT
cloud="kernel=$guests/6.1-cloud/vmlinuz,modules=$guests/6.1-cloud,vendor=Debian,product=linux,version=6.1"
new="kernel=$guests/6.12/vmlinuz,modules=$guests/6.12,vendor=Debian,product=linux,version=6.12"
closed="kernel=$guests/6.1-cloud/vmlinuz,initrd=$work/closed.cpio,append=console=ttyS0 quiet,mode=outside,marker=closed login:,vendor=Nobody"

fail()
{
    echo "validation: $*"
    exit 1
}

# plan NAME LINE...
plan()
{
    local name=$1
    shift
    {
        echo "hospes-validation 1"
        echo "name $name"
        printf '%s\n' "$@"
    } >"$work/$name.plan"
}

# cells NAME CODE [OPTION...]: runs the plan, which must end with CODE.
cells()
{
    local name=$1 wanted=$2 code=0
    shift 2
    "$hospes" validate run --key "$work/lab.key" "$@" "$work/$name.plan" >"$work/$name.txt" 2>&1 || code=$?
    cat "$work/$name.txt"
    [ $code = "$wanted" ] || fail "plan $name ends with $code, not $wanted"
    "$hospes" validate verify --trust "$work/lab.pub" "$work/$name.results.tar.zst" >/dev/null || fail "the bundle of $name"
}

# said NAME CELL EXPRESSION WANTED: python over the record r and its checks c by id.
said()
{
    local got
    got=$(python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
c = {k["id"]: k for k in r["checks"]}
q = {k["id"]: k["status"] for k in r.get("control", [])}
print(eval(sys.argv[2]))' "$work/$1.results/cells/$2/result.json" "$3")
    [ "$got" = "$4" ] || fail "$1, $2: $3 is $got, not $4"
}

"$hospes" validate key "$work/lab" >/dev/null
"$top/tools/mkinitramfs.py" -o "$work/closed.cpio" --kernel "$guests/6.1-cloud" --init "$here/closed-init.sh" \
    --module virtio_pci --module virtio_blk --module virtio_net

# Every status, and what the control run says of the same checks.
status_part()
{
    plan status "suite boot $here/lab.sh" "persona kvm" "disk none" "network none" "guest open,$cloud" \
        "known lab.known,issue=https://bugs.example/7" "skip lab.left,why=not today"
    cells status 1 --control qemu
    open=open.kvm.c1.m256.none.none
    said status $open "[c[k]['status'] for k in ('boot.up', 'lab.flaky', 'lab.known', 'lab.left', 'lab.absent', 'lab.ours', 'lab.persona', 'lab.dies', 'lab.after', 'boot.reboot')]" \
        "['PASS', 'FLAKY', 'KNOWN', 'SKIP', 'SKIP', 'ERROR', 'PASS', 'FAIL', 'MISS', 'MISS']"
    said status $open "[a['status'] for a in c['lab.flaky']['attempts']]" "['FAIL', 'PASS']"
    said status $open "(r['verdict'], r['validated'], c['lab.known']['issue'], c['lab.left']['why'], c['lab.absent']['why'])" \
        "('FAIL', False, 'https://bugs.example/7', 'not today', 'there is no moon')"
    said status $open "[q[k] for k in ('lab.known', 'lab.persona', 'lab.dies', 'lab.after')]" "['FAIL', 'FAIL', 'FAIL', 'PASS']"
    "$hospes" support triage --json "$work/status.results.tar.zst" | grep -q 'same check fails on plain QEMU' ||
        fail "triage does not see that the control run failed, too"
}

# Nothing installed in the guest: evidence from outside alone.
closed_part()
{
    plan closed "suite boot outside power" "persona kvm" "guest closed,$closed"
    cells closed 0
    said closed closed.kvm.c1.m256.raw.user "[c[k]['status'] for k in ('boot.up', 'outside.kvm_disk', 'outside.kvm_card', 'boot.clean', 'power.crash')]" \
        "['PASS', 'PASS', 'PASS', 'SKIP', 'SKIP']"
}

# Two kernels on one persona: what each used; and the same bundle once more.
kernels_part()
{
    plan kernels "suite boot identity devices" "persona hyperv" "guest old,$cloud" "guest new,$new"
    cells kernels 0
    b=$work/kernels.results.tar.zst
    for cell in old new; do
        "$hospes" validate contract show "$b:$cell.hyperv.c1.m256.raw.user" >"$work/$cell.contract"
        grep -q '^channel ' "$work/$cell.contract" || fail "the contract of $cell has no channel"
    done
    code=0
    "$hospes" validate contract diff "$b:old.hyperv.c1.m256.raw.user" "$b:new.hyperv.c1.m256.raw.user" >"$work/diff" || code=$?
    cat "$work/diff"
    [ $code = 1 ] || fail "contract diff ends with $code"
    grep -q '^~ identity' "$work/diff" || fail "two kernels with one identity"
    "$hospes" validate replay --base "$work" "$b" >"$work/replay.txt" 2>&1 || {
        cat "$work/replay.txt"
        fail "the replay differs"
    }
    grep -q 'every verdict is the same' "$work/replay.txt" || fail "the replay compares nothing"
}

# Two guests of different personas on a network of the two.
beside_part()
{
    plan beside "level full" "suite coexist" "persona hyperv vmware" "disk none" "guest open,$cloud"
    cells beside 0
    said beside open.hyperv.c1.m256.none.user "c['coexist.files']['status'] in ('PASS', 'FLAKY')" True
    said beside open.vmware.c1.m256.none.user "c['coexist.files']['status'] in ('PASS', 'FLAKY')" True
}

parts=("${@:2}")
[ ${#parts[@]} -gt 0 ] || parts=(status closed kernels beside)
for part in "${parts[@]}"; do
    "${part}_part"
done
echo "validation: all as it must be"
