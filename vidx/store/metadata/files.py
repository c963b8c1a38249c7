"""Values of metadata as Parquet files in the journal, beside the entries that name them.

One row is a video or a clip, with its `video_id` or `clip_id`; further columns bear the names that
users gave them. A file that no entry names means nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from vidx.durable import sync_file
from vidx.store.journal_files import Kind, opened

METADATA_FORMAT_VERSION = 1
_KIND = Kind("metadata", METADATA_FORMAT_VERSION, "what they tell of is lost")

_NAME = re.compile(r"metadata-(\d{12,})-(video|clip)s\.parquet")
ROWS = 65_536  # held at a time

KEY_FIELDS = {
    "video": pa.field("video_id", pa.string(), nullable=False),
    "clip": pa.field("clip_id", pa.int64(), nullable=False),
}
ARROW_TYPES = {
    "text": pa.string(),
    "integer": pa.int64(),
    "real": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
}
_NAMES_OF_TYPES = {arrow: name for name, arrow in ARROW_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Stored:
    """The values of one file.

    Attributes:
        of: `video` or `clip`.
        types: Of each column beside the key: `text`, `integer` and so on.
        clears: Whether an empty value takes out what was there; else it says nothing.
        batches: The rows, the key first.
    """

    of: str
    types: dict[str, str]
    clears: bool
    batches: Iterator[pa.RecordBatch]


def file_name(commit: int, of: str) -> str:
    """The name of the file with the values of videos or clips that a commit sets."""
    return f"metadata-{commit:012d}-{of}s.parquet"


def commits(folder: Path) -> list[int]:
    """The commits of which a folder has values, in their order."""
    matches = (_NAME.fullmatch(path.name) for path in folder.glob("metadata-*.parquet"))
    return sorted({int(match[1]) for match in matches if match})


def kind_of(name: str) -> str:
    """What a file of this name has values of.

    Raises:
        ValueError: It is no such name.
    """
    match = _NAME.fullmatch(name)
    if not match:
        raise ValueError(f"{name!r} is no file of metadata")
    return match[2]


def schema(of: str, types: dict[str, str]) -> pa.Schema:
    """The columns of a file.

    Args:
        of: `video` or `clip`.
        types: Of each column, by its name.
    """
    fields = [pa.field(name, ARROW_TYPES[kind]) for name, kind in types.items()]
    return pa.schema([KEY_FIELDS[of], *fields])


def write(
    folder: Path,
    collection: str,
    rows: Iterable[pa.RecordBatch],
    *,
    of: str,
    types: dict[str, str],
    clears: bool,
) -> Path:
    """Write values to a file in staging.

    Args:
        folder: A run's folder in staging.
        collection: The collection's uuid.
        rows: With the columns of `schema`.
        of: `video` or `clip`.
        types: Of each column beside the key.
        clears: Whether empty values take out what is there.

    Raises:
        OSError: The disk is full or the folder cannot be written; nothing is left there.
    """
    path = folder / f"{uuid4()}.parquet"
    about = {
        "vidx.format_version": str(METADATA_FORMAT_VERSION),
        "vidx.collection": collection,
        "vidx.of": of,
        "vidx.clears": json.dumps(clears),
    }
    whole = schema(of, types).with_metadata(about)
    try:
        options = {"compression": "zstd", "write_page_checksum": True}
        with pq.ParquetWriter(path, whole, **options) as writer:
            for batch in rows:
                writer.write_batch(batch.replace_schema_metadata(whole.metadata))
        sync_file(path)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


@contextmanager
def reading(path: Path, collection: str) -> Iterator[Stored]:
    """Read a file, some ten thousand rows at a time.

    Args:
        path: The file.
        collection: The uuid of the collection that it must belong to.

    Raises:
        CollectionDamaged: The file is missing, broken or another collection's.
        CollectionTooNew: A later vidx wrote it.
        VidxError: It cannot be read for another reason, which may pass.
    """
    with opened(path, collection, _KIND) as file:
        yield _stored(file)


def check(path: Path, collection: str) -> None:
    """Read a file to its end, to see that it is whole.

    Raises:
        CollectionDamaged, CollectionTooNew, VidxError: As for `reading`.
    """
    with reading(path, collection) as stored:
        for _ in stored.batches:
            pass


def _stored(file: pq.ParquetFile) -> Stored:
    about = file.schema_arrow.metadata
    fields = list(file.schema_arrow)[1:]
    types = {field.name: _NAMES_OF_TYPES[field.type] for field in fields}
    clears = bool(json.loads(about[b"vidx.clears"]))
    return Stored(about[b"vidx.of"].decode(), types, clears, file.iter_batches(ROWS))
