#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""results.py DIR - sums up the JUnit files in DIR, and DIR/broken, which names what did not even
run, one a line. Prints `N passed, N failed, N skipped`; 1 when something failed or nothing ran."""
import glob
import os
import sys
import xml.etree.ElementTree as ElementTree


def main():
    passed = failed = skipped = 0
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.junit.xml"))):
        for case in ElementTree.parse(path).iter("testcase"):
            kinds = {child.tag for child in case}
            if kinds & {"failure", "error"}:
                failed += 1
                print("failed: %s %s" % (os.path.basename(path).split(".")[0], case.get("name")))
            elif "skipped" in kinds:
                skipped += 1
            else:
                passed += 1
    broken = os.path.join(sys.argv[1], "broken")
    if os.path.exists(broken):
        names = open(broken).read().split()
        failed += len(names)
        print("failed: %s" % " ".join(names))
    if passed + failed + skipped == 0:
        failed = 1
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
