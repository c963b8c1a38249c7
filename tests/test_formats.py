"""The documents' examples run, and their tables name what is stored."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from made_collections import draw_video

import vidx
from vidx.embedder.decoding import container
from vidx.index.files import Header
from vidx.records import Problem, Source, Space
from vidx.store import journal, layout, shards, tables
from vidx.store.metadata import files as metadata_files
from vidx.store.snapshots import files as snapshot_files

V1 = Path(__file__).parent / "formats" / "v1" / "collection"

PYTHON_PAGES = [
    "README.md",
    "docs/curation/clusters.md",
    "docs/curation/compare.md",
    "docs/curation/concepts.md",
    "docs/curation/duplicates.md",
    "docs/curation/exports.md",
    "docs/curation/label-issues.md",
    "docs/curation/leakage.md",
    "docs/curation/map.md",
    "docs/curation/outliers.md",
    "docs/curation/proposals.md",
    "docs/curation/quality.md",
    "docs/curation/report.md",
    "docs/curation/sample.md",
    "docs/curation/snapshots.md",
    "docs/curation/split.md",
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
    """A working folder as the documents suppose it: .vidx, tables from it, videos, query.mp4."""
    embedded.rename(tmp_path / ".vidx")
    (tmp_path / "videos").symlink_to(library)
    shutil.copy(library / "bowl.mp4", tmp_path / "query.mp4")
    write_tables(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_tables(folder: Path) -> None:
    """An export, and the hits of a search for several clips."""
    with vidx.open(folder) as collection:
        collection.export(folder / "clips.parquet")
        some = collection.vectors()[0][:2].tolist()
        collection.search_many(some, 3, output=folder / "hits.parquet")


@pytest.fixture(params=["one shard", "compacted and removed from"])
def formats_place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch) -> Path:
    """A working folder with all that the page on formats tells of, or with the least of it."""
    if request.param == "one shard":
        return request.getfixturevalue("place")
    shutil.copytree(V1, tmp_path / ".vidx")
    write_tables(tmp_path)
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


def test_duckdb_reads_what_the_api_gives(checkout, formats_place) -> None:
    of_shards, of_journal, of_export = blocks(checkout / "docs/formats.md", "sql")
    ids, vectors = vidx.open().vectors()
    clips = vidx.open().clips().to_pylist()
    with duckdb.connect() as database:
        rows = sorted(database.execute(of_shards).fetchall())
        done = database.execute(of_journal).fetchall()
        labels = database.execute(of_export).fetchall()
    live = [row for row in rows if row[0] in set(ids.tolist())]
    assert [row[0] for row in live] == ids.tolist()
    assert np.array_equal(np.array([row[4] for row in live], np.float32), vectors)
    times = [(clip["start_seconds"], clip["end_seconds"]) for clip in clips]
    assert [row[2:4] for row in live] == times
    reasons = vidx.open().failures().column("reason").to_pylist()
    # A checkpoint tells of each failure again.
    assert {reason for _, kind, _, reason in done if kind == "fail"} == set(reasons)
    assert {number for number, *_ in done} <= set(vidx.open().commits()["number"].to_pylist())
    assert dict(labels) == Counter(clip["labels"][0]["name"] for clip in clips)


def test_the_readers_of_the_formats_read_what_the_api_gives(checkout, formats_place) -> None:
    names: dict[str, Any] = {}
    for block in blocks(checkout / "docs/formats.md", "python"):
        exec(block, names)
    ids, vectors = vidx.open().vectors()
    assert names["live"] == ids.tolist()
    assert np.array_equal(names["live_vectors"], vectors)
    lives = np.isin(names["ids"], ids)
    assert np.array_equal(names["ids"][lives], ids)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.allclose(names["unit_vectors"][lives], vectors / lengths, atol=1e-6)
    clips = vidx.open().clips().to_pylist()
    best = np.array(names["best"])[np.isin(names["clip_ids"], ids)]
    assert best.tolist() == [row["labels"][0]["name"] for row in clips]
    numbers = names["catalogue"].execute("SELECT number, video_id FROM videos")
    of_number = dict(numbers.fetchall())
    owners = [of_number[number] for number in names["videos"][lives].tolist()]
    assert owners == [row["video_id"] for row in clips]


def documented(page: str, heading: str) -> set[str]:
    """The words in code type in the tables of one section."""
    section = page.split(f"## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return set(re.findall(r"`([^` ]+)`", "\n".join(rows)))


@pytest.fixture
def page(checkout: Path) -> str:
    return (checkout / "docs/formats.md").read_text(encoding="utf-8")


def test_formats_name_all_that_a_shard_has(page: str) -> None:
    info = shards.ShardInfo("", "", "", (), {}, "")
    columns = set(shards.to_table([draw_video("a", previews=True)], info).column_names)
    metadata = shards.to_metadata(info).keys()
    told = documented(page, "Shards")
    assert columns | {shards.CLIP_ID} | metadata <= told


def test_formats_name_all_that_an_entry_of_the_journal_has(page: str) -> None:
    source = Source("/a", 1, "2")
    change = journal.Change(
        gone=["/a"],
        places=[("f", source)],
        further=[("f", source)],
        failed=[journal.Failed(source, None, Problem("no_frames", ""))],
        removed=["/a"],
        restored=[1],
        metadata={"video": Path("metadata-000000000001-videos.parquet")},
        forgotten=["snapshot-000000000001.parquet"],
        snapshots=[Path("snapshot-000000000002.parquet")],
    )
    assert all(getattr(change, field.name) for field in fields(change)), "one of each"
    kinds = {row["kind"] for row in journal._rows(change)}
    metadata = journal._to_metadata(journal.Entry("", 1, "", "", {}, 0, (), change)).keys()
    assert {*journal.SCHEMA.names, *kinds, *metadata} <= documented(page, "The journal")


def test_formats_name_all_that_a_file_of_metadata_has(page: str, tmp_path: Path) -> None:
    for of in metadata_files.KEY_FIELDS:
        file = metadata_files.write(tmp_path, "", [], of=of, types={}, clears=False)
        schema = pq.read_schema(file)
        keys = {key.decode() for key in schema.metadata if key.startswith(b"vidx.")}
        assert {*schema.names, *keys, of} <= documented(page, "The journal")


def test_formats_name_all_that_a_file_of_a_snapshot_has(page: str, tmp_path: Path) -> None:
    snapshot = snapshot_files.Snapshot("v1", 1, "", "")
    path = snapshot_files.write(tmp_path, "", snapshot, np.arange(3))
    schema = pq.read_schema(path)
    keys = {key.decode() for key in schema.metadata if key.startswith(b"vidx.")}
    assert {*schema.names, *keys} <= documented(page, "The journal")


def test_formats_name_every_table_of_the_catalogue_and_every_reason(page: str) -> None:
    of_catalogue = documented(page, "The catalogue")
    for table in tables.metadata.tables.values():
        assert {table.name, *table.columns.keys()} <= of_catalogue, table.name
    reasons = set(re.findall(r"^\| `(\w+)` \|", container.__doc__ or "", re.MULTILINE))
    assert reasons <= of_catalogue
    assert {str(tables.IN_THE_MAKING), str(tables.DROPPED)} <= of_catalogue


def test_formats_name_every_key_of_the_json_files(page: str, tmp_path: Path) -> None:
    assert {field.name for field in fields(Header)} <= documented(page, "The index")
    space = {f"space.{field.name}" for field in fields(Space)}
    place = layout.Layout(tmp_path)
    manifest = layout.Manifest("", Space("", "", None, 16, 7.5, 8, ()))
    layout.write_manifest(place, manifest, by_way_of=place.root)
    keys = json.loads(place.manifest.read_text(encoding="utf-8")).keys() - {"space"}
    assert keys | space <= documented(page, "collection.json")
