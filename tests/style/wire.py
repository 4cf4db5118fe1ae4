# SPDX-License-Identifier: Apache-2.0
"""wire.py - every struct in src/abi has its size asserted, and no member of host endianness."""
import re

import kit

HOST_INT = re.compile(r"^\s+(?:u?int(?:16|32|64)_t|(?:unsigned |signed )?(?:int|long|short)|"
                      r"size_t|bool)\s+\w+(?:\[[^]]*\])?;", re.M)


def bodies(text):
    for m in re.finditer(r"^struct (\w+) \{\n(.*?)^\}", text, re.S | re.M):
        yield m.group(1), m.group(2)


def check(files):
    found = []
    for path, text in kit.c_files(files, "src/abi/"):
        text = kit.code(text)
        if re.search(r"\bpacked\b", text):
            found.append(f"{path}: packed; wire structs are built of le16 to be64")
        for name, body in bodies(text):
            if not re.search(rf"WIRE_SIZE\(struct {name},", text):
                found.append(f"{path}: struct {name} has no WIRE_SIZE")
            for m in HOST_INT.finditer(body):
                found.append(f"{path}: struct {name} has a host integer: {m.group(0).strip()}")
    return found


GOOD = {"src/abi/a.h": "struct a {\n    le16 x;\n    uint8_t y[2];\n};\nWIRE_SIZE(struct a, 4);\n",
        "src/core/a.h": "struct b {\n    int x;\n};\n"}
BAD = [{"src/abi/a.h": "struct a {\n    le16 x;\n};\n"},
       {"src/abi/a.h": "struct a {\n    uint32_t x;\n};\nWIRE_SIZE(struct a, 4);\n"},
       {"src/abi/a.h": "struct a {\n    le16 x;\n};\n/* */ WIRE_SIZE(struct ab, 4);\n"},
       {"src/abi/a.h": "struct a {\n    le16 x;\n} __attribute__((packed));\nWIRE_SIZE(struct a, 2);\n"}]

if __name__ == "__main__":
    kit.run(check, GOOD, BAD)
