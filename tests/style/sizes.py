# SPDX-License-Identifier: Apache-2.0
"""sizes.py - functions of at most 60 lines, files of at most 800; exceptions give a reason."""
import re

import kit

FUNCTION, FILE = 60, 800


def functions(text):
    """(name, lines) of each function; clang-format puts its braces into column 0."""
    start, head = None, []
    for line in text.splitlines():
        if start is not None:
            start += 1
            if line.startswith("}"):
                name = re.findall(r"(\w+)\s*\(", " ".join(head))
                yield (name[0] if name else "?"), start
                start, head = None, []
        elif line == "{":
            start = 1
        elif not line or line[0] in "}#/* ":
            head = head + [line] if line.startswith("  ") else []
        else:
            head.append(line)


def check(files):
    allowed = kit.exceptions(files, "function")
    large = kit.exceptions(files, "file")
    found, used = [], set()
    for path, text in kit.c_files(files):
        lines = text.count("\n")
        if lines > FILE and (path, "-") not in large:
            found.append(f"{path}: {lines} lines; at most {FILE}")
        for name, n in functions(text):
            if n > FUNCTION and (path, name) in allowed:
                used.add((path, name))
            elif n > FUNCTION:
                found.append(f"{path}: {name}() has {n} lines; at most {FUNCTION}")
    found += [f"{kit.EXCEPTIONS}: {p} {n} is not needed" for p, n in allowed if (p, n) not in used]
    return found


def body(n, name="f"):
    return f"static int {name}(int a,\n    int b)\n" + "{\n" + "    a++;\n" * (n - 2) + "}\n"


GOOD = {"src/a.c": body(FUNCTION) * 3, "src/b.c": body(90, "decode"),
        kit.EXCEPTIONS: "function src/b.c decode one case per opcode\n"}
BAD = [{"src/a.c": body(FUNCTION + 1)}, {"tests/a.c": "int x;\n" * (FILE + 1)},
       {"src/a.c": body(5), kit.EXCEPTIONS: "function src/a.c f is short now\n"}]

if __name__ == "__main__":
    kit.run(check, GOOD, BAD)
