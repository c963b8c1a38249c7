"""The tutorial of curation runs from top to bottom, and prints what it says."""

from __future__ import annotations

import importlib.util
import re
from itertools import zip_longest
from pathlib import Path
from types import ModuleType

import pytest

VARY = (  # from run to run, or from machine to machine
    (r"\d{4}-\d\d-\d\dT[\d:+]+", "TIME"),
    (r"in [\d.]+ s \(.*\)", "in TIME"),
    (r"^Busy: .*", "BUSY"),
    (r"\d+ bytes", "BYTES"),
)
TOLERANCE = 0.05  # of a score: another processor rounds otherwise


@pytest.fixture
def executed(checkout: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("executed", checkout / "docs/executed.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def differences(said: str, printed: str) -> list[tuple[str | None, str | None]]:
    """Where two texts are not the same: words and numbers beside each other."""
    pairs = zip_longest(_words(said), _words(printed))
    return [pair for pair in pairs if not _same(*pair)]


def _words(text: str) -> list[str]:
    for pattern, word in VARY:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return re.findall(r"\d+\.\d+|\d+|[^\s\d─]+", text)


def _same(one: str | None, other: str | None) -> bool:
    if one == other or not one or not other:
        return one == other
    is_score = re.fullmatch(r"\d+\.\d+", one) and re.fullmatch(r"\d+\.\d+", other)
    return bool(is_score) and abs(float(one) - float(other)) <= TOLERANCE


def test_the_tutorial_of_curation_prints_what_it_says(
    executed: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = executed.PAGE.read_text(encoding="utf-8")
    blocks = executed.BLOCK.findall(page)
    assert len([command for block in blocks for command in executed.commands(block)]) > 20
    assert differences(page, executed.executed(page)) == []
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("<img") > 20


@pytest.mark.parametrize(
    ("said", "printed", "differs"),
    [
        ("score 0.52", "score 0.54", False),
        ("score 0.52", "score 0.72", True),
        ("2 clips in 7.1 s (4 clips/s)", "2 clips in 0.1 s (99.0 clips/s)", False),
        ("2 clips", "3 clips", True),
        ("ok", "ok ok", True),
    ],
)
def test_texts_differ_by_more_than_rounding(said: str, printed: str, differs: bool) -> None:
    assert bool(differences(said, printed)) == differs
