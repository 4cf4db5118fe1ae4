# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# With Debian's hyperv-daemons in the guest: pairs go both ways, a file is copied in, file systems freeze
# and thaw, a card gets its address, and the guest's clock follows the host's.
modules='hv_vmbus hv_utils hv_netvsc hv_storvsc sd_mod ext4'
programs='/usr/sbin/hv_kvp_daemon /usr/sbin/hv_vss_daemon /usr/sbin/hv_fcopy_daemon'
timeout=400
args="--persona hyperv"

host()
{
    local code=0 pairs
    truncate -s 64M "$work/disk.img"
    mkfs.ext4 -q "$work/disk.img"
    begin --name hvd --disk "$work/disk.img,format=raw,write"
    wait_said 'guest is ready'
    wait_printed OSName 60 "$hospes" data hvd auto/ || said="$said; no pairs from the guest"
    pairs=$("$hospes" data hvd)
    echo "$pairs"
    echo "$pairs" | grep -q '^auto/FullyQualifiedDomainName=' || said="$said; no name among the pairs"
    try set "$hospes" data hvd colour=blue
    try address "$hospes" data hvd address/nic0=10.0.2.77/24,gateway=10.0.2.2
    head -c 100000 /dev/urandom >"$work/file"
    try copy "$hospes" copy hvd "$work/file" /tmp/folder/file
    try freeze "$hospes" ask hvd freeze
    try thaw "$hospes" ask hvd thaw
    try time "$hospes" ask hvd time-sync
    "$hospes" info hvd
    sha256sum <"$work/file"
    "$hospes" data hvd "finish=$(sha256sum <"$work/file" | cut -c1-64)" || code=1
    ended || code=$?
    [ -z "$said" ] || echo "verdict: failure ${said#; }"
    [ $code = 0 ] || echo "verdict: failure exit code $code"
}


guest()
{
    mkdir -p /var/lib/hyperv /usr/libexec/hypervkvpd /mnt /etc /tmp /var/run
    printf 'PRETTY_NAME="Test guest"\nNAME="Test guest"\n' >/etc/os-release
    echo root:x:0:0:root:/:/bin/sh >/etc/passwd
    # What a distribution does with an address: the daemon hands a file over.
    # shellcheck disable=SC2016 # for the script
    printf '#!/bin/sh\ncat "$1" >/tmp/ifcfg\n' >/usr/libexec/hypervkvpd/hv_set_ifconfig
    chmod +x /usr/libexec/hypervkvpd/hv_set_ifconfig
    wait_for 10 test -b /dev/sda
    mount -t ext4 /dev/sda /mnt || failure "no disk"
    ip link set eth0 up
    for d in kvp vss fcopy; do
        hv_${d}_daemon
    done
    echo "guest is ready"
    wait_for 300 grep -q finish /var/lib/hyperv/.kvp_pool_0
    tr '\0' '\n' </var/lib/hyperv/.kvp_pool_0 | grep .
    cat /tmp/ifcfg
    want colour "$(tr '\0' '\n' </var/lib/hyperv/.kvp_pool_0 | grep . | grep -A1 '^colour$' | tail -n 1)" blue
    want sum "$(sha256sum </tmp/folder/file | cut -c1-64)" \
        "$(tr '\0' '\n' </var/lib/hyperv/.kvp_pool_0 | grep . | grep -A1 '^finish$' | tail -n 1)"
    grep -q 10.0.2.77 /tmp/ifcfg || failure "the address did not come"
    success
}
