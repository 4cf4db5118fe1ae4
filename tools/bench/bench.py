#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures hospes beside its peers in one run; see docs/devel/performance.md.

usage: bench.py --guests DIR [OPTION...] [GROUP...]
groups: boot exits block net memory (default: all), firmware: SeaBIOS to the loader of a disk, and xen,
vmware and hyperv: disk and card of such guests beside virtio
"""
import argparse
import json
import os
import signal
import sys

import report
from lab import APPEND, Lab, RAM_MIB, Stalled

# The hyperv group: hospes with virtio, and with storvsc and netvsc.
PERSONAS = ("kvm", "hyperv")
# The xen group: hospes with virtio, with a KVM that knows Xen, and without its help.
XEN = {"virtio": "kvm", "kvm_xen": "xen", "portable": "xen,portable"}
# The vmware group: hospes with virtio and with VMware's devices, and QEMU with the latter.
VMWARE = {"virtio": "kvm", "vmware": "vmware"}
# What QEMU's pc is given in the block group beside its own choices: another engine; two queues, as hospes' guest has.
BLOCK_PC = ("pc", "pc+threads", "pc+queues")
MACHINES = {"pc": "pc", "q35": "q35", "microvm": "microvm,rtc=on", "microvm-plain": "microvm"}


class Jobs:
    """Makes the command of one machine. Peers: MACHINES by QEMU, kvmtool, hospes, floor."""

    def __init__(self, lab, peers):
        self.lab, self.peers = lab, peers

    def qemu_vmware(self, append, disk=False):
        """QEMU's own pvscsi and vmxnet3."""
        command = self.qemu("pc", self.lab.kernel, append)
        command[command.index(self.lab.file("guest.cpio"))] = self.lab.file("guest-vmware.cpio")
        if disk:
            return command + ["-drive", "file=%s,if=none,id=d0,format=raw,aio=io_uring" % self.lab.disk,
                              "-device", "pvscsi,id=s0", "-device", "scsi-hd,bus=s0.0,drive=d0"]
        return command + ["-netdev", "user,id=n0", "-device", "vmxnet3,netdev=n0,romfile="]

    def qemu(self, machine, kernel, append=None, disk=None, queues=1, nic=False):
        command = [self.lab.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-L", "/usr/share/qemu", "-L", "/usr/share/seabios", "-M",
                   MACHINES[machine], "-accel", "kvm", "-cpu", "host",
                   "-smp", "1" if queues == 1 else "1,maxcpus=%d" % queues,
                   "-m", str(RAM_MIB), "-serial", "stdio", "-kernel", kernel]
        mmio = machine.startswith("microvm")
        if append is not None:
            command += ["-initrd", self.lab.file("guest.cpio"), "-append", append]
        if disk:
            command += ["-drive", "file=%s,if=none,id=d0,format=raw,aio=%s" % (self.lab.disk, disk),
                        "-device", "virtio-blk-%s,drive=d0" % ("device" if mmio else "pci")
                        + (",num-queues=%d" % queues if queues > 1 else "")]
        if nic:
            device = "virtio-net-device,netdev=n0" if mmio else "virtio-net-pci,netdev=n0,romfile="
            command += ["-netdev", "user,id=n0", "-device", device]
        return command

    def hospes(self, kernel, append=None, disk=None, nic=False, persona="kvm"):
        command = [self.lab.hospes, "run", "--persona", persona, "--host", "kvm", "--cpus", "1",
                   "--memory", "%dM" % RAM_MIB, "--kernel", kernel]
        if append is not None:
            initrd = {"kvm": "guest.cpio", "vmware": "guest-vmware.cpio",
                      "hyperv": "guest-hyperv.cpio"}.get(persona, "guest-xen.cpio")
            command += ["--initrd", self.lab.file(initrd), "--append", append]
        if disk:
            command += ["--disk", "%s,format=raw,write" % self.lab.disk]
        return command + ["--nic", "user" if nic else "none"]

    def kvmtool(self, kernel, append, disk=None, nic=False):
        command = [self.lab.kvmtool, "run", "-c", "1", "-m", str(RAM_MIB), "-k", kernel, "-i",
                   self.lab.file("guest.cpio"), "-p", append + " end=reset", "--console", "serial"]
        if disk:
            command += ["-d", self.lab.disk]
        return command + (["-n", "mode=user"] if nic else ["--network", "mode=none"])

    def linux(self, peer, append, **more):
        machine, _, way = peer.partition("+")
        if machine == "hospes":
            return self.hospes(self.lab.kernel, append, **more)
        if machine == "kvmtool":
            return self.kvmtool(self.lab.kernel, append, **more)
        if more.get("disk"):
            more["disk"] = "threads" if way == "threads" else "io_uring"
        if way == "queues":
            more["queues"] = 2
        return self.qemu(machine, self.lab.kernel, append, **more)

    def firmware(self, peer, disk):
        """The same SeaBIOS, VGA and IDE disk."""
        if peer == "hospes":
            return [self.lab.hospes, "run", "--persona", "bare", "--host", "kvm", "--memory", "%dM" % RAM_MIB,
                    "--nic", "none", "--disk", disk + ",format=raw,bus=ide"]
        return [self.lab.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-L", "/usr/share/seabios",
                "-L", "/usr/share/qemu", "-M", MACHINES[peer], "-accel", "kvm", "-cpu", "host", "-smp", "1",
                "-m", str(RAM_MIB), "-serial", "stdio", "-vga", "std",
                "-drive", "file=%s,if=ide,format=raw" % disk]

    def of(self, group):
        quick = APPEND + " cryptomgr.notests"
        if group == "boot":
            jobs = [("boot/" + p, [], self.linux(p, APPEND)) for p in self.peers]
            return jobs + [("trace/" + p, ["-x"], self.linux(p, APPEND)) for p in self.peers]
        if group == "firmware":
            disk = self.lab.file("loader.raw")
            peers = [p for p in self.peers if p in ("pc", "hospes")]
            return [("firmware/" + p, [], self.firmware(p, disk)) for p in peers]
        if group == "exits":
            elf = self.lab.file("exits.elf")
            jobs = [("exits/floor", [], [self.lab.file("kvmfloor"), elf])]
            for p in self.peers:
                if p in MACHINES:
                    jobs.append(("exits/" + p, [], self.qemu(p, elf)))
                elif p == "hospes":
                    jobs.append(("exits/hospes", [], self.hospes(elf)))
            return jobs
        if group == "block":
            peers = [q for p in self.peers for q in (BLOCK_PC if p == "pc" else [p])]
            return [("block/" + p, [], self.linux(p, quick + " bench=blk", disk=True))
                    for p in peers]
        if group == "net":
            return [("net/" + p, ["-s"], self.linux(p, quick + " bench=net", nic=True))
                    for p in self.peers if p != "kvmtool"]
        if group == "memory":
            return [("memory/" + p, ["-s"],
                     self.linux(p, quick + " bench=rest", disk=True, nic=True))
                    for p in self.peers if p != "kvmtool"]
        if group == "xen":
            jobs = [("xen-blk/" + k, [], self.hospes(self.lab.kernel, quick + " bench=blk", disk=True, persona=p))
                    for k, p in XEN.items()]
            return jobs + [("xen-net/" + k, ["-s"], self.hospes(self.lab.kernel, quick + " bench=net", nic=True, persona=p))
                           for k, p in XEN.items()]
        if group == "vmware":
            jobs = [("vmware-blk/" + k, [], self.hospes(self.lab.kernel, quick + " bench=blk", disk=True, persona=p))
                    for k, p in VMWARE.items()]
            jobs += [("vmware-blk/qemu", [], self.qemu_vmware(quick + " bench=blk", disk=True))]
            jobs += [("vmware-net/" + k, ["-s"], self.hospes(self.lab.kernel, quick + " bench=net", nic=True, persona=p))
                     for k, p in VMWARE.items()]
            return jobs + [("vmware-net/qemu", ["-s"], self.qemu_vmware(quick + " bench=net"))]
        if group == "hyperv":
            jobs = [("hyperv-blk/" + p, [], self.hospes(self.lab.kernel, quick + " bench=blk", disk=True, persona=p))
                    for p in PERSONAS]
            return jobs + [("hyperv-net/" + p, ["-s"], self.hospes(self.lab.kernel, quick + " bench=net", nic=True, persona=p))
                           for p in PERSONAS]
        sys.exit("bench: no group '%s': use boot, exits, block, net, memory, firmware, xen, vmware or hyperv" % group)


def measure(lab, jobs, group, batch, args, result):
    """Runs some jobs of one group until they end without a stall."""
    log = batch[0].replace("/", "-")
    for attempt in range(args.tries):
        seed = args.seed + attempt
        print("bench: %s, seed %d" % (group, seed), file=sys.stderr)

        def chosen():
            return [job for job in jobs.of(group) if job[0] in batch]
        try:
            if args.meter == "exact":
                lines = lab.run_exact(log, chosen, seed, args.patience)
            else:
                lines = lab.run_time(log, chosen, args.patience)
        except Stalled as where:
            result["stalls"].append({"group": group, "seed": seed, "job": str(where)})
            print("bench: fell silent in %s, seed %d" % (where, seed), file=sys.stderr)
            continue
        parsed = report.parse(lines)
        stuck = [name for name, job in parsed.items() if job["end"].get("stalled")]
        result["stalls"] += [{"group": group, "seed": seed, "job": name} for name in stuck]
        result["jobs"].update(parsed)
        result["seeds"].update({name: seed for name in batch})
        if not stuck:
            return
        print("bench: stuck with seed %d: %s" % (seed, " ".join(stuck)), file=sys.stderr)


def batches(group, names):
    """Short jobs share one counted machine; a long one has its own, so that a stall costs little."""
    return [names] if names and group in ("boot", "exits", "firmware") else [[name] for name in names]


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--guests", required=True)
    p.add_argument("--meter", choices=("exact", "time"), default="exact",
                   help="instructions in a counted machine, or seconds on real KVM")
    p.add_argument("--json", metavar="FILE", help="write all figures (default build/bench/METER.json)")
    p.add_argument("--gate", metavar="FILE",
                   help="fail when hospes takes 0.5 %% more instructions, or any more user exits, than in FILE")
    p.add_argument("--peers", default="pc,q35,microvm,hospes")
    p.add_argument("--kvmtool", metavar="LKVM", help="also measure this kvmtool binary")
    p.add_argument("--emulator", metavar="QEMU", help="the QEMU that makes the counted machine, where that of the package falls silent")
    p.add_argument("--hospes", default="build/hospes", metavar="FILE")
    p.add_argument("--out", default="build/bench", metavar="DIR")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--tries", type=int, default=6)
    p.add_argument("--patience", type=float, help="seconds without output; processor time of the counted machine (60), wall time on real KVM (120)")
    p.add_argument("--only", default="", metavar="TEXT", help="only jobs whose names have this in them")
    p.add_argument("groups", nargs="*", metavar="GROUP")
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by which the machine that runs is ended, too

    if args.patience is None:
        args.patience = 60 if args.meter == "exact" else 120
    peers = args.peers.split(",") + (["kvmtool"] if args.kvmtool else [])
    for peer in peers:
        if peer not in MACHINES and peer not in ("hospes", "kvmtool"):
            p.error("no peer '%s': use %s or hospes" % (peer, ", ".join(MACHINES)))
    if "hospes" in peers and not os.path.exists(args.hospes):
        sys.exit("bench: %s is not there: run ./dev build" % args.hospes)
    lab = Lab(os.path.abspath(args.guests), os.path.abspath(args.out), os.path.abspath(args.hospes),
              args.kvmtool, args.emulator)
    result = {"version": 1, "meter": args.meter, "seed": args.seed, "jobs": {}, "stalls": [], "seeds": {}}
    names = []
    for group in args.groups or ("boot", "exits", "block", "net", "memory"):
        jobs = Jobs(lab, peers)
        lab.host_kernel = "6.12" if group == "xen" else "6.1"  # whose KVM knows Xen
        names += [job[0] for job in jobs.of(group)]
        for batch in batches(group, [job[0] for job in jobs.of(group) if args.only in job[0]]):
            measure(lab, jobs, group, batch, args, result)
            result["rows"] = report.rows(result)
            # After each batch, so that an interrupted run keeps what it has.
            with open(args.json or os.path.join(args.out, args.meter + ".json"), "w") as f:
                json.dump(result, f, indent=1)
    if "rows" not in result:
        sys.exit("bench: no job of these groups has '%s' in its name: %s" % (args.only, " ".join(names)))
    report.show(result, sys.stdout)
    if args.gate:
        with open(args.gate) as f:
            return report.gate(json.load(f), result, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
