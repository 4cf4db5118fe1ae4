# SPDX-License-Identifier: Apache-2.0
"""links.py - links between our own pages lead to a file, and to a heading that is there."""
import posixpath
import re

import kit


def anchors(text):
    for title in re.findall(r"^#+ +(.+?) *$", text, re.M):
        yield re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def check(files):
    folders = {posixpath.dirname(p) for p in files}
    folders |= {f.rsplit("/", n)[0] for f in folders for n in range(1, f.count("/") + 1)}
    found = []
    for path, text in files.items():
        if not path.endswith(".md"):
            continue
        prose = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
        for link in re.findall(r"\]\(([^)\s]+)\)", prose):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            to = posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) if name else path
            if to not in files and to not in folders:
                found.append(f"{path}: {link} leads nowhere")
            elif anchor and anchor not in anchors(files.get(to, "")):
                found.append(f"{path}: {link} leads to no heading")
    return found


GOOD = {"README.md": "[a](docs/a.md) [b](docs/) [w](https://x.org/y) [h](docs/a.md#the-end)\n",
        "docs/a.md": "# A\n## The end\n[up](../README.md) [here](#a)\n"}
BAD = [{"README.md": "[a](docs/b.md)"}, {"README.md": "[a](#none)"},
       {**GOOD, "docs/c.md": "[a](a.md#beginning)"}]

if __name__ == "__main__":
    kit.run(check, GOOD, BAD)
