#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""convert.py HOSPES - what `hospes image convert` leaves behind when it fails, and what it writes to a pipe."""
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time

SIZE = 8 << 20
IN_FILES = ["subformat=monolithicFlat", "subformat=twoGbMaxExtentSparse", "subformat=twoGbMaxExtentFlat",
            "subformat=vmfsThin", "subformat=monolithicSparse", "subformat=streamOptimized"]
failed = 0


def expect(what, ok, detail=""):
    global failed
    if not ok:
        failed += 1
        print("FAILED: %s %s" % (what, detail))


def run(*words):
    return subprocess.run([hospes, "image"] + list(words), stdin=subprocess.DEVNULL, capture_output=True)


def left(source):
    return [x for x in sorted(os.listdir(".")) if x != source]


def clear(source):
    for x in left(source):
        if x != "source":
            os.unlink(x)


def changing(path):
    """Writes a number to the first sector of path, another each time, until it is killed."""
    pid = os.fork()
    if pid == 0:
        fd, n = os.open(path, os.O_WRONLY), 1
        while True:
            os.pwrite(fd, n.to_bytes(8, "little"), 0)
            n += 1
    return pid


def verified_until_it_fails(options, seconds=30):
    """The writer may not have had a turn between a conversion and its verification, so both are tried again."""
    end = time.monotonic() + seconds
    while True:
        r = run("convert", "-O", "vmdk", "-o", options, "--verify", "source", "out.vmdk")
        if r.returncode or time.monotonic() > end:
            return r
        clear("source")


def a_failed_verification_leaves_no_file():
    writer = changing("source")
    for options in IN_FILES:
        r = verified_until_it_fails(options)
        expect(options, r.returncode == 74 and b"reads differently" in r.stderr, r)
        expect(options + " leaves", left("source") == [], left("source"))
        clear("source")
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)


def an_image_that_cannot_be_opened_leaves_no_file():
    with open("wide", "wb") as f:
        f.truncate(80 << 30)
    r = subprocess.run([hospes, "image", "convert", "-O", "vmdk", "-o", IN_FILES[1], "wide", "out.vmdk"],
                       capture_output=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24)))
    expect("40 extents in 24 files", r.returncode not in (0, None) and r.stderr, r)
    expect("a failed opening leaves", left("wide") == ["source"], left("wide"))
    clear("wide")
    os.unlink("wide")


def a_signal_leaves_no_file():
    with open("large", "wb") as f:
        f.truncate(1 << 30)
        for at in range(0, 1 << 30, 1 << 20):
            f.seek(at)
            f.write(b"x" * (256 << 10))
    for options in IN_FILES[:3]:
        p = subprocess.Popen([hospes, "image", "convert", "-O", "vmdk", "-o", options, "large", "out.vmdk"])
        while not os.path.exists("out.vmdk") and p.poll() is None:
            time.sleep(0.001)
        p.send_signal(signal.SIGTERM)
        expect(options + " ends", p.wait() in (-signal.SIGTERM, 0))
        if p.returncode:
            expect(options + " leaves", left("large") == ["source"], left("large"))
        clear("large")
    os.unlink("large")


def a_raw_disk_goes_down_a_pipe():
    with open("source", "rb") as f:
        want = f.read()
    expect("qcow2", run("convert", "-O", "qcow2", "source", "image.qcow2").returncode == 0)
    for words in ([], ["-O", "raw"]):
        r = run("convert", *words, "image.qcow2", "-")
        expect("a pipe %s" % words, r.returncode == 0 and r.stdout == want, r.stderr)
    os.unlink("image.qcow2")
    expect("no file named -", left("source") == [], left("source"))


def nothing_else_makes_a_file_named_dash():
    for words in (["convert", "-O", "vmdk", "-o", "subformat=streamOptimized", "source", "-"],
                  ["convert", "-O", "qcow2", "source", "-"], ["convert", "--to", "kvm", "source", "-"],
                  ["convert", "-c", "source", "-"], ["convert", "--verify", "source", "-"], ["create", "-", "1M"],
                  ["create", "-f", "qcow2", "-", "1M"]):
        r = run(*words)
        expect(words, r.returncode == 64 and r.stdout == b"" and r.stderr.count(b"\n") == 1, r)
        expect("no file named -", left("source") == [], left("source"))
    expect("./- is a file", run("create", "./-", "1M").returncode == 0 and left("source") == ["-"])
    os.unlink("-")


hospes = os.path.realpath(sys.argv[1])
with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    with open("source", "wb") as f:
        f.write(random.Random(1).randbytes(SIZE // 2))
        f.truncate(SIZE + 512)
    for test in (a_failed_verification_leaves_no_file, an_image_that_cannot_be_opened_leaves_no_file,
                 a_signal_leaves_no_file, a_raw_disk_goes_down_a_pipe, nothing_else_makes_a_file_named_dash):
        before = failed
        test()
        print("%s %s" % ("ok" if failed == before else "not ok", test.__name__))
    os.chdir("/")
sys.exit(failed != 0)
