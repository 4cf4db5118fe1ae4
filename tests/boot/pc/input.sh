# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A VNC viewer's pointer is where it points, and text is typed: by the USB tablet and keyboard of a plain PC, VMware's
# absolute pointer behind the PS/2 mouse, the synthetic devices of Hyper-V and Xen's vkbd.
variants='by=usb by=vmware by=hyperv by=xen'
kernel=6.1
timeout=400
case ${by:-usb} in
usb) modules='xhci_pci usbhid hid_generic evdev' args='--persona bare' append=no_timer_check port=5963 ;;
vmware) modules='psmouse evdev' args='--persona vmware' port=5964 ;;
hyperv) modules='hv_vmbus hyperv-keyboard hid-hyperv hid-generic evdev' args='--persona hyperv' port=5965 ;;
xen) modules='xen-kbdfront xen-fbfront evdev' args='--persona xen' port=5966 ;;
esac
append="${append:-} by=${by:-usb}"

host()
{
    local code=0
    begin --name input --nic none --display "vnc=127.0.0.1:$port"
    wait_said 'point now'
    point "$port" 25 75 || code=1
    wait_said 'type now'
    "$hospes" info input
    "$hospes" type input 'Hospes 42!\n' || code=1
    ended || code=$?
    return $code
}

# near WHAT GOT WHOLE HUNDREDTHS
near()
{
    [ "$2" -ge $(($3 * ($4 - 1) / 100)) ] && [ "$2" -le $(($3 * ($4 + 1) / 100)) ] || failure "$1 is $2 of $3"
}

guest()
{
    local name width=32768 height=32768 at
    case $(word by) in
    usb) name='hospes USB tablet' ;;
    vmware) name='VirtualPS\/2 VMware VMMouse' width=65536 height=65536 ;;
    hyperv) name='Microsoft Vmbus HID-compliant Mouse' ;;
    xen) name='Xen Virtual Pointer' ;;
    esac
    there() { at=$(handler "$name") && [ -n "$at" ] && [ -e "/dev/input/$at" ]; }
    wait_for 30 there || failure "no pointer: $(grep Name= /proc/bus/input/devices)"
    [ "$name" != 'Xen Virtual Pointer' ] || wait_for 30 test -c /dev/fb0 || failure "there is no frame buffer"
    cat "/dev/input/$at" >/tmp/events &
    sleep 2
    echo "point now"
    pointed() { [ "$(event /tmp/events 3 0)" != 0 ] && [ "$(event /tmp/events 3 1)" != 0 ]; }
    wait_for 60 pointed || failure "nothing was pointed at"
    sleep 1
    near x "$(event /tmp/events 3 0)" $width 25
    near y "$(event /tmp/events 3 1)" $height 75
    echo "type now"
    read -r line </dev/tty0
    want "what was typed" "$line" "Hospes 42!"
    complaints 'usb|xhci|hid|psmouse|i8042|hyperv|kbdfront' && failure "complaints in dmesg"
    success
}
