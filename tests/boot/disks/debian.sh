# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A Debian 12 as its installer leaves it, with the drivers of one persona alone in its initial RAM disk: its own loader
# starts it from an image file, it finds its root by the persona's disk driver and its network by its card, it can be
# logged into by the screen and the keyboard, it shuts down when asked, and its image is as it was.
# With choice=auto nobody says which persona that is. With boot=uefi it is a GPT disk with shim and GRUB, which OVMF
# starts; uefi-secure: with Secure Boot. With machine=q35 the board is PCI Express.
# The images are made by tools/mkdebian.sh; `./dev test disks` does that.
variants='persona=kvm persona=hyperv persona=xen persona=vmware persona=bare
    persona=kvm,boot=uefi persona=hyperv,boot=uefi persona=vmware,boot=uefi persona=kvm,boot=uefi-secure
    persona=kvm,format=qcow2 persona=hyperv,format=vhd persona=hyperv,format=vhdx persona=xen,format=vhd
    persona=vmware,format=vmdk persona=vmware,format=vdi
    persona=kvm,choice=auto persona=hyperv,choice=auto persona=xen,choice=auto persona=vmware,choice=auto
    persona=bare,choice=auto persona=kvm,machine=q35 persona=kvm,boot=uefi,machine=q35'
timeout=1500
args="--persona ${persona:-kvm}"

# await TEXT PID SECONDS: until the serial console has it.
await()
{
    local n=0
    while ! grep -q "$1" console.txt; do
        if [ $n -ge $(($3 * 5)) ] || ! kill -0 "$2" 2>/dev/null; then
            tail -n 40 console.txt banner.txt
            echo "verdict: failure the serial console never said '$1'"
            return 1
        fi
        sleep 0.2
        n=$((n + 1))
    done
}

# expect NAME WANTED: what the guest said of NAME.
expect()
{
    local got
    got=$(sed -n "s/.*fact $1 //p" console.txt | tr -d '\r' | tail -n 1)
    # shellcheck disable=SC2254 # a pattern
    case $got in
    $2) ;;
    *) echo "verdict: failure $1 is '$got', not '$2'"; return 1 ;;
    esac
}

# log_in: on the screen's console, and asks for the facts.
log_in()
{
    "$hospes" type --timeout 200 debian 'root\n' || return 1
    sleep 3
    "$hospes" type --timeout 200 debian 'hospes\n' || return 1
    sleep 5
    "$hospes" type --timeout 200 debian './facts\n'
}

host()
{
    local image="$top/build/disks/$persona.img" vm code=0 before nic=user firmware="--firmware bios" part=1 secure=
    case ${boot:-} in
    uefi*)
        image=$top/build/disks/$persona-efi.img part=2
        firmware='--firmware uefi --nvram none' secure=0
        ;;
    esac
    [ "${boot:-}" != uefi-secure ] || firmware='--firmware uefi,secure --nvram none' secure=1
    [ -e "$image" ] || {
        echo "verdict: skip there is no $image: tools/mkdebian.sh makes it"
        return 0
    }
    cd "$work" || exit
    export TMPDIR=$work
    if [ "${format:-raw}" != raw ]; then
        "$hospes" image convert -f raw -O "$format" "$image" "$work/disk.$format" || return 1
        image=$work/disk.$format
    fi
    # A disk that was converted is in memory; of the others it was kept when they were made, for reading one takes minutes.
    case ${format:-raw} in
    raw) before=$(cut -d ' ' -f 1 "$image.md5" 2>/dev/null || md5sum <"$image" | cut -d ' ' -f 1) ;;
    *) before=$(md5sum <"$image" | cut -d ' ' -f 1) ;;
    esac
    [ "$persona" != bare ] || nic=none
    set -- --persona "$persona" --nic $nic ${machine:+--machine "$machine"} --disk "$image,format=${format:-raw},snapshot"
    # The name and the host are for this test.
    [ "${choice:-}" != auto ] || { set -- --persona auto "$image" && firmware=; }
    # shellcheck disable=SC2086 # words
    "$hospes" run --host kvm --name debian $firmware "$@" </dev/null >console.txt 2>banner.txt &
    vm=$!
    await "$persona login:" $vm 600 || { kill $vm; return 1; }
    # The same prompt is on the screen.
    log_in || { kill $vm; return 1; }
    await 'fact end' $vm 200 || { "$hospes" screenshot debian "$top/build/boot/debian-$persona.png"; kill $vm; return 1; }
    "$hospes" screenshot debian "$top/build/boot/debian-$persona.png"
    "$hospes" stop --timeout 300 debian || { kill $vm; return 1; }
    wait $vm || code=$?
    cat banner.txt >&2
    tr -d '\r' <console.txt | grep "fact "
    if [ "${choice:-}" = auto ] && ! { grep -q "^persona: $persona" banner.txt && grep -q '^why: ' banner.txt; }; then
        echo "verdict: failure the persona that was chosen is not $persona, or nobody said why"
        return 1
    fi
    case $persona in
    kvm) expect root "/dev/vda$part" && expect driver virtio_blk && expect virt kvm && expect nic virtio_net ;;
    hyperv) expect path '*MSFT1000*' && expect virt microsoft && expect nic hv_netvsc ;;
    xen) expect root "/dev/xvda$part" && expect virt xen && expect nic vif ;;
    vmware) expect path '*pci*host*' && expect virt vmware && expect nic vmxnet3 ;;
    bare) expect path '*pci*ata*' && expect virt none ;;
    esac || return 1
    [ "$persona" = bare ] || expect address '10.0.2.15/24' || return 1
    expect disks 1 && expect secure "$secure" || return 1
    if [ "$before" = "$(md5sum <"$image" | cut -d ' ' -f 1)" ]; then
        echo "verdict: success"
    else
        echo "verdict: failure the image has changed"
    fi
    return $code
}

guest() { error "this disk has its own init"; }
