# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A plain PC with a display has a USB keyboard and tablet: a VNC viewer's pointer is where it points, text is typed.
kernel=6.1
modules='xhci_pci usbhid hid_generic evdev'
timeout=400
append=no_timer_check

# point PORT X Y: as a viewer with its left button down.
point()
{
    python3 - "$@" <<'END'
import socket, struct, sys, time
port, x, y = map(int, sys.argv[1:])
s = socket.create_connection(("127.0.0.1", port), 30)
def get(n):
    b = b""
    while len(b) < n:
        b += s.recv(n - len(b))
    return b
get(12)
s.sendall(b"RFB 003.008\n")
get(get(1)[0])
s.sendall(b"\1")
get(4)
s.sendall(b"\1")
w, h = struct.unpack(">HH", get(24)[:4])
for mask in (0, 1, 0):
    s.sendall(struct.pack(">BBHH", 5, mask, w * x // 100, h * y // 100))
    time.sleep(0.3)
END
}

# await TEXT PID: until the console has it.
await()
{
    local n=0
    while ! grep -q "$1" console.txt; do
        if [ $n -ge 1200 ] || ! kill -0 "$2"; then
            echo "verdict: failure the console never said '$1'"
            return 1
        fi
        sleep 0.1
        n=$((n + 1))
    done
}

host()
{
    local code=0 vm
    cd "$work" || exit
    run --persona bare --name usb --nic none --display vnc=127.0.0.1:5963 </dev/null | tee console.txt &
    vm=$!
    await 'point now' $vm || return 1
    point 5963 25 75 || code=1
    await 'type now' $vm || return 1
    "$hospes" info usb | grep usb- || code=1
    "$hospes" type usb 'Hospes 42!\n' || code=1
    wait $vm || code=$?
    return $code
}

# handler NAME: the event device of an input device.
handler() { sed -n "/Name=\"$1\"/,/^\$/s/.*Handlers=.*\(event[0-9]*\).*/\1/p" /proc/bus/input/devices | head -n 1; }

# event TYPE CODE: its last value in /tmp/events.
event() { od -An -v -tu2 -w24 /tmp/events | awk -v t="$1" -v c="$2" '$9 == t && $10 == c { v = $11 } END { print v + 0 }'; }

guest()
{
    local n=0 tablet x y
    while [ -z "$(handler 'hospes USB tablet')" ] || [ -z "$(handler 'hospes USB keyboard')" ]; do
        [ $n -lt 100 ] || failure "no USB input: $(cat /proc/bus/input/devices)"
        usleep 100000
        n=$((n + 1))
    done
    tablet=$(handler 'hospes USB tablet')
    n=0
    while [ ! -e "/dev/input/$tablet" ] && [ $n -lt 50 ]; do
        usleep 100000
        n=$((n + 1))
    done
    cat "/dev/input/$tablet" >/tmp/events &
    sleep 1
    echo "point now"
    n=0
    while [ "$(event 1 272)" = 0 ] && [ $n -lt 300 ] && ! { [ -s /tmp/events ] && [ $n -gt 100 ]; }; do
        usleep 100000
        n=$((n + 1))
    done
    sleep 1
    x=$(event 3 0) y=$(event 3 1)
    [ "$x" -gt 7800 ] && [ "$x" -lt 8600 ] || failure "x is $x"
    [ "$y" -gt 24200 ] && [ "$y" -lt 25000 ] || failure "y is $y"
    echo "type now"
    read -r line </dev/tty0
    want "what was typed" "$line" "Hospes 42!"
    dmesg -r | grep -E '^<[0-4]>' | grep -E 'usb|xhci|hid' | grep -v "Hardware name" && failure "complaints in dmesg"
    success
}
