#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""prototype: softhost.py exec [-k KERNELDIR] DIR -- CMD... | stop DIR | agent"""
import os, sys, socket, struct, subprocess, threading, time, fcntl, select, signal, termios, tty, glob

PORTS = 12
MAGIC = b"\0\xffHOSPES-SYNC\xff\0"
START, STDIN, EOF, WINCH, SIGNAL, STDOUT, STDERR, EXIT, FAIL = range(1, 10)

def frame(t, data=b""):
    return struct.pack("<IB", len(data), t) + data

def rdn(fd, n):
    b = b""
    while len(b) < n:
        c = os.read(fd, n - len(b))
        if not c:
            return None
        b += c
    return b

def rdframe(fd):
    h = rdn(fd, 5)
    if h is None: return None, None
    n, t = struct.unpack("<IB", h)
    d = rdn(fd, n) if n else b""
    if d is None: return None, None
    return t, d

def wr(fd, data):
    while data:
        data = data[os.write(fd, data):]

# ---- inside
def session(fd):
    # find the magic, then an 8 byte nonce
    w = b""
    while True:
        c = os.read(fd, 1)
        if not c: return
        w = (w + c)[-len(MAGIC):]
        if w == MAGIC: break
    nonce = rdn(fd, 8)
    if nonce is None: return
    wr(fd, MAGIC + nonce)
    t, d = rdframe(fd)
    if t != START: return
    flag, rows, cols, n = struct.unpack("<IHHI", d[:12])
    strs = d[12:].split(b"\0")[:-1]
    argv, cwd, env = strs[:n], strs[n], strs[n+1:]
    env = dict(e.split(b"=", 1) for e in env if b"=" in e)
    use_tty = flag & 1
    lock = threading.Lock()
    def send(t, data=b""):
        with lock:
            wr(fd, frame(t, data))
    if use_tty:
        m, s = os.openpty()
        fcntl.ioctl(m, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        fds = (s, s, s)
    else:
        r0, w0 = os.pipe(); r1, w1 = os.pipe(); r2, w2 = os.pipe()
        fds = (r0, w1, w2)
    def pre():
        if use_tty:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    try:
        p = subprocess.Popen(argv, cwd=cwd, env=env, stdin=fds[0], stdout=fds[1], stderr=fds[2], start_new_session=True, preexec_fn=pre)
    except OSError as e:
        send(FAIL, struct.pack("<I", 127 if e.errno == 2 else 126) + str(e).encode())
        for f in set(fds): os.close(f)
        return
    for f in set(fds): os.close(f)
    outs = [(m, STDOUT)] if use_tty else [(r1, STDOUT), (r2, STDERR)]
    def pump(f, t):
        while True:
            try: d = os.read(f, 32768)
            except OSError: break
            if not d: break
            try: send(t, d)
            except OSError: break
    ts = [threading.Thread(target=pump, args=o) for o in outs]
    for t in ts: t.start()
    inw = m if use_tty else w0
    done = threading.Event()
    def reader():
        nonlocal inw
        while True:
            t, d = rdframe(fd)
            if t is None:
                for s in (signal.SIGHUP, signal.SIGTERM, signal.SIGKILL):
                    try: os.killpg(p.pid, s)
                    except OSError: pass
                    if done.wait(2): return
                return
            if t == STDIN and inw is not None:
                try: wr(inw, d)
                except OSError: pass
            elif t == EOF and not use_tty and inw is not None:
                os.close(inw); inw = None
            elif t == WINCH and use_tty:
                r, c = struct.unpack("<HH", d)
                fcntl.ioctl(m, termios.TIOCSWINSZ, struct.pack("HHHH", r, c, 0, 0))
            elif t == SIGNAL:
                try: os.killpg(p.pid, struct.unpack("<I", d)[0])
                except OSError: pass
            elif t == EXIT:
                return
    rt = threading.Thread(target=reader); rt.start()
    rc = p.wait(); done.set()
    if not use_tty:
        for t in ts: t.join(2)
    else:
        ts[0].join(0.5)
    try: send(EXIT, struct.pack("<I", rc if rc >= 0 else 128 - rc))
    except OSError: pass
    rt.join()
    for f in [x for x, _ in outs] + ([inw] if inw is not None and not use_tty else []):
        try: os.close(f)
        except OSError: pass

last = time.time()
busy = 0
def worker(path):
    global last, busy
    while True:
        fd = os.open(path, os.O_RDWR)
        while True:
            r = os.read(fd, 0)  # nothing
            p = select.poll(); p.register(fd, select.POLLIN)
            ev = p.poll(0)
            if ev and not (ev[0][1] & select.POLLHUP): break
            if not ev: break
            time.sleep(0.25)
        busy += 1
        try: session(fd)
        except Exception as e: print("agent:", e, flush=True)
        busy -= 1
        last = time.time()
        os.close(fd)

def agent():
    for n in glob.glob("/sys/class/virtio-ports/vport*"):
        dev = "/dev/" + os.path.basename(n)
        if open(n + "/name").read().startswith("hospes."):
            threading.Thread(target=worker, args=(dev,), daemon=True).start()
    idle = float(os.environ.get("HOSPES_SOFT_IDLE", "1800"))
    while True:
        time.sleep(5)
        if not busy and time.time() - last > idle: break

# ---- outside
def alive(d):
    try:
        pid = int(open(d + "/pid").read())
        return b"qemu" in open("/proc/%d/cmdline" % pid, "rb").read() and pid
    except (OSError, ValueError):
        return False

def boot(d, kdir):
    os.makedirs(d, exist_ok=True)
    here = os.path.dirname(os.path.abspath(__file__))
    mods = "virtio_pci virtio_balloon virtio_console virtio_net 9pnet_virtio 9p kvm_amd tun vhost_net vhost_vsock nbd loop fuse configfs".split()
    cmd = [here + "/mkinitramfs.py", "-o", d + "/initrd", "--kernel", kdir, "--init", here + "/softhost-init.sh"]
    for m in mods: cmd += ["--module", m]
    subprocess.run(cmd, check=True)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    mem = os.environ.get("HOSPES_SOFT_MEMORY", str(max(2048, min(10240, total // 2))))
    q = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max,+svm", "-smp", "2", "-m", mem,
         "-nodefaults", "-no-reboot", "-display", "none", "-kernel", kdir + "/vmlinuz", "-initrd", d + "/initrd",
         "-append", "console=ttyS0 quiet panic=-1 tsc=reliable clocksource=tsc mitigations=off nokaslr hospes.agent=" + os.path.abspath(__file__),
         "-serial", "file:" + d + "/console", "-pidfile", d + "/pid", "-daemonize",
         "-virtfs", "local,path=/,mount_tag=root,security_model=" + ("passthrough" if os.getuid() == 0 else "none") + ",multidevs=remap",
         "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile=",
         "-device", "virtio-rng-pci", "-device", "virtio-balloon-pci,free-page-reporting=on",
         "-qmp", "unix:" + d + "/qmp,server=on,wait=off",
         "-device", "virtio-serial-pci,max_ports=%d" % (PORTS + 1)]
    for i in range(1, PORTS + 1):
        q += ["-chardev", "socket,id=c%d,path=%s/port%d,server=on,wait=off" % (i, d, i),
              "-device", "virtserialport,chardev=c%d,nr=%d,name=hospes.%d" % (i, i, i)]
    subprocess.run(q, check=True)

def client(d, kdir, argv):
    os.makedirs(d, exist_ok=True)
    lk = open(d + "/lock", "w"); fcntl.flock(lk, fcntl.LOCK_EX)
    if not alive(d):
        boot(d, kdir)
    lk.close()
    for i in range(1, PORTS + 1):
        pl = open(d + "/port%d.lock" % i, "w")
        try: fcntl.flock(pl, fcntl.LOCK_EX | fcntl.LOCK_NB); break
        except OSError: pl.close()
    else:
        sys.exit("softhost: all ports are busy")
    s = socket.socket(socket.AF_UNIX); s.connect(d + "/port%d" % i)
    fd = s.fileno()
    nonce = os.urandom(8)
    t0 = time.time()
    want = MAGIC + nonce
    w = b""; sent = False
    wr(fd, want)
    while not w.endswith(want):
        r, _, _ = select.select([fd], [], [], 1)
        if r:
            c = os.read(fd, 1)
            if not c: sys.exit("softhost: ended; see %s/console" % d)
            w = (w + c)[-64:]
        elif time.time() - t0 > 240 or not alive(d):
            sys.exit("softhost: does not answer; see %s/console" % d)
    use_tty = os.isatty(0) and os.isatty(1)
    rows, cols = 24, 80
    if use_tty: rows, cols = struct.unpack("HHHH", fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8))[:2]
    strs = argv + [os.getcwd()] + ["%s=%s" % kv for kv in os.environ.items()]
    wr(fd, frame(START, struct.pack("<IHHI", 1 if use_tty else 0, rows, cols, len(argv)) + b"".join(os.fsencode(x) + b"\0" for x in strs)))
    lock = threading.Lock()
    def send(t, dta=b""):
        with lock: wr(fd, frame(t, dta))
    def stdin():
        while True:
            try: b = os.read(0, 4096)
            except OSError: b = b""
            try: send(STDIN, b) if b else send(EOF)
            except OSError: return
            if not b: return
    old = None
    if use_tty:
        old = termios.tcgetattr(0); tty.setraw(0)
    def onsig(n, f):
        threading.Thread(target=send, args=(SIGNAL, struct.pack("<I", n))).start()
    for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT): signal.signal(n, onsig)
    threading.Thread(target=stdin, daemon=True).start()
    rc = 69
    try:
        while True:
            t, dta = rdframe(fd)
            if t is None:
                sys.stderr.write("softhost: ended under the command; see %s/console\n" % d); break
            if t in (STDOUT, STDERR):
                try: wr(1 if t == STDOUT else 2, dta)
                except BrokenPipeError: send(SIGNAL, struct.pack("<I", 13))
            elif t == EXIT: rc = struct.unpack("<I", dta)[0]; break
            elif t == FAIL:
                rc = struct.unpack("<I", dta[:4])[0]; sys.stderr.write("softhost: %s\n" % dta[4:].decode()); break
        try: send(EXIT)
        except OSError: pass
    finally:
        if old: termios.tcsetattr(0, termios.TCSADRAIN, old)
    os._exit(rc)

def main():
    if sys.argv[1] == "agent": agent()
    elif sys.argv[1] == "stop":
        pid = alive(sys.argv[2])
        if pid: os.kill(pid, signal.SIGTERM)
    else:
        client(sys.argv[2], sys.argv[3], sys.argv[5:])
main()
