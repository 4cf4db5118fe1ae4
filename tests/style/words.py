# SPDX-License-Identifier: Apache-2.0
"""words.py - no notes to self, no paths of one machine, nobody but the product speaking."""
import re

import kit

NOTES = re.compile(r"\b(?:" + "|".join(["TO" "DO", "FIX" "ME", "X" "XX"]) + r")\b")
PLACES = re.compile(r"(?<![\w.$}>*-])/(?:work|home/\w+|root)/")
DOC_PLACES = re.compile(r"(?<![\w.$}])/tmp/")
VOICES = re.compile(r"\b(?:claude|anthropic|openai|chat" r"gpt|co" r"pilot|large language model|"
                    r"(?:ai|coding|language) (?:assistant|agent|model)s?|"
                    r"as an ai|co-authored-by|generated with|(?:this|previous|last) session)\b",
                    re.I)
HERE = "tests/style/words.py"


def check(files):
    found = []
    for path, text in files.items():
        if path in (HERE, "LICENSE"):
            continue
        docs = path.endswith((".md", ".1", ".5", ".7"))
        for n, line in enumerate(text.splitlines(), 1):
            for rule in [NOTES, PLACES, VOICES] + ([DOC_PLACES] if docs else []):
                m = rule.search(line)
                if m:
                    found.append(f"{path}:{n}: '{m.group(0)}' has no place here")
    return found


GOOD = {"src/a.c": "/* mkdtemp wants XXXXXX; see https://x.org/work/a; a session of iSCSI */",
        "docs/a.md": "Put it under $HOME/tmp/ or $XDG_RUNTIME_DIR. A framework/work/ path."}
BAD = [{"src/a.c": "/* TO" "DO: more */"}, {"src/a.c": "/* FIX" "ME */"}, {"a.md": "X" "XX"},
       {"src/a.c": 'open("/work/x")'}, {"docs/a.md": "run /tmp/x"}, {"tests/a.py": "/home/joe/x"},
       {"a.md": "written by a coding assistant"}, {"a.md": "in this session"}]

if __name__ == "__main__":
    kit.run(check, GOOD, BAD)
