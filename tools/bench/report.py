# SPDX-License-Identifier: Apache-2.0
"""From the runner's lines to rows, a table of ratios, and the gate."""

# Rows that the gate holds: they repeat to the last digit as long as the code does not change.
GATED = ("boot.", "firmware.", "exits.", "block.rd4k_qd1", "block.wr4k_qd1")
REFERENCE = "pc"
# Bars of the xen group: the rate beside virtio's.
HYPERV_BARS = {"rate": 0.9, "exits": 1.2}  # of virtio's, in the hyperv group
XEN_BARS = {"kvm_xen": 0.85, "portable": 0.5}
# Of the vmware group: VMware's devices beside our own virtio, and beside QEMU's models of them.
VMWARE_BARS = {"virtio": 0.9, "qemu": 1.3}


def parse(lines):
    """name -> {"marks": [{at, tsc, ...}], "values": {}, "end": {}, "trace": {event: {key: n}}}"""
    jobs = {}
    for line in lines:
        word = line.split()
        if len(word) < 3 or word[0] not in ("R", "T", "L"):
            continue
        job = jobs.setdefault(word[1], {"marks": [], "values": {}, "end": {}, "trace": {}})
        if word[0] == "T":
            key = line[line.index("{") + 1:line.index("}")]
            counts = job["trace"].setdefault(word[3], {})
            counts[" ".join(key.split())] = int(line.split("hitcount:")[1].split()[0])
        elif word[0] == "R" and word[2] == "val":
            job["values"][word[3]] = int(word[4])
        elif word[0] == "R" and word[2] == "fail":
            job["fail"] = " ".join(word[3:])
        elif word[0] == "R":
            at = line.partition(" at=")[2]
            fields = {k: int(v) for k, _, v in (w.partition("=") for w in word[3:])
                      if v.isdigit()}
            if word[2] == "mark":
                job["marks"].append(dict(fields, at=at))
            else:
                job[word[2]] = fields
    return jobs


def mark(job, at):
    return next((m for m in job["marks"] if m["at"].split()[:len(at.split())] == at.split()), None)


def stretch(job, name):
    """Counters spent between the markers around `name`, and its number of operations."""
    begin, end = mark(job, "begin " + name), mark(job, "end " + name)
    if not begin or not end:
        return None, 1
    spent = {k: end[k] - begin[k] for k in begin if k != "at" and k in end}
    return spent, int(begin["at"].split()[2])


class Rows:
    def __init__(self):
        self.rows = {}

    def put(self, row, unit, peer, value):
        if value is not None:
            self.rows.setdefault(row, {"row": row, "unit": unit, "values": {}})["values"][peer] = value


def boot_rows(out, exact, peer, job, trace):
    up = mark(job, "up")
    if exact and up:
        out.put("boot.up", "M instructions", peer, up["tsc"] / 1e6)
        out.put("boot.end", "M instructions", peer, job["end"]["tsc"] / 1e6)
    elif up:
        out.put("boot.up", "ms", peer, up["ns"] / 1e6)
        out.put("boot.end", "ms", peer, job["end"]["ns"] / 1e6)
        out.put("boot.cpu", "ms", peer,
                (job["end"]["utime_us"] + job["end"]["stime_us"]) / 1e3)
    if up and "exits" in up:
        out.put("boot.exits", "", peer, up["exits"])
        out.put("boot.npf", "", peer, up["pf_taken"])
    if trace and trace["trace"]:
        out.put("boot.user_exits", "", peer, sum(trace["trace"].get("kvm_userspace_exit", {}).values()))


def rows(result):
    out = Rows()
    exact = result["meter"] == "exact"
    jobs = result["jobs"]
    for name, job in jobs.items():
        group, peer = name.split("/")
        if group == "boot":
            boot_rows(out, exact, peer, job, jobs.get("trace/" + peer))
        elif group == "firmware":
            there = mark(job, "loader")
            out.put("firmware.loader", "M instructions" if exact else "ms", peer,
                    there and there["tsc" if exact else "ns"] / 1e6)
            out.put("firmware.exits", "", peer, there and there.get("exits"))
        elif group == "exits":
            floor = jobs.get("exits/floor", {"values": {}})["values"]
            for row, value in job["values"].items():
                out.put("exits." + row, "instructions" if exact else "ticks", peer, value)
                if peer != "floor" and row in floor and row != "nothing":
                    out.put("exits.%s-floor" % row, "", peer, value - floor[row])
        elif group in ("block", "net", "xen-blk", "xen-net", "vmware-blk", "vmware-net", "hyperv-blk", "hyperv-net"):
            for row, value in job["values"].items():
                out.put("%s.%s" % (group, row), "instructions" if exact else "ticks", peer, value)
                spent, ops = stretch(job, row)
                if spent and "exits" in spent:
                    out.put("%s.%s.exits" % (group, row), "per op", peer, spent["exits"] / ops)
        elif group == "memory" and "memory" in job:
            for key in ("anon_kib", "file_kib", "tables_kib", "threads"):
                out.put("memory." + key, "KiB" if "kib" in key else "", peer, job["memory"][key])
    return list(out.rows.values())


def xen_rates(values):
    """What each way reaches of virtio's rate, with a mark below its bar."""
    rates = {k: values["virtio"] / v for k, v in values.items() if k in XEN_BARS and "virtio" in values}
    return "".join("  %s %.2f%s" % (k, r, "" if r >= XEN_BARS[k] else "!") for k, r in sorted(rates.items()))


def vmware_rates(values):
    """What VMware's devices reach of each other way's rate, with a mark below its bar."""
    rates = {k: values[k] / values["vmware"] for k in VMWARE_BARS if k in values and values.get("vmware")}
    return "".join("  of %s %.2f%s" % (k, r, "" if r >= VMWARE_BARS[k] else "!") for k, r in sorted(rates.items()))


def hyperv_beside(row, values):
    """The rate, or the exits, of the hyperv persona beside virtio's, with a mark where it misses its bar."""
    if not values.get("kvm") or not values.get("hyperv"):
        return ""
    if row.endswith(".exits"):
        ratio = values["hyperv"] / values["kvm"]
        return "  exits %.2f%s" % (ratio, "" if ratio <= HYPERV_BARS["exits"] else "!")
    ratio = values["kvm"] / values["hyperv"]
    return "  rate %.2f%s" % (ratio, "" if ratio >= HYPERV_BARS["rate"] else "!")


def show(result, to):
    peers = []
    for row in result["rows"]:
        peers += [p for p in row["values"] if p not in peers]
    peers.sort(key=lambda p: (p == "hospes", p == "floor"))
    odd = {name: seed for name, seed in result["seeds"].items() if seed != result["seed"]}
    print("meter: %s, seed %d %s" % (result["meter"], result["seed"], odd or ""), file=to)
    for stall in result["stalls"]:
        print("stalled: %(job)s of group %(group)s with seed %(seed)d" % stall, file=to)
    for name, job in result["jobs"].items():
        if "fail" in job:
            print("failed: %s: %s" % (name, job["fail"]), file=to)
    print("%-26s" % "" + "".join("%13s" % p for p in peers) + "   hospes/%s" % REFERENCE, file=to)
    for row in result["rows"]:
        line = "%-26s" % row["row"]
        for p in peers:
            value = row["values"].get(p)
            line += "%13s" % ("" if value is None else "%d" % value if value >= 1000 or value == int(value)
                              else "%.2f" % value)
        mine, other = row["values"].get("hospes"), row["values"].get(REFERENCE)
        if mine is not None and other:
            line += "   %8.3f" % (mine / other)
        if row["row"].startswith("xen-") and not row["row"].endswith(".exits"):
            line += xen_rates(row["values"])
        if row["row"].startswith("vmware-") and not row["row"].endswith(".exits"):
            line += vmware_rates(row["values"])
        if row["row"].startswith("hyperv-"):
            line += hyperv_beside(row["row"], row["values"])
        print(line + "  " + row["unit"], file=to)


def gate(old, new, to):
    """1 when a gated row of hospes is dearer than it was, or is no longer there."""
    before = {r["row"]: r["values"].get("hospes") for r in old["rows"]}
    after = {r["row"]: r["values"].get("hospes") for r in new["rows"]}
    bad = 0
    for row, was in before.items():
        if was is None or not row.startswith(GATED) or row.endswith("-floor"):
            continue
        now = after.get(row)
        count = row in ("boot.user_exits", "boot.npf") or row.endswith(".exits")
        if row.split(".")[0] + "." not in {r.split(".")[0] + "." for r in after}:
            continue
        if now is None:
            print("gate: %s is gone, it was %.6g" % (row, was), file=to)
            bad += 1
        elif (row == "boot.user_exits" and now > was) or (not count and now > was * 1.005):
            print("gate: %s is %.6g, it was %.6g (%+.2f %%)" % (row, now, was, (now / was - 1) * 100),
                  file=to)
            bad += 1
    print("gate: %s" % ("%d rows are dearer" % bad if bad else "nothing is dearer"), file=to)
    return 1 if bad else 0
