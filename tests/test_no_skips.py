"""The switch that turns skips into failures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import no_skips
import pytest

SKIPS = """
import pytest

def test_here(): pytest.skip("no media")

@pytest.mark.skipif(True, reason="not as root")
def test_marked(): pass

@pytest.fixture
def lacking(): pytest.skip("not in a checkout")

def test_by_a_fixture(lacking): pass

@pytest.mark.gpu
@pytest.mark.skipif(True, reason="no CUDA device")
def test_on_a_gpu(): pass

@pytest.mark.xfail
def test_that_is_known_to_fail(): assert False

def test_sound(): pass
"""


@pytest.mark.parametrize(
    ("switch", "told"),
    [
        ({}, "1 passed, 5 skipped, 1 xfailed"),
        ({no_skips.SWITCH: "0"}, "1 passed, 5 skipped, 1 xfailed"),
        ({no_skips.SWITCH: "1"}, "1 failed, 1 passed, 1 skipped, 1 xfailed, 3 errors"),
    ],
)
def test_a_skip_is_a_failure_when_asked_for_but_for_want_of_a_gpu(tmp_path, switch, told) -> None:
    (tmp_path / "test_skips.py").write_text(SKIPS)
    (tmp_path / "test_module.py").write_text("import pytest; pytest.importorskip('no_such')")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = gpu\n")
    environment = {name: value for name, value in os.environ.items() if name != no_skips.SWITCH}
    helpers = str(Path(no_skips.__file__).parent)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no_skips", "--continue-on-collection-errors"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": helpers, **switch},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"= {told} in" in done.stdout, done.stdout
