"""The documents' examples run, and their tables name what is stored."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import duckdb
import numpy as np
import pytest

import vidx
from vidx.embedder.decoding import container
from vidx.store import shards, tables

PYTHON_PAGES = [
    "README.md",
    "docs/formats.md",
    "docs/python.md",
    "docs/tutorial.md",
    "docs/videomae.md",
]
SQL_PAGES = ["docs/formats.md", "docs/tutorial.md"]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced examples of a page in a language, in order."""
    fence = rf"^```{language}\n(.*?)^```$"
    return re.findall(fence, page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def place(embedded: Path, library: Path, tmp_path: Path, monkeypatch) -> Path:
    """A working folder as the documents suppose it: .vidx, its export, videos and query.mp4."""
    embedded.rename(tmp_path / ".vidx")
    (tmp_path / "videos").symlink_to(library)
    shutil.copy(library / "bowl.mp4", tmp_path / "query.mp4")
    vidx.open(tmp_path).export(tmp_path / "clips.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_page_with_examples_is_run(checkout) -> None:
    pages = [checkout / "README.md", *sorted((checkout / "docs").rglob("*.md"))]
    for language, run in (("python", PYTHON_PAGES), ("sql", SQL_PAGES)):
        found = [str(page.relative_to(checkout)) for page in pages if blocks(page, language)]
        assert found == run


@pytest.mark.parametrize("name", PYTHON_PAGES)
def test_python_examples_of_a_page_run_from_top_to_bottom(checkout, place, name) -> None:
    names: dict[str, object] = {}
    for number, block in enumerate(blocks(checkout / name, "python"), start=1):
        exec(compile(block, f"{name}, example {number}", "exec"), names)


@pytest.mark.parametrize("name", SQL_PAGES)
def test_sql_examples_of_a_page_give_rows(checkout, place, name) -> None:
    with duckdb.connect() as database:
        for block in blocks(checkout / name, "sql"):
            assert database.execute(block).fetchall(), block


def test_duckdb_reads_what_the_api_gives(checkout, place) -> None:
    of_shards, of_export = blocks(checkout / "docs/formats.md", "sql")
    ids, vectors = vidx.open().vectors()
    clips = vidx.open().clips().to_pylist()
    with duckdb.connect() as database:
        rows = sorted(database.execute(of_shards).fetchall())
        labels = database.execute(of_export).fetchall()
    assert [row[0] for row in rows] == ids.tolist()
    assert np.array_equal(np.array([row[4] for row in rows], np.float32), vectors)
    times = [(clip["start_seconds"], clip["end_seconds"]) for clip in clips]
    assert [row[2:4] for row in rows] == times
    assert dict(labels) == Counter(clip["labels"][0]["label"] for clip in clips)


def test_the_readers_of_the_formats_read_what_the_api_gives(checkout, place) -> None:
    names: dict = {}
    for block in blocks(checkout / "docs/formats.md", "python"):
        exec(block, names)
    ids, vectors = vidx.open().vectors()
    assert np.array_equal(names["vectors"][ids], vectors)
    assert np.array_equal(names["ids"], ids)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.allclose(names["unit_vectors"], vectors / lengths, atol=1e-6)
    stored = [row["labels"][0]["label"] for row in vidx.open().clips().to_pylist()]
    assert names["best"] == stored


def documented(page: str, heading: str) -> set[str]:
    """The words in code type in the tables of one section."""
    section = page.split(f"## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return set(re.findall(r"`([^` ]+)`", "\n".join(rows)))


def test_formats_name_every_column_table_and_reason(checkout) -> None:
    page = (checkout / "docs/formats.md").read_text(encoding="utf-8")
    columns = {field.name for field in (*shards.VIDEO_FIELDS, *shards.CLIP_FIELDS)}
    assert columns | {"embedding", "logits"} <= documented(page, "Shards")
    of_catalogue = documented(page, "The catalogue")
    for table in tables.metadata.tables.values():
        assert {table.name, *table.columns.keys()} <= of_catalogue, table.name
    reasons = set(re.findall(r"^\| `(\w+)` \|", container.__doc__ or "", re.MULTILINE))
    assert reasons <= of_catalogue
