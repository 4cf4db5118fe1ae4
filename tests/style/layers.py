# SPDX-License-Identifier: Apache-2.0
"""layers.py - includes point down, KVM is named in one folder, and only cli/ prints or ends."""
import os
import re

import kit

BASE = {"abi", "core"}
ENV = BASE | {"host", "storage", "net", "console", "board"}
UPPER = BASE | {"storage", "machine"}
MAY_INCLUDE = {
    "abi": {"abi"},
    "core": BASE,
    "host": BASE | {"host"},
    "storage": BASE | {"storage"},
    "net": BASE | {"net"},
    "console": BASE | {"console"},
    "board": ENV,  # an IDE channel uses a disk, a serial port a console: by their headers alone
    "personas": ENV | {"personas"},
    "machine": ENV | {"personas", "machine"},
    "import": UPPER | {"import"},
    "inspect": UPPER | {"import", "inspect"},  # a description beside a disk is evidence
    "catalogue": BASE | {"validation", "catalogue"},
    "validation": UPPER | {"validation"},
    "support": UPPER | {"validation", "catalogue", "support"},
    "softhost": BASE | {"softhost"},
    "cli": ENV | {"personas", "machine", "import", "inspect", "validation", "catalogue", "support", "softhost", "cli"},
}
KVM_CALL = (r"\bKVM_(?:RUN|CREATE|GET|SET|CAP|CHECK|EXIT|IOEVENTFD|IRQFD|IRQ_ROUTING|SIGNAL|"
            r"IRQ_LINE|MEM|DIRTY|ENABLE|DEV|INTERRUPT|NMI|XEN_HVM|HYPERV|X86)[A-Z0-9_]*")
PRINTS = (r"\b(?:v?printf|vf?printf|puts|putchar|putc|fputs|fputc|perror|err|errx|warnx?|_?exit|"
          r"_Exit|abort)\s*\(")
STREAM = re.compile(r"\bf(?:printf|puts|putc|write)\s*\((?:[^;]*?)\b(?:stderr|stdout)\b")


def includes(path, text, layer):
    for line, name in re.findall(r'^(\s*#\s*include\s+["<]([^">]+)[">])', text, re.M):
        if "<" in line:
            if layer == "abi" and name != "stdint.h":
                yield f"{path}: abi includes <{name}>; it may only include <stdint.h> and abi/"
            if name.startswith("linux/kvm") and layer != "host":
                yield f"{path}: only host/ includes <{name}>"
            if name == "err.h":
                yield f"{path}: <err.h> prints and exits; use core/err.h"
            continue
        folder = name.split("/")[0] if "/" in name else layer
        if folder not in MAY_INCLUDE.get(layer, set()):
            yield f"{path}: {layer} may not include {name}"
        theirs, mine = name.split("/"), path.split("/")
        if folder == "personas" and len(theirs) == 3 and layer == "personas":
            if len(mine) == 4 and theirs[1] != mine[2]:
                yield f"{path}: a persona may not include another one's {name}"


def check(files):
    allowed = kit.exceptions(files, "prints")
    found = []
    for path, text in kit.c_files(files, "src/"):
        layer = path.split("/")[1]
        if layer not in MAY_INCLUDE:
            found.append(f"{path}: folder {layer} has no place in tests/style/layers.py")
            continue
        found += includes(path, kit.code(text, strings=True), layer)
        bare = kit.code(text)
        if layer != "host":
            found += [f"{path}: only host/ names KVM, but here is {w}"
                      for w in sorted(set(re.findall(KVM_CALL, bare)))
                      if layer != "abi" and "abi/" not in w and not defined(files, w)]
        if layer == "cli":
            continue
        said = {m.rstrip("( \t\n") for m in re.findall(PRINTS, bare) + STREAM.findall(bare)}
        found += [f"{path}: only cli/ prints or ends the process, but here is {s}()"
                  for s in sorted(said) if (path, re.sub(r"\W.*", "", s)) not in allowed]
    return found


def defined(files, word):
    """A constant that our own abi/ defines belongs to a guest's interface, not to the host's."""
    return any(re.search(rf"\b{word}\b", kit.code(t)) for p, t in files.items()
               if p.startswith("src/abi/"))


GOOD = {
    "src/abi/a.h": "#include <stdint.h>\n#define KVM_HYPERV_X 1\n",
    "src/personas/kvm/a.c": '#include "abi/a.h"\n#include "ring.h"\nint a = KVM_HYPERV_X; // exit()\n',
    "src/host/a.c": "#include <linux/kvm.h>\nioctl(fd, KVM_RUN, 0);\n",
    "src/cli/a.c": 'int main(void) { printf("x"); exit(0); }\n',
    "src/core/a.c": 'fprintf(file, "stderr"); on_exit_now(); r->exit(r2);\n'.replace("r->exit(r2);", ""),
    "src/net/a.c": "_exit(1);\n",
    kit.EXCEPTIONS: "prints src/net/a.c _exit a child that could not exec\n",
}
BAD = [{p: t} for p, t in [
    ("src/abi/a.h", "#include <string.h>\n"),
    ("src/core/a.c", '#include "board/bus.h"\n'),
    ("src/storage/a.c", '#include "net/netif.h"\n'),
    ("src/personas/xen/a.c", '#include "personas/kvm/ring.h"\n'),
    ("src/board/a.c", '#include "personas/persona.h"\n'),
    ("src/board/a.c", "#include <linux/kvm.h>\n"),
    ("src/board/a.c", "int x = KVM_CAP_IRQCHIP;\n"),
    ("src/core/a.c", 'printf("x");\n'),
    ("src/core/a.c", 'fprintf(stderr, "x");\n'),
    ("src/core/a.c", "exit(1);\n"),
    ("src/core/a.c", "#include <err.h>\n"),
    ("src/other/a.c", "int x;\n"),
]]

if __name__ == "__main__":
    kit.run(check, GOOD, BAD)
