# SPDX-License-Identifier: Apache-2.0
"""manpages.py - the man pages and `hospes help` name the same commands and options.

hospes.1 must name every command that `hospes help` lists. `hospes help CMD` is compared with
hospes-CMD.1, or, where that page does not exist, with the section of hospes.1 named CMD.
The first word of --binary is the program; without it, or without pages, there is nothing to compare.
"""
import os
import re
import subprocess
import sys

import kit

OPTION = re.compile(r"(?<![\w-])(--?[a-zA-Z?](?:[a-z0-9-]*[a-z0-9])?)(?![\w])")


def plain(roff):
    """What a reader of the page sees, near enough for finding options."""
    roff = re.sub(r'^\.\\".*$', "", roff, flags=re.M)
    roff = roff.replace("\\-", "-")
    return re.sub(r"\\f(?:\[[^]]*\]|\(..|.)|\\&", "", roff)


def options(text):
    return {o for o in OPTION.findall(text) if o.startswith("--")}


def section(page, command):
    m = re.search(rf"^\.S[HSs]h? \"?(?:hospes )?{command}\b.*?\n(.*?)(?=^\.S[HSs]|\Z)", page,
                  re.S | re.M | re.I)
    return m.group(1) if m else None


def load():
    binary = next((a.split("=", 1)[1] for a in sys.argv if a.startswith("--binary=")), "")
    pages = {p: t for p, t in kit.tree().items() if re.match(r"docs/man/[\w-]+\.1$", p)}
    if not os.access(binary, os.X_OK):
        raise kit.Skip("there is no hospes binary in this build")
    if not pages:
        raise kit.Skip("there are no pages in docs/man")

    def ask(*args):
        got = subprocess.run([binary, "help", *args], capture_output=True, text=True, timeout=20)
        return got.stdout + got.stderr
    general = ask()
    commands = {n for line in re.findall(r"^ +(?:hospes )?(\w[\w |,]*?)(?:  | [-\[A-Z<.]|$)", general, re.M)
                for n in re.split(r"[ |,]+", line)[:1] if n}
    files = {"help": general, **pages}
    files.update({f"help {c}": ask(c) for c in commands})
    for key in [k for k in files if k.startswith("help ")]:
        # A command of commands: its page has the options of all of them.
        inner = re.search(r"^Commands: ([\w, -]+)\.", files[key], re.M)
        for word in re.findall(r"[\w-]+", inner.group(1)) if inner else []:
            got = subprocess.run([binary, key.split()[1], word, "--help"], capture_output=True, text=True, timeout=20)
            files[key] += got.stdout
    return files


def check(files):
    found = []
    main = files.get("docs/man/hospes.1", "")
    for key, text in files.items():
        if not key.startswith("help "):
            continue
        command = key.split()[1]
        if not re.search(rf"\b{command}\b", plain(main)):
            found.append(f"docs/man/hospes.1: command {command} is not named")
        name = f"docs/man/hospes-{command}.1"
        page = files.get(name) or section(main, command)
        if page is None:
            if options(text):
                found.append(f"hospes {command}: neither {name} nor a section of hospes.1")
            continue
        ours, theirs = options(text), options(plain(page))
        found += [f"{name}: {o} is in --help alone" for o in sorted(ours - theirs)]
        found += [f"{name}: {o} is in the page alone" for o in sorted(theirs - ours)]
    if not any(k.startswith("help ") for k in files):
        found.append("`hospes help` lists no command that this check can read")
    return found


GOOD = {"help": "  run  start", "help run": "  --cpus N\n  --no-net",
        "docs/man/hospes.1": ".SH COMMANDS\n.B run\nstart\n",
        "docs/man/hospes-run.1": ".TP\n\\fB\\-\\-cpus\\fR N\n.TP\n.B \\-\\-no\\-net\n"}
BAD = [{**GOOD, "help run": "--cpus N --no-net --more"}, {**GOOD, "help run": "--cpus"},
       {**GOOD, "docs/man/hospes.1": ".SH NAME\n"}, {"help": "nothing", "docs/man/hospes.1": ""},
       {**GOOD, "help stop": "--now"}]

if __name__ == "__main__":
    kit.run(check, GOOD, BAD, load)
