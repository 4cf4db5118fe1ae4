#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs kvm-unit-tests, built for x86_64 in a folder of their own, on this host's KVM.

usage: run.py [-l] [--vmm hospes,qemu] [--slow FACTOR] [--out FOLDER] FOLDER [NAME...]

FOLDER is where `./configure && make` of kvm-unit-tests ran; its x86/unittests.cfg says what there is.
NAME is a test, a group (hyperv) or a pattern (vmexit_*); without one, every test that the list does not
leave out by itself. Processor models that the list asks for count for QEMU alone: hospes shows the host's.
Each monitor's console is kept in --out. Prints a line for each test, with each monitor's verdict and the
numbers of passed and failed checks, and ends with 1 when hospes fell short of QEMU, or failed alone.
"""
import argparse
import fnmatch
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
DEFAULT_SECONDS = 90
# What a test writes to the exit port becomes (value << 1) | 1.
VERDICTS = {1: "pass", 3: "fail", 77: "skip", 127: "abort"}
GOOD = ("pass", "skip")


class Test:
    def __init__(self, name, fields):
        self.name = name
        self.file = fields["file"]
        self.smp = int(fields.get("smp", "1").split("$")[0] or 1)
        self.args = " ".join(shlex.split(fields.get("test_args", "")))
        self.args = self.args.replace("$(date +%s)", str(int(time.time())))
        self.params = shlex.split(fields.get("qemu_params", fields.get("extra_params", "")))
        self.groups = fields.get("groups", "").split()
        self.seconds = int(fields.get("timeout", DEFAULT_SECONDS))
        self.arch = fields.get("arch", "")
        self.check = fields.get("check", "")
        self.mem = 128
        self.split_params()

    def split_params(self):
        """Takes -m and -append out of the parameters: those every monitor has."""
        rest, at = [], 0
        while at < len(self.params):
            word = self.params[at]
            if word == "-m":
                at += 1
                size = self.params[at].lower()
                self.mem = int(size.rstrip("mg")) << (10 if size.endswith("g") else 0)
            elif word == "-append":
                at += 1
                self.args = self.params[at]
            elif word == "-smp":
                at += 1
                self.smp = int(self.params[at])
            else:
                rest.append(word)
            at += 1
        self.params = rest

    def wrong_host(self):
        """Why this host cannot run it: the list names files of /sys and /proc with the values they must have."""
        for word in self.check.split():
            path, _, value = word.partition("=")
            try:
                with open(path) as f:
                    have = f.read().strip()
            except OSError:
                have = "nothing"
            if have != value:
                return "%s is %s" % (path, have)
        return None


def read_list(path):
    """The tests of a unittests.cfg for this architecture, in its order."""
    tests, name, fields = [], None, {}

    def close():
        if name and fields.get("arch", "x86_64") == "x86_64" and "file" in fields:
            tests.append(Test(name, fields))

    with open(path) as f:
        text = re.sub(r'"""\n?(.*?)"""', lambda m: " ".join(m.group(1).split()), f.read(), flags=re.S)
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            close()
            name, fields = line.strip("[]"), {}
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            fields[key.strip()] = value.strip()
    close()
    return tests


def chosen(tests, names):
    if not names:
        return [t for t in tests if "nodefault" not in t.groups]
    wanted = [t for t in tests if any(fnmatch.fnmatch(t.name, n) or n in t.groups for n in names)]
    for n in names:
        if not any(fnmatch.fnmatch(t.name, n) or n in t.groups for t in tests):
            sys.exit("kut: there is no test or group %s: -l lists them" % n)
    return wanted


def hospes(opts, test, image, env):
    persona = "hyperv" if "hyperv" in test.groups else "kvm"
    command = [opts.binary, "run", "--host", "kvm", "--persona", persona, "--testdev", "--nic", "none",
               "--cpus", str(test.smp), "--memory", "%dM" % test.mem, "--kernel", image, "--initrd", env]
    return command + (["--append", test.args] if test.args else [])


def qemu(opts, test, image, env):
    command = ["qemu-system-x86_64", "--no-reboot", "-nodefaults", "-global", "kvm-pit.lost_tick_policy=discard",
               "-device", "pc-testdev", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4", "-display", "none",
               "-serial", "stdio", "-device", "pci-testdev", "-machine", "accel=kvm", "-m", str(test.mem),
               "-smp", str(test.smp), "-kernel", image, "-initrd", env]
    return command + (["-append", test.args] if test.args else []) + test.params


def run(command, seconds, log):
    """The verdict and the numbers of passed and failed checks."""
    with open(log, "wb") as f:
        f.write((shlex.join(command) + "\n").encode())
        f.flush()
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT)
        try:
            code = p.wait(seconds)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            code = None
    with open(log, errors="replace") as f:
        lines = f.read().split("\n")[1:]
    passed = sum(line.startswith("PASS") for line in lines)
    failed = sum(line.startswith("FAIL") for line in lines)
    if code is None:
        return "timeout", passed, failed
    # A monitor that refuses its options ends with 1, too, and no test is silent.
    if code == 1 and not any(line.strip() for line in lines):
        return "refused", 0, 0
    if re.search(r"^qemu-system", "\n".join(lines), re.M) and passed + failed == 0:
        return "refused", 0, 0
    return VERDICTS.get(code, "crash"), passed, failed


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("-l", action="store_true", help="list the tests")
    p.add_argument("--vmm", default="hospes", help="hospes, qemu or both")
    p.add_argument("--slow", type=float, default=1.0, help="factor on every time limit")
    p.add_argument("--binary", default=os.path.join(TOP, "build/hospes"))
    p.add_argument("--out", default=os.path.join(TOP, "build/kut"))
    p.add_argument("folder")
    p.add_argument("names", nargs="*")
    opts = p.parse_args()
    tests = chosen(read_list(os.path.join(opts.folder, "x86/unittests.cfg")), opts.names)
    if opts.l:
        print("\n".join("%-40s %s" % (t.name, " ".join(t.groups)) for t in tests))
        return 0
    monitors = {"hospes": hospes, "qemu": qemu}
    vmms = opts.vmm.split(",")
    if not set(vmms) <= set(monitors):
        p.error("--vmm is hospes, qemu or hospes,qemu")
    os.makedirs(opts.out, exist_ok=True)
    # The guest reads facts from here where it finds no fw_cfg.
    env = tempfile.NamedTemporaryFile("w")
    bad = 0
    print("kut: %s, %s" % (platform.release(), " beside ".join(vmms)))
    for t in tests:
        image = os.path.join(opts.folder, "x86", t.file)
        why = t.wrong_host()
        if why or not os.path.exists(image):
            print("%-34s skip     %s" % (t.name, why or "%s was not built" % t.file), flush=True)
            continue
        env.seek(0)
        env.truncate()
        env.write("NR_CPUS=%d\nMEMSIZE=%d\nTEST_DEVICE=1\n" % (t.smp, t.mem))
        env.flush()
        got = {v: run(monitors[v](opts, t, image, env.name), t.seconds * opts.slow,
                      os.path.join(opts.out, "%s-%s.log" % (t.name, v))) for v in vmms}
        print("%-34s %s" % (t.name, "  ".join("%-8s %3d passed %3d failed" % got[v] for v in vmms)), flush=True)
        if "hospes" in got and got["hospes"][0] not in GOOD:
            bad += "qemu" not in got or got["qemu"][0] in GOOD
    print("kut: %d tests, %d in which hospes falls short" % (len(tests), bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
