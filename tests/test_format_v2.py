"""A collection that version 2 of the formats wrote, with snapshots, is read by every later vidx."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from test_format_v1 import assert_finds, assert_holds

import vidx

V2 = Path(__file__).parent / "formats" / "v2"


@pytest.fixture
def expected() -> dict[str, Any]:
    """What it was made of, as formats/make_v2.py noted it."""
    return json.loads((V2 / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(V2 / "collection", tmp_path / "collection")


def assert_saved(collection: vidx.Collection, expected: dict[str, Any]) -> None:
    """Snapshots are as expected, and so are their clips."""
    assert collection.snapshots().to_pylist() == expected["snapshots"]
    for name, ids in expected["saved"].items():
        assert collection.selection(name).clip_ids().tolist() == ids


def test_its_snapshots_are_read_as_they_were_written(
    folder: Path, expected: dict[str, Any]
) -> None:
    assert len(expected["saved"]) == 2
    with vidx.open(folder) as collection:
        assert_saved(collection, expected)
        assert_holds(collection, expected)
        assert_finds(collection, expected)


def test_a_lost_catalogue_of_it_is_made_anew_with_them(
    folder: Path, expected: dict[str, Any]
) -> None:
    (folder / "catalogue.sqlite").unlink()
    with vidx.open(folder) as collection:
        report = collection.rebuild()
        assert (report.lost, report.ignored) == ((), ())
        assert_saved(collection, expected)
        assert_holds(collection, expected)
