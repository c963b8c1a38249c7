from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_collections import LABELS, draw_video

from vidx.errors import CollectionDamaged, CollectionTooNew, VidxError
from vidx.records import FACTS, Problem
from vidx.store import shards
from vidx.store.shards import ShardInfo

INFO = ShardInfo(
    "uuid",
    "shard",
    "f" * 64,
    LABELS,
    {"model": "tiny", "device": "cpu"},
    "2026-01-02T03:04:05+00:00",
    ("one", "another"),
)
NOTES = ('It says "half\nof it"; a \\ too.', "Zwei Sprünge der Uhr: 映画")
DOCUMENTED = {
    "video_id": "string",
    "path": "string",
    "size_bytes": "int64",
    "version": "string",
    "plan": "string",
    "take": "string",
    "part": "int32",
    "last_part": "bool",
    "duration_seconds": "double",
    "width": "int32",
    "height": "int32",
    "frame_rate": "double",
    "codec": "string",
    "container": "string",
    "first_timestamp_seconds": "double",
    "rotation_degrees": "int32",
    "is_mirrored": "bool",
    "notes": "list<element: string not null>",
    "problem_reason": "string",
    "problem_message": "string",
    "start_seconds": "double",
    "end_seconds": "double",
    **dict.fromkeys(FACTS, "float"),
    "repeats": "bool",
    "frame_seconds": "fixed_size_list<element: float not null>[16]",
    "embedding": "fixed_size_list<element: float not null>[8]",
    "logits": "fixed_size_list<element: halffloat not null>[6]",
}


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    videos = [
        draw_video("ä b\n'c", 200, problem=Problem("truncated", "the end is missing")),
        draw_video("d", 1, is_mirrored=True, notes=NOTES),
    ]
    path = tmp_path / shards.file_name(7)
    shards.write(shards.to_table(videos, INFO), path)
    return path


def test_a_shard_gives_back_what_was_put_in(shard: Path) -> None:
    table = shards.read(shard)
    one, other = draw_video("ä b\n'c", 200), draw_video("d", 1)
    both = [one.embedded.embeddings, other.embedded.embeddings]
    assert np.array_equal(shards.matrix(table, "embedding"), np.concatenate(both))
    logits = np.concatenate([one.embedded.logits, other.embedded.logits])
    assert np.array_equal(shards.matrix(table, "logits"), logits)
    assert shards.matrix(table, "logits").dtype == np.float16
    assert table["path"].to_pylist() == [one.sources[0].path] * 200 + [other.sources[0].path]
    assert table["problem_reason"].to_pylist() == ["truncated"] * 200 + [None]
    assert table["end_seconds"].to_pylist()[-2:] == [400.0, 2.0]
    facts = [*one.embedded.facts, *other.embedded.facts]
    for name in (*FACTS, "frame_seconds"):
        told = [getattr(fact, name) for fact in facts]
        assert np.array_equal(np.array(table[name].to_pylist()), np.array(told)), name
    repeats = [*one.embedded.repeats, *other.embedded.repeats]
    assert table["repeats"].to_pylist() == repeats
    assert table["is_mirrored"].to_pylist() == [False] * 200 + [True]
    assert table["notes"].to_pylist() == [[]] * 200 + [list(NOTES)]


def test_the_schema_is_the_documented_one(shard: Path) -> None:
    schema = pq.read_schema(shard)
    assert {field.name: str(field.type) for field in schema} == DOCUMENTED
    nullable = {field.name for field in schema if field.nullable}
    assert nullable == {"problem_reason", "problem_message", "size_bytes"}
    assert {key.decode() for key in schema.metadata} >= {
        f"vidx.{key}"
        for key in (
            "format_version",
            "collection",
            "fingerprint",
            "labels",
            "provenance",
            "time",
            "replaces",
        )
    }


def test_plain_pyarrow_reads_a_shard(shard: Path) -> None:
    row = pq.read_table(shard).slice(200).to_pylist()[0]
    assert row["embedding"] == draw_video("d", 1).embedded.embeddings[0].tolist()


def test_a_shard_says_whose_it_is(shard: Path) -> None:
    assert shards.read_info(shard) == INFO


def test_a_model_without_a_head_gives_no_logits(tmp_path: Path) -> None:
    table = shards.to_table([draw_video("a", labels=())], INFO)
    assert "logits" not in table.column_names


def test_vectors_lie_uncompressed_and_all_else_is_zstd(shard: Path) -> None:
    group = pq.ParquetFile(shard).metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    plain = {c.path_in_schema for c in columns if c.compression == "UNCOMPRESSED"}
    assert plain == {"embedding.list.element", "logits.list.element"}
    assert {c.compression for c in columns} == {"UNCOMPRESSED", "ZSTD"}


@pytest.mark.parametrize("column", ["embedding", "logits"])
def test_a_flipped_bit_in_a_vector_is_noticed(shard: Path, column: str) -> None:
    content = bytearray(shard.read_bytes())
    vector = shards.matrix(shards.read(shard), column)[100].tobytes()
    content[content.index(vector)] ^= 1
    shard.write_bytes(content)
    with pytest.raises(CollectionDamaged, match=r"clips-0+7\.parquet cannot be read"):
        shards.read(shard, [column])


@pytest.mark.parametrize("kept", [0, 3, 100, 0.5, 0.99])
def test_a_truncated_file_is_damage(shard: Path, kept: float) -> None:
    content = shard.read_bytes()
    shard.write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else int(kept)])
    for read in (shards.read, shards.read_info):
        with pytest.raises(CollectionDamaged):
            read(shard)


def test_a_missing_file_is_damage(tmp_path: Path) -> None:
    for read in (shards.read, shards.read_info):
        with pytest.raises(CollectionDamaged):
            read(tmp_path / shards.file_name(0))


def test_parquet_of_others_is_no_shard(tmp_path: Path) -> None:
    path = tmp_path / shards.file_name(0)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(CollectionDamaged, match="no shard of vidx"):
        shards.read_info(path)


def test_a_shard_of_a_later_version_is_refused(shard: Path) -> None:
    table = shards.read(shard)
    later = {**table.schema.metadata, b"vidx.format_version": b"2"}
    shards.write(table.replace_schema_metadata(later), shard)
    with pytest.raises(CollectionTooNew, match="shard format 2"):
        shards.read_info(shard)


@pytest.mark.parametrize(
    ("uuid", "own", "rows"),
    [("another", "shard", 201), ("uuid", "another", 201), ("uuid", "shard", 200)],
)
def test_another_shard_in_its_place_is_noticed(shard: Path, uuid: str, own: str, rows: int) -> None:
    assert shards.read_own(shard, "uuid", "shard", 201, ["embedding"]).num_rows == 201
    with pytest.raises(CollectionDamaged):
        shards.read_own(shard, uuid, own, rows, ["embedding"])


def test_what_cannot_be_read_just_now_is_not_called_damaged(
    shard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: object, **_keywords: object) -> None:
        raise OSError(5, "Input/output error")

    for name, read in (("read_table", shards.read), ("read_schema", shards.read_info)):
        monkeypatch.setattr(pq, name, fails)
        with pytest.raises(VidxError, match="Input/output error") as caught:
            read(shard)
        assert type(caught.value) is VidxError


def test_names_tell_the_first_id_and_other_files_are_passed_over(tmp_path: Path) -> None:
    numbers = [10**12, 20, 3]
    for number in numbers:
        (tmp_path / shards.file_name(number)).touch()
    (tmp_path / shards.file_name(20, 1)).touch()
    for name in ("clips-1.parquet", "clips-000000000001.parquet.tmp", "clips-x.parquet", "a"):
        (tmp_path / name).touch()
    assert [first for first, _ in shards.listed(tmp_path)] == [3, 20, 20, 10**12]
    assert shards.file_name(3) == "clips-000000000003.parquet"
    assert shards.file_name(3, 2) == "clips-000000000003-2.parquet"
