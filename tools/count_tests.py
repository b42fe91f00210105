"""Sums the test results of several pytest runs: prints 'N passed, N failed, N skipped' for the JUnit files given."""

import sys
from xml.etree import ElementTree


def main(paths: list[str]) -> None:
    suites = [suite for path in paths for suite in ElementTree.parse(path).iter("testsuite")]
    total, failed, errors, skipped = (
        sum(int(suite.attrib[kind]) for suite in suites) for kind in ("tests", "failures", "errors", "skipped")
    )
    failed += errors
    print(f"{total - failed - skipped} passed, {failed} failed, {skipped} skipped")


main(sys.argv[1:])
