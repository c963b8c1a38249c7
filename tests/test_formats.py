"""The documents' examples run, and their tables name what is stored."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from vidx.embedder.decoding import container
from vidx.store import shards, tables


def python_blocks(page: Path) -> list[str]:
    """The fenced Python examples of a page, in order."""
    return re.findall(
        r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.fixture
def place(embedded: Path, library: Path, tmp_path: Path, monkeypatch) -> Path:
    """A working folder as the documents suppose it: .vidx, videos and query.mp4."""
    embedded.rename(tmp_path / ".vidx")
    (tmp_path / "videos").symlink_to(library)
    shutil.copy(library / "bowl.mp4", tmp_path / "query.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "name", ["README.md", "docs/formats.md", "docs/python.md", "docs/videomae.md"]
)
def test_python_examples_of_a_page_run_from_top_to_bottom(checkout, place, name) -> None:
    blocks = python_blocks(checkout / name)
    assert blocks
    names: dict[str, object] = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"{name}, example {number}", "exec"), names)


def test_the_readers_of_the_formats_read_what_the_api_gives(checkout, place) -> None:
    import numpy as np

    import vidx

    names: dict = {}
    for block in python_blocks(checkout / "docs/formats.md"):
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
