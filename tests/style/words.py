# SPDX-License-Identifier: Apache-2.0
"""words.py - no notes to self, no paths of one machine, nobody but the product speaking."""
import re

import kit

NOTES = re.compile(r"\b(?:" + "|".join(["TO" "DO", "FIX" "ME", "X" "XX"]) + r")\b")
PLACES = re.compile(r"(?<![\w.$}>*-])/(?:work|home/\w+|root)/")
DOC_PLACES = re.compile(r"(?<![\w.$}])/tmp/")
VOICES = re.compile(r"\b(?:claude|anthropic|openai|chat" r"gpt|co" r"pilot|large language model|"
                    r"(?:ai|coding|language) (?:assistant|agent|model)s?|"
                    r"as an ai|co-authored-by|generated with)\b", re.I)
SESSIONS = re.compile(r"\b(?:this|previous|last|earlier) session\b", re.I)  # disks have them too
HERE = "tests/style/words.py"


def check(files):
    found = []
    for path, text in files.items():
        if path in (HERE, "LICENSE"):
            continue
        docs = path.endswith((".md", ".1", ".5", ".7"))
        for n, line in enumerate(text.splitlines(), 1):
            found += [f"{path}:{n}: '{w}' has no place here" for w in words(line, docs)]
    return found


def words(line, docs):
    rules = [NOTES, PLACES, VOICES] + ([DOC_PLACES, SESSIONS] if docs else [])
    return [m.group(0) for m in (rule.search(line) for rule in rules) if m]


GOOD = {"src/a.c": "/* mkdtemp wants XXXXXX; see https://x.org/work/a; a session of iSCSI */",
        "docs/a.md": "Put it under $HOME/tmp/ or $XDG_RUNTIME_DIR. A framework/work/ path."}
BAD = [{"src/a.c": "/* TO" "DO: more */"}, {"src/a.c": "/* FIX" "ME */"}, {"a.md": "X" "XX"},
       {"src/a.c": 'open("/work/x")'}, {"docs/a.md": "run /tmp/x"}, {"tests/a.py": "/home/joe/x"},
       {"a.md": "written by a coding assistant"}, {"a.md": "in this session"}]

if __name__ == "__main__":
    kit.run(check, GOOD, BAD)
