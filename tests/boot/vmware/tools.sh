# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# With Debian's open-vm-tools in the guest: variables go both ways, the guest tells its name and address, its
# clock is set, its file systems freeze and thaw with their scripts, and it is shut down through its tools. They try
# sockets first where there are any, and then use the backdoor.
variants='sockets=no sockets=yes'
lib=/usr/lib/x86_64-linux-gnu/open-vm-tools/plugins
kernel=6.1
modules='vmxnet3 vmw_pvscsi sd_mod crc32c_generic ext4'
[ "${sockets:-no}" = no ] || modules="$modules vmw_vmci vsock vmw_vsock_vmci_transport"
programs="/usr/bin/vmtoolsd /usr/bin/vmware-checkvm /usr/bin/vmware-rpctool /usr/bin/vmware-toolbox-cmd
$lib/vmsvc/libguestInfo.so $lib/vmsvc/libpowerOps.so $lib/vmsvc/libtimeSync.so $lib/vmsvc/libvmbackup.so"
timeout=500

host()
{
    local code=0 begun more
    truncate -s 64M "$work/disk.img"
    mkfs.ext4 -q "$work/disk.img"
    [ "$sockets" = no ] || more=,vsock=$work/sock
    begin --name vmt --cpus 2 --nic user --persona "vmware,guestinfo.metadata=from-the-start${more:-}" \
        --disk "$work/disk.img,format=raw,write"
    wait_said 'guest is ready' || { ended; return; }
    wait_printed 10.0.2.15 100 "$hospes" info vmt || said="$said; no address in info"
    "$hospes" info vmt
    try set "$hospes" data vmt guestinfo.colour=blue
    wait_printed 'guestinfo.answer=blue' 60 "$hospes" data vmt guestinfo. || said="$said; the guest set no answer"
    "$hospes" data vmt
    try time "$hospes" ask vmt time-sync
    try freeze "$hospes" ask vmt freeze
    wait_printed 'file systems.*frozen' 10 "$hospes" info vmt || said="$said; info does not say that they are frozen"
    try thaw "$hospes" ask vmt thaw
    begun=$(date +%s%N)
    try stop "$hospes" stop vmt
    ended || code=$?
    echo "stopped after $((($(date +%s%N) - begun) / 1000000)) ms"
    [ -z "$said" ] || echo "verdict: failure ${said#; }"
    [ $code = 0 ] || echo "verdict: failure exit code $code"
}

# The guest has been told to shut down, or the tools have ended.
told_or_gone() { [ -e /tmp/shutdown ] || ! kill -0 "$pid"; }

guest()
{
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
    ln -s /proc/self/mounts /etc/mtab # as Debian has it: the tools look there for what to freeze
    wait_for 50 test -b /dev/sda
    mount -t ext4 /dev/sda /mnt || failure "no disk"
    card_up
    hostname debian-guest
    want "the hypervisor" "$(vmware-checkvm -p)" "ESX Server"
    vmtoolsd -n vmsvc --plugin-path=/plugins/vmsvc --common-path=/plugins/common >/tmp/out 2>&1 &
    pid=$!
    want "the variable from the start" "$(vmware-rpctool 'info-get guestinfo.metadata')" from-the-start
    vmware-toolbox-cmd stat speed | grep -q '^[1-9][0-9]* MHz' || failure "speed: $(vmware-toolbox-cmd stat speed 2>&1)"
    echo "guest is ready"
    wait_for 200 vmware-rpctool 'info-get guestinfo.colour' || failure "no colour"
    vmware-rpctool "info-set guestinfo.answer $(vmware-rpctool 'info-get guestinfo.colour')" || failure "cannot set a variable"
    wait_for 200 told_or_gone
    kill -0 $pid 2>/dev/null || failure "vmtoolsd is gone: $(tail -n 3 /tmp/out /tmp/tools.log)"
    tail -n 40 /tmp/tools.log | grep -v debug
    cat /tmp/script
    want "what shutdown was told" "$(cat /tmp/shutdown)" "-h now"
    want "the scripts" "$(sort -u /tmp/script | tr '\n' ' ')" "freeze power thaw "
    success
}
