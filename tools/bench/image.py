#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures `hospes image` beside qemu-img in one run; see docs/devel/performance.md.

usage: image.py --hospes FILE --pack FILE [--work DIR] [--size MIB] [--reps N] [--rows TEXT] [--json FILE] [PART...]
parts: plain packed unpack compare chain sparse (default: all)

CPU seconds are user and system time of the process, the least of N runs that take turns; peak is
VmHWM. Before each run the source is read into the page cache, and as much memory as the result may
take is touched and freed again: in a virtual machine whose host takes free memory back, whoever
came next would be charged for getting it. The limit is what the job costs without any format: cp, cmp, or the compressor alone.
"""
import argparse
import json
import mmap
import os
import shutil
import subprocess
import sys
import threading
import time

MIB = 1 << 20
# hospes' name, qemu-img's name, options of each
FORMATS = [("raw", "raw", "", ""), ("vhd", "vpc", "", "force_size=on"), ("vdi", "vdi", "", ""),
           ("qcow2", "qcow2", "", ""), ("vhdx", "vhdx", "", ""), ("vmdk", "vmdk", "", "")]
PACKED = [("qcow2-zlib", "qcow2", "", "deflate"), ("qcow2-zstd", "qcow2", "compression_type=zstd", "zstd"),
          ("vmdk-stream", "vmdk", "subformat=streamOptimized", "zlib")]


def run(cmd):
    """CPU seconds, wall seconds, peak KiB and exit code."""
    peak = [0]
    start = time.monotonic()
    p = subprocess.Popen(cmd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    over = threading.Event()

    def watch():
        while not over.wait(0.01):
            try:
                with open(f"/proc/{p.pid}/status") as f:
                    for line in f:
                        if line.startswith("VmHWM"):
                            peak[0] = max(peak[0], int(line.split()[1]))
            except OSError:
                return
    t = threading.Thread(target=watch)
    t.start()
    said = p.stderr.read()
    _, status, use = os.wait4(p.pid, 0)
    wall = time.monotonic() - start
    over.set()
    t.join()
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode:
        sys.exit(f"image.py: {' '.join(cmd)}: {said.decode().strip()}")
    return {"cpu": use.ru_utime + use.ru_stime, "wall": wall, "peak": peak[0]}


def warm(mib):
    """Memory that the host has really given, in large pages, free for what comes next."""
    pid = os.fork()
    if pid == 0:
        m = mmap.mmap(-1, mib * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        m.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, mib * MIB, 4096):
            m[at] = 1
        os._exit(0)
    os.waitpid(pid, 0)


def best(runs):
    return {"cpu": min(r["cpu"] for r in runs), "wall": min(r["wall"] for r in runs),
            "peak": max(r["peak"] for r in runs)}


def fill_tree(tree, budget):
    """Files of this system, in a fixed order, until there are `budget` bytes."""
    for top in ("/usr/bin", "/usr/sbin", "/usr/include", "/usr/lib", "/usr/share"):
        for folder, folders, names in os.walk(top):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                size = os.path.getsize(path)
                if size > 64 * MIB or not os.access(path, os.R_OK):
                    continue
                if size > budget:
                    return
                budget -= size
                to = tree + path
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copyfile(path, to)


def make_source(path, mib):
    """A file system, half full, as a raw image without its zeroes."""
    if os.path.exists(path) and os.path.getsize(path) == mib * MIB:
        return
    tree, full = path + ".tree", path + ".full"
    shutil.rmtree(tree, ignore_errors=True)
    fill_tree(tree, mib * MIB * 54 // 100)
    with open(full, "wb") as f:
        f.truncate(mib * MIB)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, full], check=True)
    subprocess.run(["cp", "--sparse=always", full, path], check=True)
    os.unlink(full)
    shutil.rmtree(tree)


class Bench:
    def __init__(self, a):
        self.a, self.rows, self.limits = a, [], {}
        self.src = self.at("src.raw")
        os.makedirs(a.work, exist_ok=True)
        make_source(self.src, a.size)
        listed = subprocess.run([a.hospes, "image", "--help"], capture_output=True, text=True).stdout
        listed = listed.split("Formats:")[-1]
        self.known = {l.split()[0] for l in listed.splitlines() if l.strip() and "(read-only)" not in l}
        self.cache()
        self.stored = os.stat(self.src).st_blocks * 512

    def cache(self):
        """The source is in the page cache, which under pressure forgets it."""
        with open(self.src, "rb") as f:
            while f.read(4 * MIB):
                pass

    def at(self, name):
        return os.path.join(self.a.work, name)

    def pair(self, name, ours, theirs, bar, out=None, size_bar=None, limit=None, word="cp"):
        """Both in turn; out: the file that each writes, for sizes."""
        if self.a.rows not in name:
            return
        got = {"hospes": [], "qemu": []}
        sizes = {}
        for _ in range(self.a.reps):
            for who, cmd in (("hospes", ours), ("qemu", theirs)):
                if out and os.path.exists(out):
                    os.unlink(out)
                if out:
                    self.cache()
                    warm(self.a.size)
                got[who].append(run(cmd))
                if out:
                    sizes[who] = os.stat(out).st_size
        self.row(name, best(got["hospes"]), best(got["qemu"]), bar, sizes, size_bar, limit, word)

    def row(self, name, h, q, bar, sizes=None, size_bar=None, limit=None, word=""):
        ratio = h["cpu"] / max(q["cpu"], 1e-9)
        ok = "" if bar is None else "ok" if ratio <= bar else "OVER"
        text = (f"{name:28} {h['cpu']:7.2f} {q['cpu']:7.2f} {ratio:6.2f} "
                f"{bar if bar is not None else '':>5} {ok:4} {h['wall']:7.2f} {q['wall']:7.2f} "
                f"{h['peak'] / 1024:6.1f} {q['peak'] / 1024:6.1f}")
        more = {}
        if sizes:
            change = sizes["hospes"] / sizes["qemu"] - 1
            text += f" {sizes['hospes'] / MIB:8.1f} {change * 100:+6.1f} %"
            if size_bar is not None:
                text += " ok" if change <= size_bar else " OVER"
            more = {"size": sizes["hospes"], "peer_size": sizes["qemu"]}
        else:
            text += " " * 18
        if limit:
            text += f"  {word} {limit:.2f}"
        print(text, flush=True)
        self.rows.append({"name": name, "cpu": h["cpu"], "peer_cpu": q["cpu"], "bar": bar,
                          "wall": h["wall"], "peer_wall": q["wall"], "peak_kib": h["peak"],
                          "peer_peak_kib": q["peak"], "limit": limit, **more})

    def head(self, title):
        print(f"\n{title}\n{'':28} {'hospes':>7} {'qemu':>7} {'ratio':>6} {'bar':>5} {'':4} "
              f"{'wall':>7} {'qemu':>7} {'MiB':>6} {'qemu':>6} {'out MiB':>8} {'size':>8}   limit")

    def formats(self):
        return [f for f in FORMATS if f[0] in self.known]

    def packed(self):
        return [p for p in PACKED if p[1] in self.known]

    def ours(self, *words):
        return [self.a.hospes, "image", *words]

    def convert(self, to, options, src, out, pack=False, of=None):
        return self.ours("convert", "-q", *(["-f", of] if of else []), *(["-c"] if pack else []), "-O", to,
                         *(["-o", options] if options else []), src, out)

    @staticmethod
    def qemu(to, options, src, out, pack=False, of=None):
        return ["qemu-img", "convert", *(["-f", of] if of else []), *(["-c"] if pack else []), "-O", to,
                *(["-o", options] if options else []), src, out]

    def cp(self):
        if "cp" not in self.limits:
            out = self.at("limit.raw")
            got = []
            for _ in range(self.a.reps):
                self.cache()
                warm(self.a.size)
                got.append(run(["cp", "--sparse=always", self.src, out]))
                os.unlink(out)
            self.limits["cp"] = best(got)["cpu"]
        return self.limits["cp"]

    def tool(self, name):
        """Seconds that the compressor alone takes for all that is stored."""
        if name not in self.limits:
            got = subprocess.run([self.a.pack, name, self.src], capture_output=True, text=True,
                                 check=True).stdout
            self.limits[name] = self.stored / float(got.split()[0])
        return self.limits[name]

    def check(self, image):
        """What was measured must also be right."""
        subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", self.src, image], check=True)

    def plain(self):
        self.head("conversions without compression; the limit is cp --sparse=always")
        for name, theirs, options, more in self.formats():
            out = self.at("out." + name)
            self.pair("raw -> " + name, self.convert(name, options, self.src, out, of="raw"),
                      self.qemu(theirs, more, self.src, out, of="raw"), 0.75, out, None, self.cp())
        for name, theirs, _, _ in self.formats()[1:]:
            out = self.at("out.raw")
            if self.a.rows in name + " -> raw":
                self.pair(name + " -> raw", self.convert("raw", "", self.plain_in(name), out),
                          self.qemu("raw", "", self.at("in." + name), out, of=theirs), 0.75, out, None,
                          self.cp())
        if "vhdx" in self.known and self.a.rows in "vhd -> vhdx":
            out = self.at("out.vhdx")
            self.pair("vhd -> vhdx", self.convert("vhdx", "", self.plain_in("vhd"), out),
                      self.qemu("vhdx", "", self.at("in.vhd"), out, of="vpc"), 0.75, out, None, self.cp())

    def plain_in(self, name):
        """The source in a format, made by hospes and read by qemu-img."""
        path = self.at("in." + name)
        if not os.path.exists(path):
            run(self.convert(name, "", self.src, path, of="raw"))
            self.check(path)
        return path

    def compressed(self, name, to, options, pack=True):
        path = self.at("in." + name)
        if not os.path.exists(path):
            run(self.convert(to, options, self.src, path, pack, of="raw"))
            self.check(path)
        return path

    def pack(self):
        self.head("compression; the limit is the compressor alone")
        bars = {"qcow2-zlib": 0.15, "qcow2-zstd": 0.6, "vmdk-stream": 0.4}
        for name, to, options, tool in self.packed():
            out = self.at("out." + name)
            pack = to == "qcow2"
            self.pair("raw -> " + name, self.convert(to, options, self.src, out, pack, of="raw"),
                      self.qemu(to, options, self.src, out, pack, of="raw"), bars[name], out, 0.01,
                      self.tool(tool), tool)

    def unpack(self):
        self.head("decompression; the limit is the decompressor alone")
        for name, to, options, tool in self.packed():
            path, out = self.compressed(name, to, options, to == "qcow2"), self.at("out.raw")
            self.pair(name + " -> raw", self.convert("raw", "", path, out),
                      self.qemu("raw", "", path, out, of=to), 0.6, out, None, self.tool("un" + tool), tool)

    def compare(self):
        self.head("compare with the raw image; the limit is cmp of two raw images")
        copy = self.at("in.raw")
        subprocess.run(["cp", "--sparse=always", self.src, copy], check=True)
        limit = best([run(["cmp", self.src, copy]) for _ in range(self.a.reps)])["cpu"]
        kinds = [(n, q, o, False) for n, q, o, _ in self.formats()]
        kinds += [(n, t, o, True) for n, t, o, _ in self.packed()]
        for name, theirs, options, pack in kinds:
            if self.a.rows not in "compare " + name:
                continue
            path = self.compressed(name, theirs, options, theirs == "qcow2") if pack else self.plain_in(name)
            self.pair("compare " + name, self.ours("compare", "-q", self.src, path),
                      ["qemu-img", "compare", "-q", "-f", "raw", "-F", theirs, self.src, path], 1.0, None,
                      None, limit, "cmp")

    def sparse(self):
        self.head("1 TiB with 64 MiB in it; milliseconds of CPU time are what counts")
        for name, theirs, _, _ in self.formats():
            path = self.at("sparse." + name)
            subprocess.run(self.ours("create", "-q", "-f", name, path, "1T"), check=True)
            subprocess.run(["qemu-io", "-f", theirs, "-c", "write -q 100G 32M", "-c", "write -q 1000G 32M",
                            path], check=True, stdout=subprocess.DEVNULL)
            for verb in ("info", "map", "check"):
                if verb == "check" and name == "raw":
                    continue
                # QEMU cannot check these: info stands in
                peer = verb if verb != "check" or name != "vhd" else "info"
                json_out = ["--output=json"] if peer == "map" else []  # the other form refuses VHDX
                self.pair(f"{verb} {name}", self.ours(verb, path),
                          ["qemu-img", peer, "-f", theirs, *json_out, path], None)
            os.unlink(path)

    def chain(self):
        if "qcow2" not in self.known:
            return
        self.head("reading a chain: a child of 64 MiB over the image")
        child, out = self.at("child.qcow2"), self.at("out.raw")
        self.plain_in("qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", "in.qcow2", "-F", "qcow2", child],
                       check=True)
        subprocess.run(["qemu-io", "-c", "write -q -P 5 700M 64M", child], check=True,
                       stdout=subprocess.DEVNULL)
        self.pair("child qcow2 -> raw", self.convert("raw", "", child, out),
                  self.qemu("raw", "", child, out, of="qcow2"), 0.75, out, None, self.cp())


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--hospes", required=True)
    p.add_argument("--pack", required=True)
    p.add_argument("--work", default="build/bench/image")
    p.add_argument("--size", type=int, default=2048)
    p.add_argument("--reps", type=int, default=5)
    p.add_argument("--rows", default="", help="only rows whose name has this text")
    p.add_argument("--json")
    p.add_argument("--keep", action="store_true")
    p.add_argument("parts", nargs="*")
    a = p.parse_args()
    b = Bench(a)
    parts = {"plain": b.plain, "packed": b.pack, "unpack": b.unpack, "compare": b.compare,
             "chain": b.chain, "sparse": b.sparse}
    for name in a.parts or parts:
        if name not in parts:
            sys.exit(f"image.py: there is no part {name}; {', '.join(parts)} are")
        parts[name]()
    if a.json:
        with open(a.json, "w") as f:
            json.dump({"rows": b.rows, "limits": b.limits, "stored": b.stored}, f, indent=1)
    for name in os.listdir(a.work):
        if name != "src.raw" and not a.keep:
            os.unlink(os.path.join(a.work, name))


if __name__ == "__main__":
    main()
