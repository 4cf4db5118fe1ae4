# SPDX-License-Identifier: Apache-2.0
"""kit.py - what the style checks share.

A check is a function from a tree, {path: text}, to a list of findings. Each check also gives
`good`, a tree with nothing to find, and `bad`, trees that must each give a finding: run() with
--self-test judges those instead, so a check that cannot fail is itself a failed test.

exceptions.txt lists what is allowed although a check objects, with the reason.
Exit codes: 0 clean, 1 findings, 77 skipped.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXCEPTIONS = "tests/style/exceptions.txt"
SKIP = 77


class Skip(Exception):
    """The check cannot be made here; the text says why."""


def git(*args):
    return subprocess.run(["git", "-C", ROOT, *args], capture_output=True, text=True)


def paths():
    got = git("ls-files", "-co", "--exclude-standard", "-z")
    if got.returncode == 0:
        return [p for p in got.stdout.split("\0") if p]
    found = []
    for base, dirs, names in os.walk(ROOT):
        dirs[:] = [d for d in dirs if not d.startswith((".", "build"))]
        found += [os.path.relpath(os.path.join(base, n), ROOT) for n in names]
    return found


def tree():
    files = {}
    for path in sorted(set(paths())):
        full = os.path.join(ROOT, path)
        if not os.path.isfile(full):
            continue
        with open(full, "rb") as f:
            data = f.read()
        files[path] = "" if b"\0" in data else data.decode("utf-8", "replace")
    return files


def exceptions(files, check):
    """{(path, name): reason} for one check. A line is: CHECK PATH NAME REASON..."""
    found = {}
    for line in files.get(EXCEPTIONS, "").splitlines():
        words = line.split(None, 3)
        if len(words) == 4 and words[0] == check:
            found[(words[1], words[2])] = words[3]
    return found


def code(text, strings=False):
    """C with comments (and, unless asked for, the inside of strings) blanked; lines stay."""
    def blank(m):
        s = m.group(0)
        if s[0] == "/":
            return "\n" * s.count("\n") or " "
        return s if strings else s[0] + s[-1]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text,
                  flags=re.S)


def c_files(files, *tops):
    for path, text in files.items():
        if path.endswith((".c", ".h")) and path.startswith(tops or ("src/", "tests/")):
            yield path, text


def self_test(check, good, bad):
    wrong = [f"finds a fault in good input: {f}" for f in check(good)]
    for i, files in enumerate(bad):
        if not check(files):
            wrong.append(f"finds nothing in bad input {i}: {files}")
    return wrong


def run(check, good, bad, load=tree):
    testing = "--self-test" in sys.argv[1:]
    try:
        found = self_test(check, good, bad) if testing else check(load())
    except Skip as why:
        print(f"skipped: {why}")
        sys.exit(SKIP)
    for line in found:
        print(line)
    sys.exit(1 if found else 0)
