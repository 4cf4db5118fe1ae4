# SPDX-License-Identifier: Apache-2.0
"""commits.py - "area: subject" of at most 60 characters, an empty line, and a body that says why."""
import re

import kit
import words

SUBJECT = re.compile(r"[a-z0-9][a-z0-9_+./, -]*: \S.*")
LENGTH, WIDTH = 60, 72


def load():
    shallow = kit.git("rev-parse", "--is-shallow-repository")
    if shallow.returncode != 0:
        raise kit.Skip("this is no git tree")
    if shallow.stdout.strip() == "true":
        raise kit.Skip("this clone is shallow, so its first commit may be cut")
    text = kit.git("log", "--no-merges", "--format=%h%n%B%x00").stdout
    excused = [name for path, name in kit.exceptions(kit.tree(), "commits") if path == "history"]
    commits = {}
    for one in text.split("\0"):
        name, _, message = one.strip("\n").partition("\n")
        if name and not any(name.startswith(x) or x.startswith(name) for x in excused):
            commits[name] = message
    return commits


def check(commits):
    found = []
    for name, message in commits.items():
        lines = message.rstrip("\n").split("\n")
        subject = lines[0]
        if not SUBJECT.fullmatch(subject):
            found.append(f"{name}: '{subject}' is not 'area: subject'")
        if len(subject) > LENGTH:
            found.append(f"{name}: the subject has {len(subject)} characters; at most {LENGTH}")
        if subject.endswith("."):
            found.append(f"{name}: the subject ends in a full stop")
        if len(lines) < 3 or lines[1] or not lines[2].strip():
            found.append(f"{name}: no empty line and body that says why")
        found += [f"{name}: a body line has {len(line)} characters; at most {WIDTH}"
                  for line in lines[2:] if len(line) > WIDTH and "://" not in line]
        found += [f"{name}: '{w}' has no place here"
                  for line in lines for w in words.words(line, docs=True)]
    return found


GOOD = {"1": "core: add a loop\n\nThe machine needs one.\n", "2": "host, board: x\n\ny"}
BAD = [{"1": m} for m in ["Add a loop\n\nWhy.", "core: add a loop", "core: add a loop\nWhy.",
                          "core: " + "a" * 55 + "\n\nWhy.", "core: add a loop.\n\nWhy.",
                          "core: add a loop\n\n" + "a " * 40 + "a",
                          "core: add a loop\n\nWritten by an AI " "assistant."]]

if __name__ == "__main__":
    kit.run(check, GOOD, BAD, load)
