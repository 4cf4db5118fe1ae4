# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A disk stops to answer and the guest resets: the machine waits for it and says so in its log, and who wants it to end gets that.
modules='virtio_pci virtio_blk'
exit=130

host()
{
    local server vm n=0 code=0
    cd "$work" || exit
    truncate -s 16M disk.img
    mkdir served
    "$hospes" image serve --write --fuse served disk.img &
    server=$!
    while [ ! -e served/disk.raw ] && [ $n -lt 100 ]; do
        sleep 0.1
        n=$((n + 1))
    done
    "$hospes" run --host kvm --persona kvm --log log --kernel "$kernel_image" --initrd "$initrd" \
        --append "console=ttyS0 panic=-1" --disk served/disk.raw,format=raw,write </dev/null >out 2>err &
    vm=$!
    guest_pid=$vm
    wait_said 'it resets' || echo "verdict: error the guest did not come so far"
    kill -STOP $server
    wait_printed 'waits for requests' 60 cat log || echo "verdict: failure the log does not tell what is waited for"
    kill $vm
    wait_printed 'ends without it' 30 cat err || echo "verdict: failure it still waits"
    kill -KILL $server # a request that the kernel waits for holds even a process that has ended
    wait $vm || code=$?
    cat out err log
    fusermount3 -uz served
    [ $code -ne 130 ] || echo "verdict: success"
    return $code
}

guest()
{
    local n=0
    while [ ! -b /dev/vda ] && [ $n -lt 50 ]; do
        usleep 100000
        n=$((n + 1))
    done
    echo "it resets in 5 s"
    (while dd if=/dev/zero of=/dev/vda bs=64k count=16 oflag=direct 2>/dev/null; do :; done) &
    sleep 5
    echo b >/proc/sysrq-trigger
    sleep 1000
}
