# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by bash before a boot test, on the host side. The runner sets: hospes (the binary), kernel_image, initrd,
# top, vmm. The verdict is looked for on standard output.

# An empty folder of the test's own, in memory: sockets and FIFOs do not work on files shared by 9p.
work=$(mktemp -d /dev/shm/boot-test-XXXXXX)
trap 'rm -rf "$work"' EXIT
export HOSPES_RUNTIME=$work/runtime
# A copy: a build while the test runs must not change the program under it.
[ ! -e "$hospes" ] || { cp "$hospes" "$work/hospes" && hospes=$work/hospes; }

# shellcheck disable=SC2120 # tests call it with arguments
# run [OPTION...]: boots the test's guest with the test's `args` and `append` and these options.
run()
{
    local line="console=ttyS0 quiet panic=-1 ${append:-}"
    # shellcheck disable=SC2154,SC2086 # set by the runner; args is a list of words
    if [ "$vmm" = qemu ]; then
        qemu_run "$line" ${args:-} "$@"
    else
        "$hospes" run --host kvm --log "$work/log" --kernel "$kernel_image" --initrd "$initrd" --append "$line" \
            ${args:-} "$@" && return
        set -- $?
        tail -n 400 "$work/log" >&2 # a guest that crashes leaves its registers there
        return "$1"
    fi
}

# scratch_run SIZE [OPTION...]: run with one raw disk of SIZE that is written to, in memory, and gone afterwards: what is
# slow here is the emulated host's file system. `disk_words` of the test are properties of the disk.
scratch_run()
{
    truncate -s "$1" "$work/disk.img"
    shift
    run --disk "$work/disk.img,format=raw,write${disk_words:+,$disk_words}" "$@" </dev/null
}

# with_iperf COMMAND...: runs it while iperf3 serves on a port that no other test has; the guest is told of it as port=.
with_iperf()
{
    local port=$((20000 + $$ % 10000)) code=0 server
    # iperf3 maps a file there, which not every root file system of a host lets it.
    TMPDIR=/dev/shm iperf3 -s -p $port >"$work/iperf.txt" 2>&1 &
    server=$!
    append="${append:-} port=$port"
    "$@" || code=$?
    kill $server
    return $code
}

# vsock_program: makes the folder $work/tree, with guest-vsock.c in it as vsock.
vsock_program()
{
    mkdir "$work/tree"
    # shellcheck disable=SC2154 # set by the runner
    cc -O2 -static -o "$work/tree/vsock" "$top/tests/boot/kit/guest-vsock.c" && return
    echo "verdict: error it does not compile"
    return 1
}

# kexec_run kexec|kdump: run with a disk of 512 MiB that has the guest's kernel and initramfs, and one of 640 MiB that a core is
# written to. After a crash, kdump, there must be one.
kexec_run()
{
    local code=0
    mkdir "$work/tree"
    cp "$kernel_image" "$work/tree/vmlinuz"
    cp "$initrd" "$work/tree/initrd"
    truncate -s 512M "$work/tree.img"
    truncate -s 640M "$work/core.img"
    mkfs.ext4 -q -d "$work/tree" "$work/tree.img"
    run --disk "$work/tree.img,format=raw,write" --disk "$work/core.img,format=raw,write" </dev/null || code=$?
    if [ "$1" = kdump ] && [ "$(head -c 4 "$work/core.img" | tr -d '\0\177')" != ELF ]; then
        echo "verdict: failure there is no core on the disk"
    fi
    return $code
}

# begin [OPTION...]: run in the background; its console goes to $work/out, what it complains of to $work/err, and what is
# written to descriptor 9 is typed there.
begin()
{
    [ -p "$work/in" ] || mkfifo "$work/in"
    : >"$work/out" # there before it is looked into
    run "$@" <"$work/in" >"$work/out" 2>"$work/err" &
    guest_pid=$!
    exec 9>"$work/in"
}

# wait_said TEXT [TIMES]: until the guest has said so (that often), or has ended; five minutes at most.
wait_said()
{
    local n=0
    while [ "$(grep -c -- "$1" "$work/out")" -lt "${2:-1}" ]; do
        [ $n -lt 600 ] && kill -0 "$guest_pid" 2>/dev/null || return 1
        sleep 0.5
        n=$((n + 1))
    done
}

# wait_printed TEXT SECONDS COMMAND...: until what COMMAND prints has TEXT.
wait_printed()
{
    local text=$1 end=$((SECONDS + $2))
    shift 2
    until "$@" 2>/dev/null | grep -- "$text" >/dev/null; do # not -q: who writes must come to its end
        [ $SECONDS -lt $end ] || return 1
        sleep 0.5
    done
}

# try WHAT COMMAND...: runs COMMAND and tells what it printed; a failure is added to $said, of which the test makes its verdict.
said=
try()
{
    local what=$1 out
    shift
    if out=$("$@" 2>&1); then
        echo "$what: $out"
    else
        echo "$what failed: $out"
        said="$said; $what: $out"
    fi
}

# ended: waits until the guest has ended, shows what it said and returns its exit code.
ended()
{
    local code=0
    exec 9>&-
    wait "$guest_pid" || code=$?
    cat "$work/out" "$work/err"
    return $code
}

# plug_run ID FIRST SECOND [OPTION...]: begin; a disk comes as ID while the guest runs come_and_go, is taken back when it has
# been written to, and another comes. FIRST and SECOND are their options.
plug_run()
{
    local id=$1 first=$2 second=$3 code=0
    shift 3
    truncate -s 32M "$work/one.img"
    truncate -s 16M "$work/two.img"
    begin --name plug "$@"
    wait_said 'wants a disk'
    "$hospes" attach plug "$work/one.img,format=raw,write${first:+,$first}" || code=$?
    wait_said 'has done with it'
    "$hospes" info plug | grep -F one.img || code=1
    "$hospes" detach plug "$id" || code=$?
    "$hospes" detach plug "$id" 2>/dev/null && code=2
    wait_said 'wants another'
    "$hospes" attach plug "$work/two.img,format=raw,readonly${second:+,$second}" || code=$?
    ended || code=$?
    [ "$(head -c 5 "$work/one.img")" = guest ] || code=4
    [ $code = 0 ] || echo "verdict: failure code $code"
}

# The same guest under QEMU, to tell a fault of hospes from one of the test or of the machine below. Knows only the
# options that it can translate; exits with 3 after a panic, as hospes does.
qemu_run()
{
    local q=(qemu-system-x86_64 -accel kvm -cpu host -nodefaults -display none -serial stdio -device pvpanic-pci
        -action "panic=exit-failure" -kernel "$kernel_image" -initrd "$initrd" -append "$1") disk n=0
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        --cpus) q+=(-smp "$2") ;;
        --memory) q+=(-m "$2") ;;
        --nic) [ "$2" = none ] || q+=(-nic "user,model=virtio-net-pci") ;;
        --disk)
            disk=${2%%,*}
            q+=(-drive "file=$disk,format=raw,if=none,id=d$n" -device "virtio-blk-pci,drive=d$n")
            n=$((n + 1))
            ;;
        *)
            echo "verdict: skip QEMU has no $1"
            return 0
            ;;
        esac
        shift 2
    done
    "${q[@]}"
    local code=$?
    [ $code != 1 ] || code=3
    return $code
}

# answer TEXT REPLY [OPTION...]: run, and types REPLY whenever the console shows a line with TEXT in it.
answer()
{
    local text=$1 reply=$2 code=0
    shift 2
    coproc vm { run "$@"; }
    # shellcheck disable=SC2154 # set by coproc
    local pid=$vm_PID out=${vm[0]} keys=${vm[1]}
    while IFS= read -r line <&"$out"; do
        printf '%s\n' "$line"
        case $line in
        *"$text"*) printf '%s\n' "$reply" >&"$keys" ;;
        esac
    done
    wait "$pid" || code=$?
    return $code
}

# point PORT X Y: a VNC viewer points there, in hundredths of the screen, and clicks.
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
head = get(24)
w, h, depth = *struct.unpack(">HH", head[:4]), head[4] // 8
get(struct.unpack(">I", head[20:])[0])
s.sendall(struct.pack(">BBHii", 2, 0, 2, 0, -223))  # encodings: raw, and the screen's new size
end = time.time() + 3
while time.time() < end:
    s.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, w, h))
    for _ in range(struct.unpack(">xxH", get(4))[0]):
        _, _, rw, rh, kind = struct.unpack(">HHHHi", get(12))
        if kind == 0:
            get(rw * rh * depth)
        else:
            w, h = rw, rh
    time.sleep(0.3)
for mask in (0, 1, 0):
    s.sendall(struct.pack(">BBHH", 5, mask, w * x // 100, h * y // 100))
    time.sleep(0.3)
END
}

# sector LETTER FILE: a disk whose boot sector says LETTER on COM1 and powers the machine off.
sector()
{
    {
        printf '\272\370\003\260%s\356\272\004\006\270\000\040\357\364\353\375' "$1"
        head -c 494 /dev/zero
        printf '\125\252'
        head -c 1M /dev/zero
    } >"$2"
}

# colours FILE: size, pixels of the three most frequent colours, and how many colours there are. PNG with 8-bit RGB, as hospes writes it.
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
    if f == 2:
        line = bytearray((x + b) & 255 for x, b in zip(line, last))
    elif f:
        for i in range(len(line)):
            a, b, c = (line[i - 3], last[i], last[i - 3]) if i > 2 else (0, last[i], 0)
            if f == 4:
                p = a + b - c
                a = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line[i] = line[i] + (a if f != 3 else (a + b) // 2) & 255
    last = bytes(line)
    count.update(zip(last[0::3], last[1::3], last[2::3]))
print(width, height, *["%s=%d" % (bytes(x).hex(), n) for x, n in count.most_common(3)], "of", len(count))
END
}

# What a test without a host() of its own does.
host() { run "$@" </dev/null; }
