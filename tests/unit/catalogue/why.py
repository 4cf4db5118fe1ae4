#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""why.py HOSPES FILL - what a question costs must not grow with the catalogue.

Counted are pages that the process touches first (minor faults), which other load does not change; and its
processor time, the best of some tries, against the bar for a hundred thousand claims.
"""
import os
import subprocess
import sys
import tempfile

FEW, MANY = 1000, 5000
MORE_FAULTS = 32  # a chain that is read whole takes 135 more, entries far more
CPU = 0.05  # seconds
QUESTION = ["system 42 1.0", "--persona", "xen"]


def asked(hospes, folder):
    """Minor faults and processor seconds of one question."""
    pid = os.posix_spawn(hospes, [hospes, "catalogue", "why", folder] + QUESTION, os.environ,
                         file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, used = os.wait4(pid, 0)
    if status:
        sys.exit("why: hospes catalogue why fails in %s" % folder)
    return used.ru_minflt, used.ru_utime + used.ru_stime


def main():
    hospes, fill = sys.argv[1:]
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as work:
        faults, seconds = {}, {}
        for n in (FEW, MANY):
            folder = os.path.join(work, str(n))
            subprocess.run([fill, folder, str(n)], check=True, stdout=subprocess.DEVNULL)
            asked(hospes, folder)  # makes the index
            tries = [asked(hospes, folder) for _ in range(5)]
            faults[n], seconds[n] = min(t[0] for t in tries), min(t[1] for t in tries)
        print("why: %d claims: %d faults, %.1f ms; %d claims: %d faults, %.1f ms" %
              (FEW, faults[FEW], seconds[FEW] * 1e3, MANY, faults[MANY], seconds[MANY] * 1e3))
        if faults[MANY] > faults[FEW] + MORE_FAULTS:
            sys.exit("why: a question reads more of a larger catalogue")
        if seconds[MANY] > CPU:
            sys.exit("why: a question takes more than %d ms of a processor" % (CPU * 1e3))


if __name__ == "__main__":
    main()
