#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed-suites.py OUT AGENT SUITE... - writes the suites and the agent's library as a C file."""
import os
import sys


def array(name, data):
    rows = [", ".join(str(b) for b in data[i:i + 24]) for i in range(0, len(data), 24)]
    return "%s[] = {\n    %s, 0};\n" % (name, ",\n    ".join(rows))


def main():
    out, agent, suites = sys.argv[1], sys.argv[2], sys.argv[3:]
    text = ["/* Made by tools/embed-suites.py. */\n",
            '#include "validation/suite.h"\n#include "validation/suite_files.h"\n\n']
    with open(agent, "rb") as f:
        data = f.read()
    text += [array("const char suite_agent", data), "const size_t suite_agent_len = %d;\n\n" % len(data)]
    rows = []
    for n, path in enumerate(sorted(suites)):
        with open(path, "rb") as f:
            data = f.read()
        text.append(array("static const char suite_text_%d" % n, data))
        name = os.path.basename(path).rsplit(".", 1)[0]
        rows.append('    {"%s", suite_text_%d, %d},\n' % (name, n, len(data)))
    text.append("\nconst struct suite_file suite_files[] = {\n%s};\n" % "".join(rows))
    text.append("const size_t suite_files_n = %d;\n" % len(rows))
    with open(out, "w", encoding="ascii") as f:
        f.write("".join(text))


if __name__ == "__main__":
    main()
