"""Shards: immutable Parquet files, one row a clip, each readable without anything else.

The file's metadata carries the format version, the collection's uuid, the fingerprint, the
label names and the provenance. Columns are read by name, so that later versions may add some.
`clip_id` is the number in the file's name plus the row; where clips were dropped it is a column.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vidx.errors import CollectionDamaged, CollectionTooNew, VidxError
from vidx.records import FACTS, EmbeddedVideo, Source

SHARD_FORMAT_VERSION = 1

# The second number is there where shards were compacted into one: the first of them had the name.
_NAME = re.compile(r"clips-(\d{12,})(?:-\d+)?\.parquet")
CLIP_ID = "clip_id"

# The columns that describe the video, repeated on each of its clips: zstd makes them free.
VIDEO_FIELDS = (
    pa.field("video_id", pa.string(), nullable=False),
    pa.field("path", pa.string(), nullable=False),
    pa.field("size_bytes", pa.int64()),
    pa.field("version", pa.string(), nullable=False),
    pa.field("plan", pa.string(), nullable=False),
    pa.field("take", pa.string(), nullable=False),
    pa.field("part", pa.int32(), nullable=False),
    pa.field("last_part", pa.bool_(), nullable=False),
    pa.field("duration_seconds", pa.float64(), nullable=False),
    pa.field("width", pa.int32(), nullable=False),
    pa.field("height", pa.int32(), nullable=False),
    pa.field("frame_rate", pa.float64(), nullable=False),
    pa.field("codec", pa.string(), nullable=False),
    pa.field("container", pa.string(), nullable=False),
    pa.field("first_timestamp_seconds", pa.float64(), nullable=False),
    pa.field("rotation_degrees", pa.int32(), nullable=False),
    pa.field("is_mirrored", pa.bool_(), nullable=False),
    pa.field("notes", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False),
    pa.field("problem_reason", pa.string()),
    pa.field("problem_message", pa.string()),
)
CLIP_FIELDS = (
    pa.field("start_seconds", pa.float64(), nullable=False),
    pa.field("end_seconds", pa.float64(), nullable=False),
)
FACT_FIELDS = tuple(pa.field(name, pa.float32(), nullable=False) for name in FACTS)
REPEATS_FIELD = pa.field("repeats", pa.bool_(), nullable=False)
PREVIEW = "preview"
ROWS_TOGETHER = 256  # where there are pictures: about a megabyte is read for one
_NEXT_STEP = (
    "Put a sound copy in its place. Without one, move the file away and run `vidx rebuild`: "
    "its videos can then be embedded anew."
)
_TEXT_COLUMNS = [field.name for field in VIDEO_FIELDS if field.type == pa.string()]


@dataclass(frozen=True, slots=True)
class NewVideo:
    """One embedded video, or a part of one, on its way into a shard.

    Attributes:
        video_id: SHA-256 (hex) of the bytes.
        plan: Digest of how the video was cut into clips.
        sources: Where the bytes were seen, at least once; twins are added until the commit.
        embedded: Its clips and vectors.
        take: The name of this cutting, which all its parts share.
        part: Which one this is, from 0.
        last_part: Whether the take is complete with it: only then its clips are seen.
    """

    video_id: str
    plan: str
    sources: list[Source]
    embedded: EmbeddedVideo
    take: str = field(default_factory=lambda: uuid4().hex)
    part: int = 0
    last_part: bool = True


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """What makes a shard belong to a collection, kept in the Parquet file's own metadata.

    Attributes:
        uuid: The collection's.
        shard: The shard's own, which tells a copy of it.
        fingerprint: The embedding space's.
        labels: Names of the logits' classes, empty without a head.
        provenance: Model, revision, device, dtype, versions: told, never compared.
        time: When it was written, ISO 8601, UTC.
        replaces: The shards, by their own uuid, that were compacted into this one.
    """

    uuid: str
    shard: str
    fingerprint: str
    labels: tuple[str, ...]
    provenance: dict[str, str]
    time: str
    replaces: tuple[str, ...] = ()


def file_name(first_clip_id: int, number: int = 0) -> str:
    """The name of the shard whose first row has this id.

    Args:
        first_clip_id: The id.
        number: How often shards that began there were compacted.
    """
    return f"clips-{first_clip_id:012d}{f'-{number}' if number else ''}.parquet"


def is_compacted(file: str) -> bool:
    """Whether a shard of this name was made of others.

    >>> is_compacted(file_name(7)), is_compacted(file_name(7, 1))
    (False, True)
    """
    return file.count("-") > 1


def first_clip_id(path: Path) -> int | None:
    """The id of a shard's first row, from its name; None for a file that is no shard."""
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else None


def listed(folder: Path) -> list[tuple[int, Path]]:
    """The shards in a folder with the first clip_id of each, in that order."""
    found = [(first_clip_id(path), path) for path in folder.glob("clips-*.parquet")]
    return sorted((first, path) for first, path in found if first is not None)


def to_table(videos: Sequence[NewVideo], info: ShardInfo) -> pa.Table:
    """Lay out the clips of some videos as the rows of one shard.

    Args:
        videos: At least one, each with at least one clip; all of one embedding space.
        info: What the file's metadata will say.

    Returns:
        A table with the columns of `docs/formats.md`, one row a clip.
    """
    counts = [len(video.embedded.clips) for video in videos]
    rows = [_video_row(video) for video in videos]
    owner = np.repeat(np.arange(len(videos)), counts)
    columns = [
        pa.array([row[field.name] for row in rows], field.type).take(pa.array(owner))
        for field in VIDEO_FIELDS
    ]
    clips = [clip for video in videos for clip in video.embedded.clips]
    columns += [pa.array([getattr(clip, field.name) for clip in clips]) for field in CLIP_FIELDS]
    facts = [one for video in videos for one in video.embedded.facts]
    columns += [
        pa.array([getattr(one, field.name) for one in facts], field.type) for field in FACT_FIELDS
    ]
    columns.append(pa.array([one for video in videos for one in video.embedded.repeats]))
    fields = [*VIDEO_FIELDS, *CLIP_FIELDS, *FACT_FIELDS, REPEATS_FIELD]

    if facts[0].preview is not None:  # then all have one: it is asked for a run as a whole
        fields.append(pa.field(PREVIEW, pa.binary(), nullable=False))
        columns.append(pa.array([one.preview for one in facts]))
    frame_seconds = np.array([one.frame_seconds for one in facts], np.float32)
    _add_matrix(fields, columns, "frame_seconds", frame_seconds, pa.float32())
    embeddings = np.concatenate([video.embedded.embeddings for video in videos])
    _add_matrix(fields, columns, "embedding", embeddings, pa.float32())
    logits = [video.embedded.logits for video in videos if video.embedded.logits is not None]
    if logits:
        _add_matrix(fields, columns, "logits", np.concatenate(logits), pa.float16())
    return pa.table(columns, schema=pa.schema(fields, metadata=to_metadata(info)))


def _video_row(video: NewVideo) -> dict[str, object]:
    """The values of VIDEO_FIELDS for one video."""
    info, problem, source = video.embedded.info, video.embedded.problem, video.sources[0]
    return {
        "video_id": video.video_id,
        "path": source.path,
        "size_bytes": source.size_bytes,
        "version": source.version,
        "plan": video.plan,
        "take": video.take,
        "part": video.part,
        "last_part": video.last_part,
        "duration_seconds": info.duration_seconds,
        "width": info.width,
        "height": info.height,
        "frame_rate": info.frame_rate,
        "codec": info.codec,
        "container": info.container,
        "first_timestamp_seconds": info.first_timestamp_seconds,
        "rotation_degrees": info.rotation_degrees,
        "is_mirrored": info.is_mirrored,
        "notes": info.notes,
        "problem_reason": problem.reason if problem else None,
        "problem_message": problem.message if problem else None,
    }


def _add_matrix(
    fields: list[pa.Field],
    columns: list[pa.Array],
    name: str,
    matrix: NDArray[np.generic],
    value_type: pa.DataType,
) -> None:
    """Append a (rows, width) matrix as a column of fixed-size lists."""
    width = matrix.shape[1]
    list_type = pa.list_(pa.field("element", value_type, nullable=False), width)
    values = pa.array(np.ascontiguousarray(matrix).reshape(-1), value_type)
    columns.append(pa.FixedSizeListArray.from_arrays(values, type=list_type))
    fields.append(pa.field(name, list_type, nullable=False))


def to_metadata(info: ShardInfo) -> dict[str, str]:
    """What a shard says of itself, as its file keeps it."""
    return {
        "vidx.format_version": str(SHARD_FORMAT_VERSION),
        "vidx.collection": info.uuid,
        "vidx.shard": info.shard,
        "vidx.fingerprint": info.fingerprint,
        "vidx.labels": json.dumps(info.labels, ensure_ascii=False),
        "vidx.provenance": json.dumps(info.provenance, ensure_ascii=False),
        "vidx.time": info.time,
        "vidx.replaces": json.dumps(info.replaces),
    }


def write(table: pa.Table, path: Path) -> None:
    """Write a shard: zstd for all but the vectors, which do not compress; pages checksummed.

    Pictures compress where they repeat.
    """
    plain = {"embedding": "none", "logits": "none"}
    pq.write_table(
        table,
        path,
        compression={_leaf(field): plain.get(field.name, "zstd") for field in table.schema},
        # The least and largest number of all vectors tell nobody anything, nor do those of files.
        write_statistics=[
            _leaf(field) for field in table.schema if field.name not in {*plain, PREVIEW}
        ],
        use_dictionary=_TEXT_COLUMNS,
        write_page_checksum=True,
        row_group_size=ROWS_TOGETHER if PREVIEW in table.column_names else None,
    )


def _leaf(field: pa.Field) -> str:
    """How Parquet names the values of a column."""
    lists = pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type)
    return f"{field.name}.list.element" if lists else field.name


def read_info(path: Path) -> ShardInfo:
    """Read what a shard says of itself.

    Raises:
        CollectionDamaged: The file is missing, or no shard.
        CollectionTooNew: A later vidx wrote it.
        VidxError: It cannot be read for another reason, which may pass.
    """
    with _telling(path):
        return _from_metadata(pq.read_schema(path).metadata or {}, path)


def _from_metadata(metadata: dict[bytes, bytes], path: Path) -> ShardInfo:
    try:
        version = int(metadata[b"vidx.format_version"])
        if version > SHARD_FORMAT_VERSION:
            raise CollectionTooNew(
                f"{path} has shard format {version}, this vidx knows {SHARD_FORMAT_VERSION}",
                "Upgrade vidx: pip install --upgrade vidx",
            )
        return ShardInfo(
            uuid=metadata[b"vidx.collection"].decode(),
            shard=metadata[b"vidx.shard"].decode(),
            fingerprint=metadata[b"vidx.fingerprint"].decode(),
            labels=tuple(json.loads(metadata[b"vidx.labels"])),
            provenance=json.loads(metadata[b"vidx.provenance"]),
            time=metadata[b"vidx.time"].decode(),
            replaces=tuple(json.loads(metadata[b"vidx.replaces"])),
        )
    except (KeyError, ValueError) as error:
        raise CollectionDamaged(f"{path} is Parquet, but no shard of vidx: {error}") from error


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read rows of a shard, checking each page's checksum.

    Args:
        path: The shard.
        columns: Only these, by name; None for all.

    Raises:
        CollectionDamaged: The file is missing, or broken.
        VidxError: It cannot be read for another reason, which may pass.
    """
    with _telling(path):
        return pq.read_table(
            path,
            columns=list(columns) if columns is not None else None,
            page_checksum_verification=True,
            partitioning=None,
        )


def read_own(
    path: Path, uuid: str, shard: str, num_rows: int, columns: Sequence[str] | None
) -> pa.Table:
    """Read columns of a shard that the catalogue knows, and see that it is the one it knows.

    Args:
        path: The shard.
        uuid: The collection's.
        shard: The shard's own.
        num_rows: How many the catalogue says there are.
        columns: Only these, by name; None for all.

    Raises:
        CollectionDamaged: The file is missing or broken, or another one stands in its place.
        VidxError: It cannot be read for another reason, which may pass.
    """
    table = read(path, columns)
    _check_own(path, table.schema.metadata, table.num_rows, uuid, shard, num_rows)
    return table


def _check_own(
    path: Path,
    metadata: dict[bytes, bytes] | None,
    found_rows: int,
    uuid: str,
    shard: str,
    num_rows: int,
) -> None:
    """See that a file is the shard that the catalogue knows."""
    found = _from_metadata(metadata or {}, path)
    if found.uuid != uuid:
        problem = f"the shard {path} belongs to another collection ({found.uuid})"
    elif found.shard != shard:
        problem = f"another shard ({found.shard}) stands in the place of {path} ({shard})"
    elif found_rows != num_rows:
        problem = f"the shard {path} has {found_rows} rows, not {num_rows}"
    else:
        return
    raise CollectionDamaged(problem, _NEXT_STEP)


@contextmanager
def opened_own(path: Path, uuid: str, shard: str, num_rows: int) -> Iterator[pq.ParquetFile]:
    """As `read_own`, for who reads only some rows."""
    with _telling(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        _check_own(path, file.schema_arrow.metadata, file.metadata.num_rows, uuid, shard, num_rows)
        yield file


def clip_ids(path: Path, table: pa.Table) -> NDArray[np.int64]:
    """The ids of a shard's rows, int64 (rows,), ascending."""
    if CLIP_ID in table.column_names:
        return np.asarray(table.column(CLIP_ID).to_numpy(), np.int64)
    first = first_clip_id(path)
    assert first is not None  # noqa: S101 - `listed` and the catalogue name shards alone
    return np.arange(first, first + table.num_rows)


def span(path: Path, ids: NDArray[np.int64]) -> tuple[int, int]:
    """The first id of a shard and the one after its last; one without rows tells by its name."""
    if len(ids):
        return int(ids[0]), int(ids[-1]) + 1
    first = first_clip_id(path) or 0
    return first, first


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Tell a file that is lost or broken from one that cannot be read just now."""
    try:
        yield
    except FileNotFoundError as error:
        raise _damaged(path, error) from error
    except (pa.ArrowException, OSError) as error:
        # Arrow tells of broken content by an OSError too, but then by one without a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise VidxError(
                f"the shard {path} cannot be read now: {error.strerror or error}",
                "It may be sound: nothing was changed. Run the same command again.",
            ) from error
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> CollectionDamaged:
    return CollectionDamaged(f"the shard {path} cannot be read: {error}", _NEXT_STEP)


def matrix(table: pa.Table, name: str) -> NDArray[Any]:
    """A column of fixed-size lists as a matrix.

    Returns:
        Shape (rows, width), in the column's own dtype; shares the table's memory where it can.
    """
    column = table.column(name)
    width = column.type.list_size
    parts = [chunk.flatten().to_numpy().reshape(-1, width) for chunk in column.chunks]
    dtype = column.type.value_type.to_pandas_dtype()
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty((0, width), dtype), *parts])
