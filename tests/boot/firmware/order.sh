# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# Of two disks that both start, the one with boot=1 does, on every bus that firmware knows; without boot=, the first one.
# Each says its letter.
timeout=400

host()
{
    local persona first other got on second
    cd "$work" || exit
    export TMPDIR=$work
    sector A a.img
    sector B b.img
    # Persona, bus of the first disk, bus of the second one.
    for on in kvm,virtio,virtio kvm,scsi,scsi kvm,virtio,nvme bare,ide,ide bare,sata,sata hyperv,ide,ide vmware,pvscsi,pvscsi \
        vmware,lsilogic,lsilogic; do
        persona=${on%%,*} other=${on##*,} first=${on#*,}
        first=${first%,*}
        for second in boot=1 loop=0; do
            got=$(timeout 60 "$hospes" run --host kvm --persona "$persona" --memory 64M --nic none \
                --disk "a.img,format=raw,bus=$first" --disk "b.img,format=raw,bus=$other,$second" </dev/null 2>err |
                tail -c 1)
            echo "$on $second: $got"
            case $second$got in
            boot=1B | loop=0A) ;;
            *)
                cat err
                echo "verdict: failure on $on with $second it started disk '$got'"
                return 0
                ;;
            esac
        done
    done
    echo "verdict: success"
}

guest() { error "these disks have no system"; }
