#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the Xen Test Framework under the xen persona.

    run.py [-k 6.1|6.12] [--portable] [--gate] [--table FILE] XTF [NAME...]

XTF is a built tree of the framework, which is no part of this repository. Its HVM binaries boot by their PVH note,
write a result to Xen's console and shut down. They run where KVM is usable, by `./dev host`, one after another. NAME
picks by a part of the binary's name; --gate those that speak of Xen's interface and must not fail.
Exits with 1 when one that ran says FAILURE or ERROR or nothing.
"""
import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GATE = re.compile(r"test-hvm(64|32|32pae|32pse)-(example|selftest|cpuid|msr|invlpg|debug-regs|argo"
                  r"|xsa-(122|192|195|221|231|232|239|278|317|454|463|consoleio-write))(~.*)?$")
RESULT = re.compile(r"Test result: (SUCCESS|SKIP|ERROR|FAILURE)")
SECONDS = 60
# A test's worst result counts.
ORDER = ("no result", "ERROR", "FAILURE", "SKIP", "SUCCESS")


def binaries(root, names, gate):
    found = sorted(glob.glob(os.path.join(root, "tests/*/test-hvm*")))
    found = [f for f in found if os.access(f, os.X_OK) and not f.endswith((".cfg", ".info"))]
    if gate:
        found = [f for f in found if GATE.match(os.path.basename(f))]
    return [f for f in found if not names or any(n in os.path.basename(f) for n in names)]


def run_here(binary, hospes, persona):
    """On the host that has KVM: one binary's result and what it printed."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as runtime:
        env = {**os.environ, "HOSPES_RUNTIME": runtime}
        cmd = [hospes, "run", "--host", "kvm", "--persona", persona, "--nic", "none", "--memory", "128M", "--kernel", binary]
        try:
            out = subprocess.run(cmd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 timeout=SECONDS, check=False).stdout.decode(errors="replace")
        except subprocess.TimeoutExpired as e:
            out = (e.stdout or b"").decode(errors="replace") + "\n(no end after %d s)" % SECONDS
    said = RESULT.search(out)
    return (said.group(1) if said else "no result"), out


def inside(opts):
    for binary in binaries(opts.xtf, opts.names, opts.gate):
        start = time.monotonic()
        result, out = run_here(binary, opts.hospes, "xen,portable" if opts.portable else "xen")
        print("%-10s %-40s %5.1f s" % (result, os.path.basename(binary), time.monotonic() - start), flush=True)
        if result not in ("SUCCESS", "SKIP"):
            for line in out.splitlines()[-12:]:
                print("    " + line, flush=True)


def environments(results):
    """Result of each test by environment: {test: {env: result}}."""
    table = {}
    for result, name in results:
        env, test = re.match(r"test-(hvm[^-]*)-(.*)", name).groups()
        table.setdefault(test, {})[env] = result
    return table


def write_table(results, path, title):
    names = ("hvm64", "hvm32pae", "hvm32pse", "hvm32")
    with open(path, "w", encoding="utf-8") as f:
        f.write("## %s\n\n| test | %s |\n|---|%s\n" % (title, " | ".join(names), "---|" * len(names)))
        for test, got in sorted(environments(results).items()):
            f.write("| %s | %s |\n" % (test, " | ".join(got.get(n, "") for n in names)))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-k", dest="kernel", default="6.1", choices=("6.1", "6.12"))
    parser.add_argument("--portable", action="store_true")
    parser.add_argument("--gate", action="store_true")
    parser.add_argument("--table")
    parser.add_argument("--hospes", default=os.path.join(TOP, "build/hospes"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("xtf")
    parser.add_argument("names", nargs="*")
    opts = parser.parse_args()
    opts.xtf = os.path.abspath(opts.xtf)
    if not binaries(opts.xtf, opts.names, opts.gate):
        sys.exit("run.py: no built tests in %s: run make there" % opts.xtf)
    if opts.inside:
        return inside(opts)
    cmd = ["./dev", "host", "-k", opts.kernel, sys.executable, os.path.abspath(__file__), "--inside", "--hospes",
           os.path.abspath(opts.hospes)]
    cmd += ["--portable"] * opts.portable + ["--gate"] * opts.gate + [opts.xtf] + opts.names
    results = []
    with subprocess.Popen(cmd, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as p:
        for line in p.stdout:
            print(line, end="", flush=True)
            said = re.match(r"(%s) +(test-\S+)" % "|".join(ORDER), line)
            if said:
                results.append(said.groups())
    if opts.table:
        write_table(results, opts.table, "Host kernel %s%s" % (opts.kernel, ", portable" if opts.portable else ""))
    counts = {r: sum(got == r for got, _ in results) for r in ORDER}
    print("xtf: " + ", ".join("%d %s" % (n, r) for r, n in reversed(counts.items()) if n))
    return 1 if not results or any(counts[r] for r in ORDER[:3]) else 0


if __name__ == "__main__":
    sys.exit(main())
