# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Do guests of different personas get on with each other on one host?
#: name: coexist
#: version: 1
#: owner: hospes

#: check: coexist.files
#: purpose: two guests of different persona exchange files over a network
#: pass: both files arrive with the digests that they left with
#: source: the agreements of 2009: products tested in the same computing environment
#: by: host coexist
#: level: full
#: mandatory: yes
#: personas: kvm hyperv xen vmware
#: needs: nic agent
#: seconds: 180
check_coexist_files()
{
    case $1 in
    address)
        nic=$(card)
        [ -n "$nic" ] || failure "there is no network card"
        ip link set "$nic" up
        ip address flush dev "$nic"
        ip address add "$2/24" dev "$nic" || failure "$nic takes no address"
        dd if=/dev/urandom of=/tmp/out bs=64k count=32 2>/dev/null
        say "sum $(sha256sum </tmp/out | cut -d ' ' -f 1)"
        ;;
    serve) # in the background: the other one fetches and brings
        (nc -l -p 4000 </tmp/out >/tmp/in) &
        ;;
    fetch)
        wait_for 20 ping -c 1 -W 2 "$2" || failure "the other guest does not answer"
        timeout 60 nc "$2" 4000 </tmp/out >/tmp/in || failure "no connection to the other guest"
        ;;
    compare)
        sleep 1
        want "the digest of what came" "$(sha256sum </tmp/in | cut -d ' ' -f 1)" "$2"
        ;;
    esac
    success
}
