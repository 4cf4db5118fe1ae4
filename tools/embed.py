#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py OUT HEADER TABLE FILE... - writes files as a table of `struct embedded` in a C file."""
import os
import sys


def main():
    out, header, table, files = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    text = ["/* Made by tools/embed.py. */\n", '#include "%s"\n\n' % header]
    rows = []
    for n, path in enumerate(sorted(files)):
        with open(path, "rb") as f:
            data = f.read()
        lines = [", ".join(str(b) for b in data[i:i + 24]) for i in range(0, len(data), 24)]
        text.append("static const char text_%d[] = {\n    %s, 0};\n" % (n, ",\n    ".join(lines)))
        rows.append('    {"%s", text_%d, %d},\n' % (os.path.basename(path), n, len(data)))
    text.append("\nconst struct embedded %s[] = {\n%s    {0, 0, 0},\n};\n" % (table, "".join(rows)))
    with open(out, "w", encoding="ascii") as f:
        f.write("".join(text))


if __name__ == "__main__":
    main()
