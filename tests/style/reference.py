# SPDX-License-Identifier: Apache-2.0
"""reference.py - every name in a table of the program has its place in docs/reference/.

A table is `const struct KIND_ops *const NAMES[] = { &symbol, ... }`. Each member's .name must be
a page docs/reference/NAME.md or KIND-NAME.md, or a heading in docs/reference/KIND.md.
"""
import re

import kit

TABLE = re.compile(r"const struct (\w+)_ops \*const \w+\[\] = \{([^}]*)\}")
HEADINGS = ["Document followed", "What is modelled", "What is not", "Quirks", "Tests"]


def names(files):
    sources = [kit.code(t, strings=True) for p, t in kit.c_files(files, "src/")]
    for text in sources:
        for kind, members in TABLE.findall(text):
            for symbol in re.findall(r"&(\w+)", members):
                yield kind, symbol, [m for s in sources for m in re.findall(
                    rf"_ops {symbol} = {{[^}}]*?\.name = \"([^\"]+)\"", s)]


def heading(text, name):
    return re.search(rf"^##+ .*(?<![\w-])`?{re.escape(name)}`?(?![\w-])", text, re.M)


def check(files):
    found, pages = [], {}
    for kind, symbol, given in names(files):
        if not given:
            found.append(f"{symbol} is in a table but no .name is set where it is defined")
        for name in given:
            own = [p for p in (f"docs/reference/{name}.md", f"docs/reference/{kind}-{name}.md")
                   if p in files]
            shared = f"docs/reference/{kind}.md"
            if own:
                pages[own[0]] = files[own[0]]
            elif heading(files.get(shared, ""), name):
                pages[shared] = files[shared]
            else:
                found.append(f"{kind} {name}: no docs/reference/{name}.md, {kind}-{name}.md, nor a "
                             f"heading in {shared}")
    for path, text in pages.items():
        found += [f"{path}: no heading '{h}'" for h in HEADINGS
                  if not re.search(rf"^##+ {h}\b", text, re.M)]
    return found


PAGE = "".join(f"## {h}\n\n" for h in HEADINGS)
CODE = {"src/net/table.c": "const struct net_ops *const nets[] = {&net_tap, &net_user, NULL};\n",
        "src/net/tap.c": 'const struct net_ops net_tap = {\n    .name = "tap",\n};\n'
                         'const struct net_ops net_user = {.name = "user"};\n'}
GOOD = {**CODE, "docs/reference/net.md": PAGE + "### `tap`\n", "docs/reference/user.md": PAGE}
BAD = [CODE, {**GOOD, "docs/reference/net.md": PAGE + "### tapes\n"},
       {**GOOD, "docs/reference/user.md": "# user\n"},
       {**GOOD, "src/net/tap.c": "const struct net_ops net_tap = {.open = f};\n"}]

if __name__ == "__main__":
    kit.run(check, GOOD, BAD)
