#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes an initramfs for a test guest: busybox, chosen kernel modules, programs with their
libraries, and a script that runs as /init.

    mkinitramfs.py -o OUT --kernel DIR [--module NAME]... [--program PATH]... [--file SRC:DST]...
                   --init SCRIPT

DIR holds vmlinuz and lib/modules as fetch-kernel.sh leaves them. Modules come with all that they
depend on; /modules lists them in load order, one `path` a line. The archive is uncompressed
(kernels unpack it faster than they inflate it) and the same input gives the same bytes.
"""
import argparse
import os
import shutil
import stat
import subprocess
import sys


class Archive:
    """cpio "newc" archive, built in memory: path -> (mode, data, rdev)."""

    def __init__(self):
        self.entries = {}

    def add_dir(self, path):
        path = path.strip("/")
        if not path or path in self.entries:
            return
        self.add_dir(os.path.dirname(path))
        self.entries[path] = (stat.S_IFDIR | 0o755, b"", (0, 0))

    def add(self, path, data, mode=0o644):
        path = path.strip("/")
        self.add_dir(os.path.dirname(path))
        self.entries[path] = (stat.S_IFREG | mode, data, (0, 0))

    def add_link(self, path, target):
        path = path.strip("/")
        self.add_dir(os.path.dirname(path))
        self.entries[path] = (stat.S_IFLNK | 0o777, target.encode(), (0, 0))

    def add_char(self, path, major, minor):
        path = path.strip("/")
        self.add_dir(os.path.dirname(path))
        self.entries[path] = (stat.S_IFCHR | 0o600, b"", (major, minor))

    @staticmethod
    def record(inode, name, mode, data, rdev):
        name = name.encode() + b"\0"
        fields = (inode, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0, len(data),
                  0, 0, rdev[0], rdev[1], len(name), 0)
        out = b"070701" + b"".join(b"%08X" % f for f in fields) + name
        out += b"\0" * (-len(out) % 4)
        return out + data + b"\0" * (-len(data) % 4)

    def write(self, path):
        tmp = "%s.%d.tmp" % (path, os.getpid())
        with open(tmp, "wb") as out:
            for inode, name in enumerate(sorted(self.entries), 1):
                mode, data, rdev = self.entries[name]
                out.write(self.record(inode, name, mode, data, rdev))
            out.write(self.record(0, "TRAILER!!!", 0, b"", (0, 0)))
            out.write(b"\0" * (-out.tell() % 512))
        os.rename(tmp, path)


def fail(message):
    sys.exit("mkinitramfs: " + message)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def module_name(path):
    return os.path.basename(path).split(".ko")[0].replace("-", "_")


def module_order(kernel_dir, names):
    """The modules' paths below lib/modules/VERSION, each after those that it needs. A name that
    the kernel has built in is passed over."""
    version = os.listdir(os.path.join(kernel_dir, "lib/modules"))[0]
    base = os.path.join(kernel_dir, "lib/modules", version)
    needs = {}
    path_of = {}
    for line in open(os.path.join(base, "modules.dep")):
        path, deps = line.rstrip("\n").split(":")
        path_of[module_name(path)] = path
        needs[path] = deps.split()
    builtin = {module_name(line.strip()) for line in open(os.path.join(base, "modules.builtin"))}
    order = []
    for name in (n.replace("-", "_") for n in names):
        if name in builtin:
            continue
        if name not in path_of:
            fail("kernel %s has no module %s" % (version, name))
        # modules.dep lists the nearest dependency first.
        for path in list(reversed(needs[path_of[name]])) + [path_of[name]]:
            if path not in order:
                order.append(path)
    return version, base, order


def libraries(program):
    """Shared libraries and the loader of a dynamic program, as ldd(1) sees them here."""
    out = subprocess.run(["ldd", program], capture_output=True, text=True)
    if out.returncode != 0:
        return []
    found = []
    for word in out.stdout.split():
        if word.startswith("/") and word not in found:
            found.append(word)
    return found


def add_program(archive, program):
    path = program if "/" in program else shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not path or not os.path.exists(path):
        fail("no program %s on this machine: run ./dev setup" % program)
    archive.add("bin/" + os.path.basename(path), read(path), 0o755)
    for lib in libraries(path):
        archive.add(lib, read(lib), 0o755)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-o", dest="out", required=True)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--module", action="append", default=[])
    parser.add_argument("--program", action="append", default=[])
    parser.add_argument("--file", action="append", default=[])
    parser.add_argument("--init", required=True)
    args = parser.parse_args()

    archive = Archive()
    for path in ("dev", "proc", "sys", "tmp", "run", "root", "mnt", "etc"):
        archive.add_dir(path)
    archive.add_char("dev/console", 5, 1)
    archive.add("bin/busybox", read(shutil.which("busybox")), 0o755)
    archive.add_link("bin/sh", "busybox")
    version, base, order = module_order(args.kernel, args.module)
    for path in order:
        archive.add("lib/modules/%s/%s" % (version, path), read(os.path.join(base, path)))
    archive.add("modules", "".join("/lib/modules/%s/%s\n" % (version, p) for p in order).encode())
    for program in args.program:
        add_program(archive, program)
    for spec in args.file:
        src, dst = spec.split(":")
        archive.add(dst, read(src), os.stat(src).st_mode & 0o777)
    archive.add("init", read(args.init), 0o755)
    archive.write(args.out)


if __name__ == "__main__":
    main()
