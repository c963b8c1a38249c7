"""Standard output and standard error that are closed, full or read by nobody."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shell(embedded: Path, library: Path, tiny_checkpoint: Path, tmp_path: Path) -> Shell:
    """Run a line of bash, with $vidx, $it (a collection) and $embed (all of `vidx embed` to it)."""
    vidx = shutil.which("vidx", path=str(Path(sys.executable).parent))
    embed = f"embed {library} --collection {tmp_path / 'new'} --model {tiny_checkpoint} --json"
    names = {"vidx": str(vidx), "it": f"--collection {embedded}", "embed": embed}

    def run(line: str, code: int) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **names},
        )
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.mark.parametrize(
    "line",
    [
        "$vidx videos --json $it | head -1 >/dev/null; exit ${PIPESTATUS[0]}",
        "$vidx videos $it | true; exit ${PIPESTATUS[0]}",
        "$vidx embed --help | true; exit ${PIPESTATUS[0]}",
        "$vidx videos $it >&-",
    ],
)
def test_a_reader_that_has_enough_is_no_failure(shell: Shell, line: str) -> None:
    assert shell(line, 0).stderr == ""


@pytest.mark.parametrize("command", ["info", "info --json", "verify", "search 0"])
def test_output_on_a_full_disk_is_told(shell: Shell, command: str) -> None:
    done = shell(f"$vidx {command} $it >/dev/full", 4)
    assert done.stderr == "Error: the output cannot be written: No space left on device\n"


def test_names_that_the_output_cannot_show_are_escaped(shell: Shell) -> None:
    assert "n\\xe4me" in shell("PYTHONIOENCODING=ascii $vidx videos $it", 0).stdout


@pytest.mark.parametrize(
    "where",
    ["2>/dev/full", *(pytest.param(one, marks=pytest.mark.long) for one in ("2>&-", "2> >(true)"))],
)
def test_progress_that_nobody_can_read_does_not_end_the_run(shell: Shell, where: str) -> None:
    done = shell(f"$vidx $embed {where}", 3)
    assert json.loads(done.stdout)["embedded"] == 4
    assert shell(f"$vidx info --collection /nowhere {where}", 4).stdout == ""


@pytest.mark.parametrize(
    "error", ["BrokenPipeError(32, 'mine')", "EOFError('mine')", "OSError(28, 'mine')"]
)
def test_a_failure_that_is_not_standard_outputs_is_a_bug(embedded: Path, error: str) -> None:
    code = f"""
import sys
from vidx.cli import main
from vidx.collection import Collection

def info(_self):
    raise {error}

Collection.info = info
main(sys.argv[1:])
"""
    command = [sys.executable, "-c", code, "info", "--collection", str(embedded)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Traceback")
    assert f"\n{error.partition('(')[0]}: " in done.stderr
