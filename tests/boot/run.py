#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the boot tests: each boots a guest made of a Debian kernel and one script.

    run.py [-j N] [-l] [--vmm hospes|qemu] [--guests DIR] [--work DIR] [NAME...]

A test is a file tests/boot/AREA/NAME.sh; docs/devel/testing.md says what stands in it. The guests
run where KVM is usable, by `./dev host`; one boot of a software host serves all tests that want
the same host kernel. NAME picks tests by a part of area/name[variant]; without one, those of
tests/boot/long are left out. --until EPOCH (or HOSPES_TESTS_UNTIL) ends the run at that second:
what has not ended by then, within its own time limit, is skipped, for it says that this machine is
slow and nothing about the guest.
"""
import argparse
import concurrent.futures
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import zlib
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
KIT = os.path.join(HERE, "kit")
# What the guests that have a program can do with it.
WITH = {"/usr/bin/fio": "fio", "/usr/bin/iperf3": "iperf", "/usr/sbin/kexec": "kexec"}
SUITES = os.path.join(TOP, "src/validation/suites")
FIELDS = ("kernel", "modules", "programs", "files", "exit", "timeout", "variants", "host_kernel")
DEFAULTS = {"kernel": "6.1-cloud", "exit": "0", "timeout": "180", "host_kernel": "6.1"}

# A software host is QEMU's emulation of SVM, which now and then brings its own kernel down; hospes says
# so with the code of "no host can run guests". Such a run says nothing about the guest: it is repeated.
HOST_DIED = 69
ATTEMPTS = 3


def read_fields(path, settings):
    """The variables that a test sets, with a variant's settings made before it is read."""
    script = '. "$0" && for f in %s; do eval "printf \'%%s\\0\' \\"\\${$f:-}\\""; done'
    out = subprocess.run(["sh", "-euc", script % " ".join(FIELDS), path], env={**clean_env(), **settings},
                         stdout=subprocess.PIPE, check=True).stdout.decode().split("\0")
    return {f: v or DEFAULTS.get(f, "") for f, v in zip(FIELDS, out)}


def suite_files():
    """What `hospes validate` runs in guests: boot tests call the same functions."""
    names = sorted(n for n in os.listdir(SUITES) if n.endswith(".sh") and n != "agent.sh")
    return [os.path.join(SUITES, n) for n in names]


def clean_env():
    keep = ("PATH", "HOME", "TMPDIR", "LANG", "HOSPES_GUESTS", "HOSPES_HOST", "HOSPES_MEDIA", "SUDO_USER")
    return {k: os.environ[k] for k in keep if k in os.environ}


class Test:
    def __init__(self, path, variant):
        self.path = path
        self.settings = dict(pair.split("=", 1) for pair in variant.split(",") if pair)
        self.fields = read_fields(path, self.settings)
        area, name = os.path.relpath(path, HERE)[:-3].split(os.sep)
        self.classname = "boot." + area
        self.title = name + ("[%s]" % variant if variant else "")
        self.full = area + "/" + self.title
        self.verdict, self.reason, self.seconds, self.attempt = "error", "not run", 0.0, 0

    def initrd(self, opts):
        """Builds the guest's archive unless it is newer than everything that it is made of."""
        name = os.path.relpath(self.path, HERE)[:-3].replace(os.sep, "-")
        # Variants may want other things in it.
        words = zlib.crc32(" ".join(self.fields[f] for f in ("modules", "programs", "files")).encode())
        out = os.path.join(opts.work, "%s-%s-%08x.cpio" % (name, self.fields["kernel"], words))
        tool = os.path.join(TOP, "tools/mkinitramfs.py")
        kernel = os.path.join(opts.guests, self.fields["kernel"])
        kits = [os.path.join(KIT, "guest-common.sh")] + [os.path.join(KIT, "guest-%s.sh" % WITH[p]) for p in self.fields["programs"].split() if p in WITH]
        inputs = suite_files() + kits + [os.path.join(SUITES, "agent.sh"), self.path, tool, os.path.join(KIT, "guest-init.sh"), os.path.join(kernel, "vmlinuz")]
        if os.path.exists(out) and all(os.stat(i).st_mtime < os.stat(out).st_mtime for i in inputs):
            return out
        cmd = [tool, "-o", out, "--kernel", kernel, "--init", os.path.join(KIT, "guest-init.sh"),
               "--file", self.path + ":test.sh", "--file", os.path.join(SUITES, "agent.sh") + ":agent.sh"]
        for suite in suite_files():
            cmd += ["--file", "%s:suites/%s" % (suite, os.path.basename(suite))]
        for with_it in kits:
            cmd += ["--file", "%s:kit/%s" % (with_it, os.path.basename(with_it))]
        for option in ("module", "program", "file"):
            for word in self.fields[option + "s"].split():
                cmd += ["--" + option, word]
        subprocess.run(cmd, check=True)
        return out

    def command(self, opts):
        env = {**self.settings, "initrd": self.initrd(opts), "top": TOP,
               "hospes": opts.binary, "vmm": opts.vmm, "HOSPES_MEDIA": os.environ.get("HOSPES_MEDIA", ""),
               "kernel_image": os.path.join(opts.guests, self.fields["kernel"], "vmlinuz")}
        script = 'set -o pipefail; . "$1"; . "$2"; host'
        return (["./dev", "host", "-k", self.fields["host_kernel"], "env"] +
                ["%s=%s" % kv for kv in env.items()] +
                ["bash", "-c", script, "boot-test", os.path.join(KIT, "host-kit.sh"), self.path])

    def run(self, opts):
        slot = opts.slots.get()
        try:
            self.run_in(opts, slot)
        finally:
            opts.slots.put(slot)

    def run_in(self, opts, slot):
        start = time.monotonic()
        log = os.path.join(opts.work, self.full.replace("/", "-") + ".log")
        limit = float(self.fields["timeout"]) * opts.slow
        try:
            for self.attempt in range(ATTEMPTS):
                left = opts.until - time.time() if opts.until else limit
                if left < limit and (left <= 0 or self.attempt):
                    code, out = None, ""
                else:
                    code, out = run_limited(self.command(opts), slot, min(limit, left), log)
                if code is None and left < limit and "verdict: " not in out:
                    self.verdict, self.reason = "skip", "no time was left for it"
                    return
                if code != HOST_DIED:
                    break
            self.judge(code, out)
        except subprocess.CalledProcessError as e:
            self.verdict, self.reason = "error", str(e)
        finally:
            self.seconds = time.monotonic() - start
        if self.attempt:
            self.reason += " (the host died %d times under it)" % self.attempt

    def judge(self, code, out):
        said = [line.split("verdict: ", 1)[1] for line in out.splitlines() if "verdict: " in line]
        words = (said[-1] if said else "").split(None, 1)
        self.verdict = words[0] if words and words[0] in ("success", "skip", "error", "failure") else "failure"
        self.reason = words[1] if len(words) > 1 else ""
        if code is None:
            self.verdict, self.reason = "failure", "no end after %s s" % self.fields["timeout"]
        elif not said:
            self.reason = "no verdict on the console; exit code %d" % code
        elif self.verdict == "success" and code != int(self.fields["exit"]):
            self.verdict, self.reason = "failure", "exit code %d, not %s" % (code, self.fields["exit"])


def run_limited(cmd, slot, seconds, log):
    """The exit code (None when time ran out) and standard output, with the log on the way."""
    chunks = []
    with open(log, "wb", buffering=0) as f:
        f.write((" ".join(cmd) + "\n").encode())
        p = subprocess.Popen(cmd, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=f,
                             start_new_session=True, env={**os.environ, "HOSPES_HOST_SLOT": slot})

        def pump():
            for data in iter(lambda: p.stdout.read1(65536), b""):
                chunks.append(data)
                f.write(data)

        reader = threading.Thread(target=pump)
        reader.start()
        try:
            code = p.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
            for sig in (signal.SIGTERM, signal.SIGKILL):
                os.killpg(p.pid, sig)
                try:
                    p.wait(15)
                    break
                except subprocess.TimeoutExpired:
                    pass
        reader.join(5)
    return code, b"".join(chunks).decode(errors="replace").replace("\r", "")


def find_tests(names):
    tests = []
    for area in sorted(os.listdir(HERE)):
        folder = os.path.join(HERE, area)
        if area == "kit" or not os.path.isdir(folder):
            continue
        for name in sorted(n for n in os.listdir(folder) if n.endswith(".sh")):
            path = os.path.join(folder, name)
            for variant in read_fields(path, {})["variants"].split() or [""]:
                tests.append(Test(path, variant))
    if names:
        return [t for t in tests if any(n in t.full for n in names)]
    with open(os.path.join(HERE, "long")) as f:
        later = f.read().split()
    return [t for t in tests if t.full not in later]


def write_junit(tests, path):
    suite = ElementTree.Element("testsuite", name="boot", tests=str(len(tests)))
    for t in tests:
        case = ElementTree.SubElement(suite, "testcase", classname=t.classname, name=t.title,
                                      time="%.1f" % t.seconds)
        kind = {"skip": "skipped", "error": "error", "failure": "failure"}.get(t.verdict)
        if kind:
            ElementTree.SubElement(case, kind, message=t.reason)
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-j", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("-l", action="store_true", help="list the tests")
    parser.add_argument("--vmm", choices=("hospes", "qemu"), default="hospes")
    parser.add_argument("--slow", type=float, default=1.0, help="factor on every time limit")
    parser.add_argument("--until", type=float, default=float(os.environ.get("HOSPES_TESTS_UNTIL", 0)))
    parser.add_argument("--guests", default=os.environ.get("HOSPES_GUESTS", os.path.join(TOP, "build/guests")))
    parser.add_argument("--work", default=os.path.join(TOP, "build/boot"))
    parser.add_argument("--binary", default=os.path.join(TOP, "build/hospes"))
    parser.add_argument("names", nargs="*")
    opts = parser.parse_args()
    opts.work = os.path.abspath(opts.work)  # tests change their directory
    opts.guests = os.path.abspath(opts.guests)
    tests = find_tests(opts.names)
    if opts.l:
        print("\n".join(t.full for t in tests))
        return 0
    os.makedirs(opts.work, exist_ok=True)
    for kernel in sorted({t.fields["kernel"] for t in tests}):
        subprocess.run([os.path.join(TOP, "tools/fetch-kernel.sh"), kernel, opts.guests], check=True)
    for t in tests:
        t.initrd(opts)
    opts.slots = queue.SimpleQueue()
    for slot in range(opts.j):
        opts.slots.put(str(slot))
    # By host kernel, so that at most J software hosts work at a time.
    for kernel in sorted({t.fields["host_kernel"] for t in tests}):
        with concurrent.futures.ThreadPoolExecutor(opts.j) as pool:
            group = [t for t in tests if t.fields["host_kernel"] == kernel]
            runs = {pool.submit(t.run, opts): t for t in group}
            for done in concurrent.futures.as_completed(runs):
                done.result()
                t = runs[done]
                print("%-8s %-40s %6.1f s  %s" % (t.verdict, t.full, t.seconds, t.reason), flush=True)
    write_junit(tests, os.path.join(opts.work, "junit.xml"))
    bad = sum(t.verdict in ("failure", "error") for t in tests)
    skipped = sum(t.verdict == "skip" for t in tests)
    print("boot: %d passed, %d failed, %d skipped" % (len(tests) - bad - skipped, bad, skipped))
    return 1 if bad or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
