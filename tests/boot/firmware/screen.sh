# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A guest's screen and keyboard from outside: its boot loader and its console are seen, text is typed to both.
variants='persona=bare persona=hyperv'
kernel=6.1
timeout=300
case ${persona:-} in
hyperv) modules='hv_vmbus hyperv_keyboard' ;;
*) modules='' ;;
esac

# colours FILE: how many pixels of each colour a picture has, most first. PNG with 8-bit RGB, as hospes writes it.
colours()
{
    python3 - "$1" <<'END'
import collections, struct, sys, zlib
data = open(sys.argv[1], "rb").read()
width, height = struct.unpack(">II", data[16:24])
body, at = b"", 8
while at < len(data):
    n, kind = struct.unpack(">I4s", data[at:at + 8])
    body += data[at + 8:at + 8 + n] if kind == b"IDAT" else b""
    at += 12 + n
raw, last, count = zlib.decompress(body), bytes(3 * width), collections.Counter()
for y in range(height):
    f, line = raw[y * (3 * width + 1)], bytearray(raw[y * (3 * width + 1) + 1:(y + 1) * (3 * width + 1)])
    for i in range(len(line)):
        a, b, c = (line[i - 3] if i > 2 else 0), last[i], (last[i - 3] if i > 2 else 0)
        p = a + b - c
        paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        line[i] = line[i] + (0, a, b, (a + b) // 2, paeth)[f] & 255
    last = bytes(line)
    count.update(line[i:i + 3].hex() for i in range(0, len(line), 3))
print(width, height, *["%s=%d" % x for x in count.most_common(3)])
END
}

# await TEXT PID: until the console has it.
await()
{
    local n=0
    while ! grep -q "$1" console.txt; do
        if [ $n -ge 1200 ] || ! kill -0 "$2"; then
            cat console.txt
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
    export TMPDIR=$work
    "$top/tools/mkbootdisk.sh" disk.img "$kernel_image" "$initrd" "console=tty0 console=ttyS0 quiet panic=-1" prompt ||
        return 1
    "$hospes" run --host kvm --persona "$persona" --name seen --nic none disk.img,format=raw </dev/null >console.txt &
    vm=$!
    # The loader waits for what to start, and the screen shows its words.
    await 'boot:' $vm || return 1
    "$hospes" screenshot seen loader.png && colours loader.png || code=1
    case $(colours loader.png) in
    "720 400 000000="*" aaaaaa="*) ;;
    *) echo "verdict: failure the loader's screen is not white on black"; kill $vm; return 1 ;;
    esac
    "$hospes" type seen 'linux\n' || code=1
    await 'all is red' $vm || return 1
    "$hospes" screenshot seen red.png && colours red.png || code=1
    case $(colours red.png) in
    "720 400 aa0000="*) ;;
    *) echo "verdict: failure the screen is not red"; kill $vm; return 1 ;;
    esac
    "$hospes" type seen 'Hospes 42!\n' || code=1
    wait $vm || code=$?
    cat console.txt
    return $code
}

guest()
{
    [ -d /sys/bus/vmbus ] && sleep 1 # for its keyboard
    printf '\033[41m\033[2J' >/dev/tty0
    (sleep 1 && echo "all is red" >/dev/ttyS0) &
    read -r line </dev/tty0
    want "what was typed" "$line" "Hospes 42!"
    success
}
