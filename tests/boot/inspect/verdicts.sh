# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# What `hospes inspect` says of a disk is what happens: Debians whose initramfs-tools put the drivers of one persona, or
# of all, into the initrd are started under every persona, with the kernel and the initrd that lie on the disk. They
# reach their root where the verdict is yes or likely, on the bus that it names, and nowhere else. And `run` without
# --persona takes one under which it boots, and says why in one line.
# The disks are made by `tests/inspect/run.py --boots`; `./dev test disks` does that.
variants='made=kvm made=hyperv made=xen made=vmware made=bare made=all'
kernel=6.1-cloud
timeout=1800

# verdict KEY PERSONA: of verdict.json.
verdict_of()
{
    python3 -c 'import json, sys
print(json.load(open("verdict.json"))["personas"][sys.argv[2]].get(sys.argv[1], ""))' "$1" "$2"
}

# boot WHAT OPTION...: does it reach its root? Once the initrd gives up, the restarts that follow say nothing new.
boot()
{
    local what=$1 pid
    shift
    timeout 400 "$hospes" run --host kvm --memory 512M --nic none --kernel "$disk.vmlinuz" --initrd "$disk.initrd" \
        --append "root=LABEL=root ro console=ttyS0 quiet panic=-1 rootdelay=8" "$@" </dev/null >"$what.txt" 2>"$what.err" &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
        ! grep -qE 'Gave up waiting|ALERT!' "$what.txt" || kill $pid
        sleep 0.5
    done
    wait $pid || true
    grep -q 'root reached on' "$what.txt"
}

host()
{
    local p bus boots code reached auto disk=$top/build/inspect/boots/$made
    [ -e "$disk.img" ] || {
        echo "verdict: skip there is no $disk.img: tests/inspect/run.py --boots makes it"
        return 0
    }
    cd "$work" || exit
    export TMPDIR=$work
    "$hospes" inspect --json "$disk.img" >verdict.json || return 1
    for p in kvm hyperv xen vmware bare; do
        boots=$(verdict_of boots $p) bus=$(verdict_of bus $p) reached=no
        ! boot "$p" --persona "$p" --disk "$disk.img,format=raw,snapshot${bus:+,bus=$bus}" || reached=yes
        echo "$made under $p: inspect says $boots${bus:+ on $bus}, it boots: $reached"
        case $boots,$reached in
        yes,yes | likely,yes | no,no | unlikely,no) ;;
        *)
            tail -n 15 "$p.txt" "$p.err"
            echo "verdict: failure a disk made for $made: inspect says $boots under $p${bus:+ on $bus}, and it boots: $reached"
            return 0
            ;;
        esac
    done
    boot auto --disk "$disk.img,format=raw,snapshot" || {
        tail -n 15 auto.txt auto.err
        echo "verdict: failure without --persona a disk made for $made does not boot"
        return 0
    }
    auto=$(grep -c '^why: ' auto.err)
    grep -E '^(why|persona): ' auto.err
    [ "$auto" = 1 ] || {
        echo "verdict: failure the choice is explained in $auto lines"
        return 0
    }
    echo "verdict: success"
}

guest() { error "this disk has its own init"; }
