# SPDX-License-Identifier: Apache-2.0
"""The place where machines are measured: its programs, its guests, and two ways of running a list
of jobs.

exact: a list of jobs runs inside one outer QEMU (TCG with SVM, `-icount`, one CPU, a fixed seed,
everything in one initrd), where a tick of the time stamp counter is an instruction of guest, host
kernel and VMM together, and the same input gives the same figures to the last digit.
time: the jobs run on real KVM by `./dev host`, and seconds and CPU time count.

Nested SVM under TCG sometimes delivers an interrupt to a guest that has them off, which then waits
for itself, always at the same place for the same input (docs/devel/performance.md). So a run that
falls silent is ended and tried again with another seed; the failing seed is reported. What counts
as silence on the exact meter is processor time of the outer QEMU: on a busy machine the boot of the
host kernel alone is silent for minutes.
"""
import os
import re
import select
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
RAM_MIB = 128
DISK_MIB = 128
APPEND = "console=ttyS0 quiet panic=-1 reboot=t tsc=reliable"
GUEST_MODULES = ("virtio_pci", "virtio_mmio", "virtio_blk", "virtio_net")
XEN_MODULES = ("xen-blkfront", "xen-netfront")
VMWARE_MODULES = ("vmw_pvscsi", "sd_mod", "vmxnet3")
HYPERV_MODULES = ("hv_vmbus", "hv_storvsc", "sd_mod", "hv_netvsc")
QEMU = "/usr/bin/qemu-system-x86_64"
SLIRP = "/usr/lib/x86_64-linux-gnu/libslirp.so.0"
ROMS = ("/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/bios-microvm.bin",
        "/usr/share/qemu/linuxboot_dma.bin", "/usr/share/qemu/multiboot_dma.bin",
        "/usr/share/seabios/vgabios-stdvga.bin", "/usr/share/qemu/pvh.bin", "/usr/share/qemu/kvmvapic.bin")


class Stalled(Exception):
    pass


class Silence:
    """How long a process has said nothing: in its own processor time if that is what it lives by, else by the clock."""

    IDLE = 0.01  # a process that takes less of the time than that waits for nothing that will come

    def __init__(self, pid, counted):
        self.stat = "/proc/%d/stat" % pid if counted else None
        self.broken()

    def cpu(self):
        try:
            with open(self.stat) as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:  # it has ended
            return self.cpu0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime

    def broken(self):
        self.cpu0 = 0.0
        self.since = time.monotonic()
        self.cpu0 = self.cpu() if self.stat else 0.0

    def too_long(self, patience):
        clock = time.monotonic() - self.since
        if not self.stat or clock < patience:
            return clock >= patience
        used = self.cpu() - self.cpu0
        return used >= patience or used < self.IDLE * clock


def run(*command):
    subprocess.run(command, check=True)


def cc(out, *arguments):
    run(os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra",
        "-static", "-o", out, *arguments)


class Lab:
    """Files that the jobs name: build/bench of this tree, or /bench inside the outer machine."""

    def __init__(self, guests, out, hospes, kvmtool, emulator):
        self.guests, self.out, self.hospes_built, self.kvmtool_built = guests, out, hospes, kvmtool
        self.emulator = emulator or QEMU
        self.inside = False
        self.host_kernel = "6.1"
        os.makedirs(out, exist_ok=True)
        for name in ("guest", "runner", "kvmfloor"):
            cc(self.built(name), os.path.join(HERE, name + ".c"))
        cc(self.built("exits.elf"), "-m32", "-ffreestanding", "-fno-pic", "-fno-stack-protector",
           "-mno-sse", "-nostdlib", "-Wl,-T," + os.path.join(HERE, "exits.ld"),
           "-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments", os.path.join(HERE, "exits.c"))
        run(os.environ.get("CC", "cc"), "-m32", "-nostdlib", "-static", "-Wl,-Ttext=0x7c00", "-Wl,--oformat=binary",
            "-Wl,--build-id=none", "-o", self.built("loader.raw"), os.path.join(HERE, "loader.S"))
        os.truncate(self.built("loader.raw"), 1 << 20)
        for name, modules in (("guest", GUEST_MODULES), ("guest-xen", XEN_MODULES), ("guest-vmware", VMWARE_MODULES),
                              ("guest-hyperv", HYPERV_MODULES)):
            words = [word for m in modules for word in ("--module", m)]
            run(os.path.join(TOP, "tools/mkinitramfs.py"), "-o", self.built(name + ".cpio"),
                "--kernel", os.path.join(guests, "6.1-cloud"), *words, "--init", self.built("guest"))

    def built(self, name):
        return os.path.join(self.out, name)

    def file(self, name):
        return "/bench/" + name if self.inside else self.built(name)

    @property
    def kernel(self):
        return "/bench/vmlinuz" if self.inside else os.path.join(self.guests, "6.1-cloud/vmlinuz")

    @property
    def qemu(self):
        return "/bin/qemu-system-x86_64" if self.inside else QEMU

    @property
    def hospes_inside(self):
        return "/bin/" + os.path.basename(self.hospes_built)

    @property
    def hospes(self):
        return self.hospes_inside if self.inside else self.hospes_built

    @property
    def kvmtool(self):
        return "/bin/lkvm" if self.inside else self.kvmtool_built

    @property
    def disk(self):
        return "/dev/shm/hospes-bench.raw"

    # ---- running

    def script(self, jobs):
        """The jobs as shell text: each a name, words for the runner, and a command."""
        lines = ["dd if=/dev/zero of=%s bs=1M count=%d 2>/dev/null" % (self.disk, DISK_MIB)]
        for name, words, command in jobs:
            lines.append("echo 'J %s'" % name)
            lines.append(" ".join([self.file("runner"), "-n", name, "-r", str(RAM_MIB), *words, "--"]
                                  + ["'%s'" % w for w in command]))
        return "\n".join(lines + ["rm -f %s" % self.disk, "echo 'J finished'"]) + "\n"

    def run_exact(self, name, make_jobs, seed, patience, icount=True):
        """Lines that the runners printed. Raises Stalled after `patience` silent seconds."""
        self.inside = True
        jobs = make_jobs()
        body = self.script(jobs)
        self.inside = False
        with open(os.path.join(HERE, "l1-init.sh")) as f:
            text = f.read().replace("#JOBS#", body)
        init = self.built(name + ".init")
        with open(init, "w") as f:
            f.write(text)
        initrd = self.built("l1.cpio")
        files = [(self.built("runner"), "bench/runner"), (self.built("kvmfloor"), "bench/kvmfloor"),
                 (self.built("exits.elf"), "bench/exits.elf"), (self.built("loader.raw"), "bench/loader.raw"),
                 (self.built("guest.cpio"), "bench/guest.cpio"),
                 (self.built("guest-xen.cpio"), "bench/guest-xen.cpio"),
                 (self.built("guest-vmware.cpio"), "bench/guest-vmware.cpio"),
                 (self.built("guest-hyperv.cpio"), "bench/guest-hyperv.cpio"),
                 (os.path.join(self.guests, "6.1-cloud/vmlinuz"), "bench/vmlinuz")]
        files += [(rom, rom[1:]) for rom in ROMS if os.path.exists(rom)]
        commands = {job[2][0] for job in jobs}
        words = [w for src, dst in files for w in ("--file", src + ":" + dst)]
        for path, inside in ((QEMU, "/bin/qemu-system-x86_64"), (self.hospes_built, self.hospes_inside),
                             (self.kvmtool_built, "/bin/lkvm")):
            if inside in commands:
                words += ["--program", path]
        # What hospes loads when it needs it, ldd does not tell of.
        needs = subprocess.run(["ldd", SLIRP], capture_output=True, text=True, check=True).stdout
        for path in [SLIRP] + re.findall(r"=> (/\S+)", needs):
            words += ["--file", path + ":" + path[1:]]
        run(os.path.join(TOP, "tools/mkinitramfs.py"), "-o", initrd, "--kernel",
            os.path.join(self.guests, self.host_kernel), "--module", "kvm_amd", "--init", init, *words)
        meter = ["-icount", "shift=0,sleep=off"] if icount else []
        return self.watch([
            self.emulator, "-L", "/usr/share/qemu", "-L", "/usr/share/seabios", "-accel", "tcg", *meter, "-rtc", "clock=vm,base=2026-01-01T00:00:00",
            "-seed", str(seed), "-smp", "1", "-cpu", "max,+svm,-erms,-fsrm", "-m", "2048",
            "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-kernel", os.path.join(self.guests, self.host_kernel, "vmlinuz"), "-initrd", initrd,
            "-append", "console=ttyS0 quiet loglevel=1 panic=-1 tsc=reliable clocksource=tsc nokaslr norandmaps "
            "cryptomgr.notests"
        ], patience, os.path.join(self.out, name + ".log"), counted=True)

    def run_time(self, name, make_jobs, patience):
        script = self.built(name + ".sh")
        with open(script, "w") as f:
            f.write("set -eu\n" + self.script(make_jobs()))
        return self.watch([os.path.join(TOP, "dev"), "host", "-k", self.host_kernel, "sh", script], patience,
                          os.path.join(self.out, name + ".log"))

    @staticmethod
    def watch(command, patience, log, counted=False):
        lines, rest, where = [], b"", "start"
        with open(log, "wb") as keep:
            p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            silence = Silence(p.pid, counted)
            try:
                while True:
                    if not select.select([p.stdout], [], [], 1)[0]:
                        if silence.too_long(patience):
                            raise Stalled(where)
                        continue
                    data = os.read(p.stdout.fileno(), 65536)
                    if not data:
                        break
                    silence.broken()
                    keep.write(data)
                    *whole, rest = (rest + data).split(b"\n")
                    for line in whole:
                        text = line.decode(errors="replace").rstrip("\r")
                        lines.append(text)
                        if text.startswith("J "):
                            where = text[2:]
                            print("%s   %s" % (time.strftime("%H:%M:%S"), where), file=sys.stderr)
            finally:
                if p.poll() is None:
                    p.kill()
                p.wait()
        if where != "finished":
            raise Stalled(where)
        return lines
