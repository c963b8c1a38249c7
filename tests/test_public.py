"""What a user sees before anything heavy happens."""

from __future__ import annotations

import pkgutil
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import vidx
from vidx import errors

HEAVY = {"torch", "faiss", "av", "pyarrow", "sqlalchemy", "sqlglot", "numpy", "rich"}
HEAVY |= {"transformers", "pymilvus", "pandas"}


def imported_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after running some code."""
    report = f"{code}\nimport sys; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def seconds(commands: Sequence[Sequence[str]], cwd: Path) -> list[float]:
    """The least processor time of seven runs of each, in turns: a slow core is slow for all."""
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(7):
        for command, own in zip(commands, times, strict=True):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, *command], capture_output=True, cwd=cwd, check=False)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            own.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return [min(own) for own in times]


def test_importing_vidx_brings_nothing_heavy() -> None:
    assert not imported_by("import vidx") & HEAVY


def test_help_brings_nothing_heavy() -> None:
    code = "from vidx.cli import main\ntry: main(['embed', '--help'])\nexcept SystemExit: pass"
    assert not imported_by(code) & HEAVY


def test_help_and_a_missing_collection_answer_at_once(tmp_path: Path) -> None:
    commands = (["-c", "import click"], ["-m", "vidx", "--help"], ["-m", "vidx", "search", "q.mp4"])
    click, *ours = seconds(commands, tmp_path)
    assert max(ours) < 3 * click, f"{ours} s, import click {click:.3f} s"


def test_public_names_are_sorted_and_there() -> None:
    assert vidx.__all__ == sorted(vidx.__all__)
    assert all(hasattr(vidx, name) for name in vidx.__all__)


def test_public_names_are_all_that_is_public() -> None:
    # Once something has imported them.
    submodules = {module.name for module in pkgutil.iter_modules(vidx.__path__)}
    public = {name for name in vars(vidx) if not name.startswith("_")} - {"TYPE_CHECKING"}
    assert public - submodules <= set(vidx.__all__)
    with pytest.raises(AttributeError, match="no attribute 'DIMS'"):
        _ = vidx.DIMS


def test_every_error_is_one_of_ours_and_drawn_in_the_tree() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    assert errors.__doc__
    for error in classes:
        assert issubclass(error, errors.VidxError)
        assert error.__name__ in errors.__doc__.split()


@pytest.mark.parametrize(
    "error", [errors.UsageError, errors.CollectionNotFound, errors.DeviceError]
)
def test_an_error_says_the_problem_then_the_next_step(error: type[errors.VidxError]) -> None:
    raised = error("7 is too many", "Take 6.")
    assert str(raised) == "7 is too many\nTake 6."
    assert raised.exit_code == (2 if error is errors.UsageError else 4)
