#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py [NAME...] - builds Debian and Windows-shaped disks and holds `hospes inspect` to them.

The Debians come from debootstrap once for each architecture and are kept in build/inspect; their
initrds are made by their own initramfs-tools, for one persona at a time and for all. Disks are put
together from files, without mounting and without loop devices. Needs root for debootstrap alone.
-l lists the cases; --boots leaves the plain ones in build/inspect/boots, for tests/boot/inspect. The last line is `N passed, N failed, N skipped`.
"""
import hashlib
import json
import os
import re
import resource
import shutil
import struct
import subprocess
import sys
import time
import zlib

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
WORK = os.path.join(TOP, "build", "inspect")
HOSPES = os.path.join(TOP, "build", "hospes")
MKHIVE = os.path.join(TOP, "build", "tests", "inspect", "mkhive")
NTFS_TREE = os.path.join(TOP, "tests", "inspect", "ntfs_tree.py")
MIRROR = os.environ.get("HOSPES_MIRROR", "http://deb.debian.org/debian")
KERNELS = {"amd64": "linux-image-amd64", "i386": "linux-image-686-pae"}
MODULES = {
    "kvm": ["virtio_pci", "virtio_blk"],
    "hyperv": ["hv_vmbus", "hv_storvsc", "sd_mod"],
    "xen": ["xen_blkfront"],
    "vmware": ["vmw_pvscsi", "sd_mod"],
    "bare": ["ata_piix", "sd_mod"],
    "all": None,
}
PERSONAS = ["kvm", "hyperv", "xen", "vmware", "bare"]
MIB = 1 << 20
ENV = {**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin", "LC_ALL": "C"}


class Skip(Exception):
    pass


def run(*args, **more):
    got = subprocess.run(args, capture_output=True, text=True, env=ENV, **more)
    if got.returncode:
        raise RuntimeError(f"{args[0]}: {(got.stderr or got.stdout).strip()[-400:]}")
    return got.stdout


def need(*programs):
    for p in programs:
        if not shutil.which(p, path=ENV["PATH"]):
            raise Skip(f"no {p}")


# --- Debian ---

def debian(arch):
    """The root folder of a Debian; made once."""
    root = os.path.join(WORK, f"root-{arch}")
    if not os.path.exists(os.path.join(root, ".done")):
        need("debootstrap")
        if os.getuid():
            raise Skip("debootstrap wants root")
        shutil.rmtree(root, ignore_errors=True)
        print(f"inspect: debootstrap of {arch}, once", file=sys.stderr)
        run("debootstrap", f"--arch={arch}", "--variant=minbase",
            f"--include={KERNELS[arch]},initramfs-tools,zstd", "bookworm", root, MIRROR)
        open(os.path.join(root, ".done"), "w").close()
    return root


def version(root):
    return sorted(os.listdir(os.path.join(root, "lib/modules")))[-1]


def initrd(arch, which):
    """An initrd by the guest's own initramfs-tools, with the modules of one persona or with most."""
    out = os.path.join(WORK, f"initrd-{arch}-{which}")
    if not os.path.exists(out):
        root = debian(arch)
        conf = os.path.join(root, "etc/initramfs-tools")
        with open(f"{conf}/conf.d/hospes", "w") as f:
            f.write(f"MODULES={'most' if which == 'all' else 'list'}\n")
        with open(f"{conf}/modules", "w") as f:
            f.write("\n".join((MODULES[which] or []) + ["ext4", "xfs", "btrfs"]) + "\n")
        run("chroot", root, "mkinitramfs", "-o", "/tmp/initrd", version(root))
        shutil.move(f"{root}/tmp/initrd", out)
    return out


KEEP = ["etc/os-release", "usr/lib/os-release", "etc/debian_version", "etc/passwd", "etc/initramfs-tools",
        "bin/sh", "bin/dash", "usr/bin/dash", "sbin/init", "var/lib/dpkg/status"]


def system(folder, arch, which, root_arg, fstab, boot_apart=False):
    """A Debian of which what counts is there: its kernel, its modules' lists, an initrd, settings."""
    root = debian(arch)
    ver = version(root)
    shutil.rmtree(folder, ignore_errors=True)
    for path in KEEP + [f"usr/lib/modules/{ver}/{n}" for n in os.listdir(f"{root}/lib/modules/{ver}")
                        if n.startswith("modules.")]:
        src, dst = os.path.join(root, path), os.path.join(folder, path)
        if not os.path.lexists(src):
            continue
        os.makedirs(os.path.dirname(os.path.realpath(dst)), exist_ok=True)
        if os.path.isdir(src) and not os.path.islink(src):
            shutil.copytree(src, dst, symlinks=True)
        elif not os.path.lexists(dst):
            shutil.copy2(src, dst, follow_symlinks=False)
    for link in ["bin", "lib", "sbin"]:
        if not os.path.lexists(f"{folder}/{link}"):
            os.symlink(f"usr/{link}", f"{folder}/{link}")
    os.makedirs(f"{folder}/boot/grub", exist_ok=True)
    os.makedirs(f"{folder}/etc/network", exist_ok=True)
    shutil.copy2(f"{root}/boot/vmlinuz-{ver}", f"{folder}/boot/")
    shutil.copy2(f"{root}/boot/config-{ver}", f"{folder}/boot/")
    shutil.copy2(initrd(arch, which), f"{folder}/boot/initrd.img-{ver}")
    with open(f"{folder}/etc/initramfs-tools/conf.d/hospes", "w") as f:
        f.write(f"MODULES={'most' if which == 'all' else 'list'}\n")
    with open(f"{folder}/etc/fstab", "w") as f:
        f.write(fstab)
    with open(f"{folder}/etc/network/interfaces", "w") as f:
        f.write("auto lo ens192\niface lo inet loopback\niface ens192 inet dhcp\n")
    at = "" if boot_apart else "/boot"
    with open(f"{folder}/boot/grub/grub.cfg", "w") as f:
        f.write(f"set default=0\nmenuentry 'Debian' {{\n  linux {at}/vmlinuz-{ver} root={root_arg} ro\n"
                f"  initrd {at}/initrd.img-{ver}\n}}\n")
    return ver


# --- file systems from folders ---

def new(path, mib):
    if os.path.exists(path):
        os.unlink(path)
    with open(path, "wb") as f:
        f.truncate(mib * MIB)


def ext4(path, folder, mib, label):
    need("mke2fs")
    new(path, mib)
    run("mke2fs", "-q", "-t", "ext4", "-L", label, "-d", folder, path)


def xfs(path, folder, mib, label):
    need("mkfs.xfs")
    lines = ["/x", "1 1", "d--755 0 0"]

    def walk(at):
        for name in sorted(os.listdir(at)):
            p = os.path.join(at, name)
            if os.path.islink(p):
                lines.append(f"{name} l--777 0 0 {os.readlink(p)}")
            elif os.path.isdir(p):
                lines.append(f"{name} d--755 0 0")
                walk(p)
                lines.append("$")
            else:
                lines.append(f"{name} ---644 0 0 {p}")
    walk(folder)
    with open(path + ".proto", "w") as f:
        f.write("\n".join(lines + ["$", ""]))
    new(path, max(mib, 320))
    run("mkfs.xfs", "-q", "-L", label[:12], "-p", path + ".proto", path)


def btrfs(path, folder, mib, label):
    need("mkfs.btrfs")
    new(path, max(mib, 256))
    run("mkfs.btrfs", "-q", "-L", label, "--rootdir", folder, path)


def fat(path, folder, mib, label):
    need("mkfs.vfat", "mcopy")
    if os.path.exists(path):
        os.unlink(path)
    run("mkfs.vfat", "-C", "-n", label, path, str(mib * 1024))
    run("mcopy", "-s", "-i", path, *[os.path.join(folder, n) for n in os.listdir(folder)], "::")


# --- disks from file systems ---

def put(disk, part, off):
    run("dd", f"if={part}", f"of={disk}", "bs=1M", f"seek={off}", "conv=notrunc,sparse")


def mib_of(path):
    return -(-os.path.getsize(path) // MIB)


def table(disk, label, parts, bios):
    """parts: (sfdisk type, file) in order. With bios, GRUB's first sector."""
    need("sfdisk")
    at, script = 1, [f"label: {label}"]
    places = []
    for kind, part in parts:
        places.append((part, at))
        script.append(f"start={at}M, size={mib_of(part)}M, type={kind}")
        at += mib_of(part)
    new(disk, at + 1)
    run("sfdisk", "-q", disk, input="\n".join(script) + "\n")
    for part, off in places:
        put(disk, part, off)
    if bios:
        boot = "/usr/lib/grub/i386-pc/boot.img"
        if not os.path.exists(boot):
            raise Skip("no boot.img of GRUB")
        with open(boot, "rb") as f:
            code = f.read(440)
        with open(disk, "r+b") as f:
            f.write(code)


def esp(path, folder):
    """An EFI system partition with GRUB under the name that firmware looks for."""
    need("grub-mkimage")
    if not os.path.isdir("/usr/lib/grub/x86_64-efi"):
        raise Skip("no GRUB for UEFI")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(f"{folder}/EFI/BOOT")
    run("grub-mkimage", "-O", "x86_64-efi", "-p", "/boot/grub", "-o", f"{folder}/EFI/BOOT/BOOTX64.EFI",
        "part_gpt", "ext2", "linux", "normal")
    os.makedirs(f"{folder}/EFI/debian")
    shutil.copy(f"{folder}/EFI/BOOT/BOOTX64.EFI", f"{folder}/EFI/debian/grubx64.efi")
    fat(path, folder, 8, "ESP")


def lvm(path, volumes):
    """A physical volume as lvm2 writes it: a label, one area with the text, the data from 1 MiB on."""
    ids = ["AAAAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAAAA", "BBBBBB-BBBB-BBBB-BBBB-BBBB-BBBB-BBBBBB"]
    extent, lvs, at = 4, "", 0
    for name, part in volumes:
        n = -(-mib_of(part) // extent)
        lvs += (f'{name} {{\nid = "{ids[1]}"\nstatus = ["READ", "WRITE", "VISIBLE"]\nsegment_count = 1\n'
                f'segment1 {{\nstart_extent = 0\nextent_count = {n}\ntype = "striped"\nstripe_count = 1\n'
                f'stripes = [\n"pv0", {at}\n]\n}}\n}}\n')
        at += n
    text = (f'debian-vg {{\nid = "{ids[1]}"\nseqno = 1\nformat = "lvm2"\nstatus = ["RESIZEABLE"]\n'
            f'extent_size = {extent * 2048}\nphysical_volumes {{\npv0 {{\nid = "{ids[0]}"\n'
            f'device = "/dev/sda2"\npe_start = 2048\npe_count = {at}\n}}\n}}\nlogical_volumes {{\n{lvs}}}\n}}\n'
            '# Generated by LVM2\ncontents = "Text Format Volume Group"\nversion = 1\n').encode() + b"\0"
    new(path, 1 + at * extent)
    label = bytearray(512)
    label[0:8], label[24:32] = b"LABELONE", b"LVM2 001"
    struct.pack_into("<QII", label, 8, 1, 0, 32)
    label[32:64] = ids[0].replace("-", "").encode()
    struct.pack_into("<QQQQQQQQQ", label, 64, os.path.getsize(path), MIB, 0, 0, 0, 4096, MIB - 4096, 0, 0)
    head = bytearray(512)
    head[4:20] = b" LVM2 x[5A%r0N*>"
    struct.pack_into("<IQQ", head, 20, 1, 4096, MIB - 4096)
    struct.pack_into("<QQII", head, 40, 512, len(text), zlib.crc32(text) & 0xffffffff, 0)
    with open(path, "r+b") as f:
        f.seek(512)
        f.write(label)
        f.seek(4096)
        f.write(head + text)
    at = 1
    for _, part in volumes:
        put(path, part, at)
        at += -(-mib_of(part) // extent) * extent


# --- what is expected ---

def inspect(disk):
    before = digest(disk)
    began, used = time.monotonic(), cpu()
    out = json.loads(run(HOSPES, "inspect", "--json", disk))
    out["seconds"], out["cpu"] = time.monotonic() - began, cpu() - used
    if digest(disk) != before:
        raise AssertionError("the image was written to")
    return out


def cpu():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while True:
            b = f.read(MIB)
            if not b:
                return h.hexdigest()
            h.update(b)


def same(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what} is {got!r}, not {wanted!r}")


def expect_debian(out, arch, which, ver):
    same("systems", len(out["systems"]), 1)
    s = out["systems"][0]
    same("id", s["id"], "debian")
    same("version", s["version"], "12")
    same("arch", s["arch"], {"amd64": "x86_64", "i386": "i386"}[arch])
    same("kernel", s["kernels"][0]["version"], ver)
    same("maker", s["kernels"][0].get("made-by"), "initramfs-tools")
    same("NIC names", s["network-names"], "ens192 in /etc/network/interfaces")
    for p in PERSONAS:
        v = out["personas"][p]
        wanted = "yes" if which in (p, "all") else "no"
        same(f"{p} ({v['why']})", v["boots"], "likely" if "bus" in v and wanted == "no" and
             "ata_piix" in (MODULES[which] or []) else wanted)
    same("persona", out["persona"], "kvm" if which == "all" else which)


def case_one_fs(make, arch, which):
    def go(work):
        fstab = "LABEL=root / auto defaults 0 1\n"
        ver = system(f"{work}/d", arch, which, "LABEL=root", fstab)
        make(f"{work}/part", f"{work}/d", 160, "root")
        table(f"{work}/disk", "dos", [("83", f"{work}/part")], True)
        out = inspect(f"{work}/disk")
        expect_debian(out, arch, which, ver)
        same("table", out["table"], "mbr")
        same("firmware", out["firmware"], ["bios"])
        same("loader", [x["name"] for x in out["boot-loaders"]][:1], ["grub2"])
    return go


def case_uefi(make, which):
    """ESP, /boot apart, root on any file system."""
    def go(work):
        fstab = ("LABEL=root / auto defaults 0 1\nLABEL=boot /boot ext4 defaults 0 2\n"
                 "LABEL=ESP /boot/efi vfat defaults 0 2\n")
        ver = system(f"{work}/d", "amd64", which, "LABEL=root", fstab, True)
        shutil.move(f"{work}/d/boot", f"{work}/b")
        os.mkdir(f"{work}/d/boot")
        esp(f"{work}/esp", f"{work}/e")
        ext4(f"{work}/boot", f"{work}/b", 100, "boot")
        make(f"{work}/root", f"{work}/d", 64, "root")
        table(f"{work}/disk", "gpt", [("U", f"{work}/esp"), ("L", f"{work}/boot"), ("L", f"{work}/root")],
              False)
        out = inspect(f"{work}/disk")
        expect_debian(out, "amd64", which, ver)
        same("table", out["table"], "gpt")
        same("firmware", out["firmware"], ["uefi"])
    return go


def case_lvm(make, which):
    def go(work):
        root = "/dev/mapper/debian--vg-root"
        fstab = f"{root} / auto defaults 0 1\nLABEL=boot /boot ext4 defaults 0 2\n"
        ver = system(f"{work}/d", "amd64", which, root, fstab, True)
        shutil.move(f"{work}/d/boot", f"{work}/b")
        os.mkdir(f"{work}/d/boot")
        ext4(f"{work}/boot", f"{work}/b", 100, "boot")
        make(f"{work}/root", f"{work}/d", 64, "root")
        new(f"{work}/swap", 8)
        lvm(f"{work}/pv", [("swap", f"{work}/swap"), ("root", f"{work}/root")])
        table(f"{work}/disk", "dos", [("83", f"{work}/boot"), ("8e", f"{work}/pv")], True)
        out = inspect(f"{work}/disk")
        expect_debian(out, "amd64", which, ver)
        same("place", out["systems"][0]["place"], "debian-vg/root")
    return go


def case_large(work):
    """A whole Debian on 20 GiB, in a qcow2: in two seconds."""
    need("qemu-img")
    root = debian("amd64")
    new(f"{work}/raw", 20480)
    run("mke2fs", "-q", "-t", "ext4", "-d", root, f"{work}/raw")
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", f"{work}/raw", f"{work}/disk.qcow2")
    os.unlink(f"{work}/raw")
    out = inspect(f"{work}/disk.qcow2")
    same("id", out["systems"][0]["id"], "debian")
    same("kvm", out["personas"]["kvm"]["boots"], "yes")
    print(f"inspect: a whole Debian on 20 GiB took {out['seconds']:.2f} s, {out['cpu']:.2f} s of them computing",
          file=sys.stderr)
    if out["cpu"] > 2:  # a machine that does other things too is no failure of ours
        raise AssertionError(f"it took {out['cpu']:.1f} s of CPU, more than 2")


def case_windows(services, persona, verdicts):
    def go(work):
        need("mkntfs")
        os.makedirs(f"{work}/w/Windows/System32/config")
        os.makedirs(f"{work}/w/Boot")
        open(f"{work}/w/bootmgr", "w").close()
        run(MKHIVE, f"{work}/w/Windows/System32/config/SYSTEM", *services)
        exe = (b"MZ" + bytes(300000) + "ProductVersion".encode("utf-16le") + bytes(4) +
               "10.0.17763.1".encode("utf-16le") + bytes(200))
        with open(f"{work}/w/Windows/System32/ntoskrnl.exe", "wb") as f:
            f.write(exe)
        new(f"{work}/part", 40)
        run("mkntfs", "-q", "-F", "-p", "2048", "-H", "255", "-S", "63", f"{work}/part")
        run("python3", NTFS_TREE, f"{work}/part", f"{work}/w")
        table(f"{work}/disk", "dos", [("7", f"{work}/part")], False)
        out = inspect(f"{work}/disk")
        same("systems", [s["name"] for s in out["systems"]], ["Windows Server 2019"])
        for p, wanted in verdicts.items():
            same(f"{p} ({out['personas'][p]['why']})", out["personas"][p]["boots"], wanted)
        same("persona", out["persona"], persona)
    return go


def cases():
    found = {}
    for which in MODULES:
        found[f"amd64-ext4-{which}"] = case_one_fs(ext4, "amd64", which)
        found[f"i386-ext4-{which}"] = case_one_fs(ext4, "i386", which)
    for name, make in [("xfs", xfs), ("btrfs", btrfs)]:
        for which in ["hyperv", "xen", "all"]:
            found[f"amd64-{name}-{which}"] = case_one_fs(make, "amd64", which)
    for name, make in [("ext4", ext4), ("xfs", xfs), ("btrfs", btrfs)]:
        found[f"uefi-{name}-vmware"] = case_uefi(make, "vmware")
        found[f"lvm-{name}-kvm"] = case_lvm(make, "kvm")
    found["uefi-ext4-all"] = case_uefi(ext4, "all")
    found["lvm-ext4-hyperv"] = case_lvm(ext4, "hyperv")
    found["large-20g"] = case_large
    found["windows-hyperv"] = case_windows(
        ["vmbus=0", "storvsc=0", "netvsc=3"], "hyperv", {"kvm": "no", "hyperv": "yes", "xen": "no"})
    found["windows-vmware"] = case_windows(
        ["pvscsi=0", "vmxnet3ndis6=3", "VMTools=2", "storvsc=0/3", "vmbus=0/3"], "vmware",
        {"vmware": "yes", "hyperv": "no", "kvm": "no"})
    found["windows-kvm"] = case_windows(
        ["viostor=0", "netkvm=3", "vmbus=3", "storvsc=3"], "kvm", {"kvm": "yes", "hyperv": "no"})
    found["windows-xen"] = case_windows(
        ["xenbus=0", "xenvbd=0", "xenagent=2", "intelide=0"], "xen",
        {"xen": "yes", "bare": "yes", "kvm": "likely"})
    return found


# --- disks to boot ---

INIT = """#!/bin/busybox sh
# Reached when the initramfs has found and mounted the root.
/bin/busybox mount -t proc proc /proc
echo "root reached on $(/bin/busybox sed -n 's/^\\([^ ]*\\) \\/ .*/\\1/p' /proc/mounts | /bin/busybox tail -n 1)"
/bin/busybox poweroff -f
"""


def boots():
    """build/inspect/boots/WHICH.{img,vmlinuz,initrd}: the same disks with an init, for tests/boot/inspect."""
    folder = os.path.join(WORK, "boots")
    os.makedirs(folder, exist_ok=True)
    for which in MODULES:
        image = os.path.join(folder, which + ".img")
        if os.path.exists(image):
            continue
        work = os.path.join(WORK, "case")
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        ver = system(f"{work}/d", "amd64", which, "LABEL=root", "LABEL=root / ext4 defaults 0 1\n")
        shutil.copy2("/bin/busybox", f"{work}/d/bin/busybox")
        for at in ("dev", "proc", "run", "sys", "tmp", "root"):
            os.makedirs(f"{work}/d/{at}", exist_ok=True)
        if os.path.lexists(f"{work}/d/sbin/init"):
            os.unlink(f"{work}/d/sbin/init")
        os.makedirs(os.path.realpath(f"{work}/d/sbin"), exist_ok=True)
        with open(f"{work}/d/sbin/init", "w") as f:
            f.write(INIT)
        os.chmod(f"{work}/d/sbin/init", 0o755)
        ext4(f"{work}/part", f"{work}/d", 160, "root")
        table(image + ".part", "dos", [("83", f"{work}/part")], True)
        shutil.copy2(f"{work}/d/boot/vmlinuz-{ver}", os.path.join(folder, which + ".vmlinuz"))
        shutil.copy2(initrd("amd64", which), os.path.join(folder, which + ".initrd"))
        os.rename(image + ".part", image)
        shutil.rmtree(work)
    return 0


def main(args):
    if args == ["--boots"]:
        return boots()
    all_cases = cases()
    if "-l" in args:
        print("\n".join(all_cases))
        return 0
    os.makedirs(WORK, exist_ok=True)
    count = {"passed": 0, "failed": 0, "skipped": 0}
    junit = []
    for name, go in all_cases.items():
        if args and not any(a in name for a in args):
            continue
        work = os.path.join(WORK, "case")
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        began = time.monotonic()
        try:
            go(work)
            how, why = "passed", ""
        except Skip as e:
            how, why = "skipped", str(e)
        except (AssertionError, RuntimeError, KeyError, OSError) as e:
            how, why = "failed", f"{type(e).__name__}: {e}" if not isinstance(e, AssertionError) else str(e)
        count[how] += 1
        print(f"{how}  {name}  {time.monotonic() - began:.1f} s{'  ' + why if why else ''}", flush=True)
        text = re.sub(r"[<&\"]", "?", why)
        inner = f'<{"failure" if how == "failed" else "skipped"} message="{text}"/>' if why else ""
        junit.append(f'<testcase classname="inspect" name="{name}" time="{time.monotonic() - began:.1f}">'
                     f"{inner}</testcase>")
        if how != "failed":
            shutil.rmtree(work, ignore_errors=True)
    with open(os.path.join(WORK, "junit.xml"), "w") as f:
        f.write('<?xml version="1.0"?>\n<testsuite name="inspect" tests="%d" failures="%d" skipped="%d">\n%s\n'
                "</testsuite>\n" % (sum(count.values()), count["failed"], count["skipped"], "\n".join(junit)))
    print(", ".join(f"{n} {how}" for how, n in count.items()))
    return count["failed"] > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
