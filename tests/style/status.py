# SPDX-License-Identifier: Apache-2.0
"""status.py - the status section of README.md says what the tables of the program hold.

--write puts the section right. Nothing enters a table before it works, so nothing else is listed.
"""
import os
import re
import sys

import kit
import reference

BEGIN, END = "<!-- status: begin -->\n", "<!-- status: end -->\n"
KINDS = [("persona", "Personas"), ("format", "Disk formats"), ("filter", "Disk filters"),
         ("fs", "File systems that are looked into"),
         ("net", "Networks"), ("netif", "Networks"), ("console", "Consoles"),
         ("device", "Other devices")]


def section(files):
    have = {}
    for kind, _, given in reference.names(files):
        have.setdefault(kind, set()).update(given)
    known = [k for k, _ in KINDS]
    rows = KINDS + [(k, k.capitalize()) for k in sorted(have) if k not in known]
    lines = [f"| {title} | {', '.join(sorted(have[kind]))} |\n" for kind, title in rows
             if have.get(kind)]
    if not have.get("persona"):
        lines.append("| Personas | none yet: no guest can be started |\n")
    return "| part | what is there |\n|---|---|\n" + "".join(lines)


def check(files):
    text = files.get("README.md", "")
    m = re.search(re.escape(BEGIN) + "(.*?)" + re.escape(END), text, re.S)
    if not m:
        return ["README.md: no status section"]
    if m.group(1) != section(files):
        return ["README.md: the status section is not what the tables hold; run ./dev fmt"]
    return []


def write():
    path = os.path.join(kit.ROOT, "README.md")
    files = kit.tree()
    text = re.sub(re.escape(BEGIN) + ".*?" + re.escape(END),
                  lambda _: BEGIN + section(files) + END, files["README.md"], flags=re.S)
    if text != files["README.md"]:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


def readme(files):
    return {**files, "README.md": "# x\n" + BEGIN + section(files) + END}


GOOD = readme(reference.CODE)
BAD = [{**reference.CODE, "README.md": "# x\n"}, {**reference.CODE, "README.md": readme({})["README.md"]},
       {**reference.CODE, "README.md": GOOD["README.md"].replace("tap", "tap, more")}]

if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        write()
    else:
        kit.run(check, GOOD, BAD)
