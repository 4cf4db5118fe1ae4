# SPDX-License-Identifier: Apache-2.0
"""heads.py - every source names its licence first; every C file then says what it is."""
import re

import kit

SPDX = "SPDX-License-Identifier: Apache-2.0"


def check(files):
    found = []
    for path, text in files.items():
        lines = text.splitlines()
        if path.endswith((".c", ".h")):
            if not lines or lines[0] != f"/* {SPDX} */":
                found.append(f"{path}: line 1 is not /* {SPDX} */")
            name = re.escape(path.split("/")[-1])
            if path.startswith("tests/"):  # a test says what holds; its name says enough
                if len(lines) < 2 or not lines[1].startswith("/*"):
                    found.append(f"{path}: line 2 does not begin the comment that says what it is")
            elif not re.search(rf"\A[^\n]*\n(?:/\* ?|/\*\n \* ){name} - \S", text):
                found.append(f"{path}: the head does not say '{path.split('/')[-1]} - what it is'")
        elif path.endswith((".py", ".sh")) or (lines and lines[0].startswith("#!")):
            if not any(SPDX in line for line in lines[:3]):
                found.append(f"{path}: {SPDX} is not among the first three lines")
    return found


TOP = f"/* {SPDX} */\n"
GOOD = {"src/a.c": TOP + "/* a.c - adds. */\n", "src/b.h": TOP + "/*\n * b.h - subtracts.\n */\n",
        "x.py": f"# {SPDX}\n", "dev": f"#!/bin/sh\n# {SPDX}\n", "a.md": "text",
        "tests/a.c": TOP + "/* Nothing lost. */\n"}
BAD = [{"src/a.c": "/* a.c - adds. */\n"}, {"src/a.c": TOP + "int x;\n"},
       {"src/a.c": TOP + "/* b.c - another. */\n"}, {"tests/a.c": TOP + "int x;\n"}, {"x.sh": "#!/bin/sh\n"}, {"dev": "#!/bin/sh\n"}]

if __name__ == "__main__":
    kit.run(check, GOOD, BAD)
