"""The documents say what the code does."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import vidx

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(vidx.__path__, "vidx.")
    if not module.name.endswith("__main__") and ".migrations" not in module.name
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


def test_the_command_line_reference_is_that_of_the_code(checkout: Path) -> None:
    command = [sys.executable, str(checkout / "docs/generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_benchmarks_tables_are_those_of_the_results(checkout: Path, benchmark) -> None:
    page = (checkout / "docs/benchmarks.md").read_text(encoding="utf-8")
    assert "| 1 |" in page
    assert benchmark("report").with_tables(page) == page


def test_links_between_documents_lead_somewhere(checkout: Path) -> None:
    import re

    pages = [checkout / "README.md", checkout / "CONTRIBUTING.md", *checkout.glob("docs/**/*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"
