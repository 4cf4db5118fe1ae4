# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A guest that crashes, taken through support: its bundle holds what both vendors need and none of its secrets, triage
# points at the guest, and the machine that reproduce makes without the persona, here and on plain QEMU, crashes as well.
variants='persona=kvm persona=hyperv'
kernel=6.1-cloud
modules='pvpanic_pci pvpanic_mmio'
exit=0
timeout=420

guest()
{
    # What logs hold in the field: none of it may leave the house.
    echo "login attempt: password=Gurken-Salat-17 from 192.168.77.12"
    echo "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJob3NwZXMifQ.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZw"
    echo "peer 192.168.77.12 has 52:54:00:aa:bb:cc"
    echo "ready to crash"
    read -r _ # the host has a look first
    echo c >/proc/sysrq-trigger
    failure "still alive after a panic"
}

# crashes WHAT COMMAND...: it shows the same panic. What is typed before the guest's console driver listens is lost.
crashes()
{
    local what=$1
    shift
    (while sleep 1 && echo; do :; done | timeout 200 "$@") >"$what.txt" 2>"$what.err"
    grep -q 'sysrq: Trigger a crash\|sysrq triggered crash' "$what.txt" || {
        tail -n 5 "$what.txt" "$what.err"
        echo "verdict: failure the machine on $what does not crash the same way"
        return 1
    }
}

host()
{
    local code=0 vm secret plan
    cd "$work" || exit
    export TMPDIR=$work
    cp "$kernel_image" vmlinuz
    cp "$initrd" initrd
    mkfifo keys
    "$hospes" run --host kvm --persona "${persona:-kvm}" --name shop --kernel vmlinuz --initrd initrd \
        --append "console=ttyS0 panic=-1 api_token=Zwiebel-Kuchen-42" <keys >console.txt 2>vmm.txt &
    vm=$!
    exec 3>keys
    while ! grep -q 'ready to crash' console.txt; do
        kill -0 $vm 2>/dev/null || { cat vmm.txt; echo "verdict: failure the guest ended early"; return 1; }
        sleep 0.2
    done
    "$hospes" support bundle --log console.txt --log vmm.txt --out case.tar.zst shop || return 1
    echo >&3
    wait $vm || code=$?
    exec 3>&-
    [ $code = 3 ] || { echo "verdict: failure a crash ends with $code, not 3"; return 1; }
    "$hospes" support bundle --log console.txt --log vmm.txt --out after.tar.zst || return 1

    mkdir case after
    zstd -dcq case.tar.zst | tar -x -C case && zstd -dcq after.tar.zst | tar -x -C after || return 1
    for secret in Gurken Zwiebel eyJ 192.168.77.12 52:54:00:aa:bb:cc; do
        ! grep -rqF "$secret" case after || { echo "verdict: failure $secret is in a bundle"; return 1; }
    done
    # One address, one false name.
    [ "$(grep -hE 'login attempt|peer' after/log-1.txt | grep -oE 'ip-[0-9a-f]{8}' | sort -u | wc -l)" = 1 ] || {
        echo "verdict: failure an address has two false names"
        return 1
    }
    grep -q '"persona"' case/info.json || { echo "verdict: failure the bundle has no facts of the machine"; return 1; }
    grep -q 'Trigger a crash\|triggered crash' after/log-1.txt || { echo "verdict: failure the panic is not in the bundle"; return 1; }

    "$hospes" support triage console.txt vmm.txt | tee triage.txt
    grep -q 'points at: guest (' triage.txt || { echo "verdict: failure triage does not point at the guest"; return 1; }

    cat >shop.xml <<'END'
<domain type='kvm'><name>shop</name><memory unit='MiB'>256</memory><vcpu>1</vcpu><os><type machine='pc'>hvm</type>
<kernel>vmlinuz</kernel><initrd>initrd</initrd><cmdline>console=ttyS0 panic=-1</cmdline></os></domain>
END
    "$hospes" import -o shop.json shop.xml >/dev/null || return 1
    export HOSPES_HOST=kvm
    plan=$("$hospes" support reproduce --on bare shop.json) || return 1
    crashes bare sh -c "$(dirname "$hospes")/$plan --host kvm" || return 1
    plan=$("$hospes" support reproduce --on qemu shop.json) || return 1
    crashes qemu sh -c "$plan -no-reboot" || return 1
    echo "verdict: success"
}
