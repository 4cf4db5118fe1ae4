# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# With Debian's open-vm-tools in the guest: variables go both ways, the guest tells its name and address, its
# clock is set, its file systems freeze and thaw with their scripts, and it is shut down through its tools.
lib=/usr/lib/x86_64-linux-gnu/open-vm-tools/plugins
kernel=6.1
modules='vmxnet3 vmw_pvscsi sd_mod crc32c_generic ext4'
programs="/usr/bin/vmtoolsd /usr/bin/vmware-checkvm /usr/bin/vmware-rpctool /usr/bin/vmware-toolbox-cmd
$lib/vmsvc/libguestInfo.so $lib/vmsvc/libpowerOps.so $lib/vmsvc/libtimeSync.so $lib/vmsvc/libvmbackup.so"
timeout=500

said=

# say WHAT COMMAND...: runs COMMAND and keeps what it printed, or the fact that it failed.
say()
{
    local what=$1
    shift
    if out=$("$@" 2>&1); then
        echo "$what: $out"
    else
        echo "$what failed: $out"
        said="$said; $what: $out"
    fi
}

# until_has TEXT SECONDS COMMAND...: until what COMMAND prints has TEXT.
until_has()
{
    local text=$1 n=$(($2 * 2))
    shift 2
    while ! "$@" 2>/dev/null | grep -q "$text"; do
        [ $n -gt 0 ] || return 1
        sleep 0.5
        n=$((n - 1))
    done
}

host()
{
    local code=0 begun
    truncate -s 64M "$work/disk.img"
    mkfs.ext4 -q "$work/disk.img"
    begin --name vmt --cpus 2 --nic user --persona vmware,guestinfo.metadata=from-the-start \
        --disk "$work/disk.img,format=raw,write"
    wait_said 'guest is ready' || { ended; return; }
    until_has 10.0.2.15 100 "$hospes" info vmt || said="$said; no address in info"
    "$hospes" info vmt
    say set "$hospes" data vmt guestinfo.colour=blue
    until_has 'guestinfo.answer=blue' 60 "$hospes" data vmt guestinfo. || said="$said; the guest set no answer"
    "$hospes" data vmt
    say time "$hospes" ask vmt time-sync
    say freeze "$hospes" ask vmt freeze
    "$hospes" info vmt | grep -i 'file systems'
    say thaw "$hospes" ask vmt thaw
    begun=$(date +%s%N)
    say stop "$hospes" stop vmt
    ended || code=$?
    echo "stopped after $((($(date +%s%N) - begun) / 1000000)) ms"
    [ -z "$said" ] || echo "verdict: failure ${said#; }"
    [ $code = 0 ] || echo "verdict: failure exit code $code"
}

guest()
{
    local n=0
    mkdir -p /mnt /sbin /etc/vmware-tools/backupScripts.d /tmp /var/run /var/log /plugins/vmsvc /plugins/common
    mv /bin/lib*.so /plugins/vmsvc
    printf 'PRETTY_NAME="Test guest"\nNAME="Test guest"\nID=test\n' >/etc/os-release
    echo root:x:0:0:root:/:/bin/sh >/etc/passwd
    printf '[logging]\nlog=true\nvmtoolsd.level=info\nvmtoolsd.handler=file\nvmtoolsd.data=/tmp/tools.log\n' >/etc/vmware-tools/tools.conf
    printf '#!/bin/sh\necho power >>/tmp/script\n' >/etc/vmware-tools/poweroff-vm-default
    # shellcheck disable=SC2016 # for the script
    printf '#!/bin/sh\necho $1 >>/tmp/script\n' >/etc/vmware-tools/backupScripts.d/10-test
    printf '#!/bin/sh\necho "$@" >/tmp/shutdown\n' >/sbin/shutdown
    chmod +x /etc/vmware-tools/poweroff-vm-default /etc/vmware-tools/backupScripts.d/10-test /sbin/shutdown
    while [ ! -b /dev/sda ] && [ $n -lt 100 ]; do
        n=$((n + 1))
        sleep 0.2
    done
    mount -t ext4 /dev/sda /mnt || failure "no disk"
    card_up
    hostname debian-guest
    want "the hypervisor" "$(vmware-checkvm -p)" "ESX Server"
    vmtoolsd -n vmsvc --plugin-path=/plugins/vmsvc --common-path=/plugins/common >/tmp/out 2>&1 &
    pid=$!
    want "the variable from the start" "$(vmware-rpctool 'info-get guestinfo.metadata')" from-the-start
    vmware-toolbox-cmd stat speed | grep -q '^[1-9][0-9]* MHz' || failure "speed: $(vmware-toolbox-cmd stat speed 2>&1)"
    echo "guest is ready"
    n=0
    until vmware-rpctool 'info-get guestinfo.colour' >/tmp/colour 2>/dev/null; do
        [ $n -lt 200 ] || failure "no colour"
        n=$((n + 1))
        sleep 1
    done
    vmware-rpctool "info-set guestinfo.answer $(cat /tmp/colour)" || failure "cannot set a variable"
    n=0
    while [ ! -e /tmp/shutdown ] && [ $n -lt 200 ]; do
        n=$((n + 1))
        sleep 0.5
        kill -0 $pid 2>/dev/null || failure "vmtoolsd is gone: $(tail -n 3 /tmp/out /tmp/tools.log)"
    done
    tail -n 40 /tmp/tools.log | grep -v debug
    cat /tmp/script
    want "what shutdown was told" "$(cat /tmp/shutdown)" "-h now"
    want "the scripts" "$(sort -u /tmp/script | tr '\n' ' ')" "freeze power thaw "
    success
}
