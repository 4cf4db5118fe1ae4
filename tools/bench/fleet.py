#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures `hospes inspect --fleet` on a datastore of its own making, and on another if one is named.

usage: fleet.py --hospes FILE [--work DIR] [--machines N] [--reps N] [--json FILE] [--dir DIR]

The datastore has N machines (default 200) by turns as VMX, libvirt XML, Proxmox .conf and xl.cfg, each with a disk of
1 GiB, sparse, partitioned, with an ext4 root that has a kernel's configuration, an initramfs, fstab and the agents of
one persona. CPU seconds are user and system time of the process and its children, the least of N runs; peak is VmHWM.
The bars: 10 s and 128 MiB for 200 machines.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from image import MIB, best, run  # noqa: E402

MODULES = {"kvm": ["virtio_pci", "virtio_blk"], "hyperv": ["hv_vmbus", "hv_storvsc", "sd_mod"], "xen": ["xen-blkfront"],
           "vmware": ["vmw_pvscsi", "sd_mod"]}
VERSION = "6.1.0-1-amd64"

VMX = """.encoding = "UTF-8"
displayName = "{name}"
memsize = "1024"
numvcpus = "2"
guestOS = "debian12-64"
scsi0.present = "TRUE"
scsi0.virtualDev = "pvscsi"
scsi0:0.present = "TRUE"
scsi0:0.fileName = "{disk}"
ethernet0.present = "TRUE"
ethernet0.virtualDev = "vmxnet3"
"""
LIBVIRT = """<domain type='kvm'>
  <name>{name}</name>
  <memory unit='MiB'>1024</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{path}'/><target dev='vda' bus='virtio'/></disk>
    <interface type='user'><model type='virtio'/></interface>
  </devices>
</domain>
"""
PROXMOX = """boot: order=scsi0
cores: 2
memory: 1024
name: {name}
net0: virtio=52:54:00:00:00:01,bridge=vmbr0
scsi0: {path},size=1G
scsihw: virtio-scsi-pci
"""
XL = """name = "{name}"
type = "hvm"
memory = 1024
vcpus = 2
disk = [ "format=raw, vdev=xvda, target={path}" ]
vif = [ "mac=00:16:3e:00:00:01" ]
"""
FORMS = [("vmx", VMX, "vmware"), ("xml", LIBVIRT, "kvm"), ("conf", PROXMOX, "kvm"), ("cfg", XL, "xen")]


def sh(cmd, **more):
    subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env={**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"}, **more)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def disk(work, persona):
    """One disk with the drivers of a persona in its initramfs; the machines get copies."""
    img, root, early = (os.path.join(work, persona + s) for s in (".img", ".root", ".early"))
    if os.path.exists(img):
        return img
    base = os.path.join(early, "usr/lib/modules", VERSION, "kernel/drivers")
    for m in MODULES[persona]:
        write(os.path.join(base, m + ".ko"), "module " + m)
    write(os.path.join(early, "init"), "#!/bin/sh\n")
    write(os.path.join(root, "etc/os-release"), 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12"\n')
    write(os.path.join(root, "etc/fstab"), "UUID=1f2e3d4c-0000-4000-8000-000000000001 / ext4 defaults 0 1\n")
    write(os.path.join(root, "boot/config-" + VERSION), "CONFIG_EXT4_FS=y\nCONFIG_SATA_AHCI=m\n")
    write(os.path.join(root, "boot/vmlinuz-" + VERSION), "kernel")
    write(os.path.join(root, "boot/grub/grub.cfg"),
          "menuentry 'Debian' {\n linux /boot/vmlinuz-%s root=UUID=1f2e3d4c-0000-4000-8000-000000000001 ro\n"
          " initrd /boot/initrd.img-%s\n}\n" % (VERSION, VERSION))
    with open(os.path.join(root, "boot/initrd.img-" + VERSION), "wb") as out:
        names = subprocess.run(["find", ".", "-mindepth", "1"], cwd=early, check=True, capture_output=True).stdout
        out.write(subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=early, check=True, input=names,
                                 capture_output=True).stdout)
    part = img + ".part"
    with open(part, "wb") as f:
        f.truncate(1024 * MIB)
    sh(["sfdisk", "-q", part], input=b"start=2048, type=83, bootable\n")
    sh(["mke2fs", "-q", "-t", "ext4", "-U", "1f2e3d4c-0000-4000-8000-000000000001", "-d", root, "-E", "offset=1048576",
        part, "1022M"])
    os.rename(part, img)
    return img


def datastore(work, machines):
    top = os.path.join(work, "datastore")
    shutil.rmtree(top, ignore_errors=True)
    for i in range(machines):
        ext, form, persona = FORMS[i % len(FORMS)]
        name = "vm%03d" % i
        folder = os.path.join(top, name)
        os.makedirs(folder)
        path = os.path.join(folder, name + ".raw")
        sh(["cp", "--sparse=always", "--reflink=auto", disk(work, persona), path])
        write(os.path.join(folder, name + "." + ext), form.format(name=name, disk=name + ".raw", path=path))
    return top


def judge(hospes, top, machines):
    """What it says of them is right: each boots under the persona whose driver its initramfs has."""
    out = subprocess.run([hospes, "inspect", "--fleet", top, "--json"], check=True, capture_output=True, text=True).stdout
    said = [json.loads(line) for line in out.splitlines() if line]
    right = sum(m.get("boots") in ("yes", "likely") for m in said)
    if len(said) != machines:
        sys.exit("fleet.py: %d machines were found, not %d" % (len(said), machines))
    return right


def main():
    a = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1][7:])
    a.add_argument("--hospes", required=True)
    a.add_argument("--work", default="build/bench-fleet")
    a.add_argument("--machines", type=int, default=200)
    a.add_argument("--reps", type=int, default=5)
    a.add_argument("--json")
    a.add_argument("--dir", help="a datastore that is there")
    o = a.parse_args()
    work = os.path.abspath(o.work)
    os.makedirs(work, exist_ok=True)
    top, rows = datastore(work, o.machines), []
    right = judge(o.hospes, top, o.machines)
    for where in [top] + ([o.dir] if o.dir else []):
        got = best([run([o.hospes, "inspect", "--fleet", where]) for _ in range(o.reps)])
        rows.append({"datastore": where, **got})
        print("%-40s %6.2f s of processor, %6.2f s, peak %5.1f MiB" % (where, got["cpu"], got["wall"], got["peak"] / 1024))
    print("%d of %d machines boot as they are; bars for 200: 10 s, 128 MiB" % (right, o.machines))
    if o.json:
        write(os.path.abspath(o.json), json.dumps({"machines": o.machines, "right": right, "rows": rows}) + "\n")
    return 0 if right == o.machines and rows[0]["wall"] < 10 and rows[0]["peak"] < 128 * 1024 else 1


if __name__ == "__main__":
    sys.exit(main())
