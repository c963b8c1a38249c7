"""Run tests/gpu, and write what became of each test as it ends.

PYTHONPATH=. python benchmarks/gpu_tests.py [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from command import circumstances

ROOT = Path(__file__).parent.parent


class Written:
    """Writes the outcome of each test to a file."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.record: dict[str, Any] = {**circumstances(Path(__file__).name), "tests": {}}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a test's own outcome, or that of a fixture of its that failed."""
        if report.when != "call" and report.outcome == "passed":
            return
        found = {"outcome": report.outcome, "seconds": round(report.duration, 3)}
        if report.failed:
            found["message"] = str(report.longrepr)[-2000:]
        self.record["tests"][report.nodeid.rpartition("::")[2]] = found
        if self.path:
            self.path.write_text(json.dumps(self.record, indent=1) + "\n")


def main() -> None:
    """Parse, then leave it to pytest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    # Neither the conftest nor the options of the other tests, which take all of vidx.
    arguments = ["--noconftest", "-o", "addopts=", "-p", "no:cacheprovider", "-q", "--tb=short"]
    sys.exit(pytest.main([*arguments, str(ROOT / "tests/gpu")], plugins=[Written(options.out)]))


if __name__ == "__main__":
    main()
