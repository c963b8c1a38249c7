"""The journal: what a commit did beside its shards, one small Parquet file a commit.

With the shards it holds all that the catalogue does, so that a lost catalogue is made anew whole.
A file is written before the commit it tells of, and never changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vidx.durable import replacing
from vidx.errors import CollectionDamaged, CollectionTooNew, VidxError
from vidx.records import Problem, Source
from vidx.store.metadata import files as metadata_files
from vidx.store.snapshots import files as snapshot_files

JOURNAL_FORMAT_VERSION = 2  # 2 knows of snapshots

SCHEMA = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("path", pa.string()),
        pa.field("video_id", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("version", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("message", pa.string()),
        pa.field("attempts", pa.int64()),
        pa.field("last_attempt", pa.string()),
        pa.field("commit", pa.int64()),
    ]
)
_NAME = re.compile(r"commit-(\d{12,})\.parquet")


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that could not be embedded.

    Attributes:
        source: The file.
        video_id: SHA-256 (hex) of its bytes, or None when they could not be read.
        problem: Why.
        attempts: How many times it was tried, for a checkpoint; None: once more than is known.
        last_attempt: When last, likewise; None: with the commit.
    """

    source: Source
    video_id: str | None
    problem: Problem
    attempts: int | None = None
    last_attempt: str | None = None


@dataclass(slots=True)
class Change:
    """What a commit does beside its shards, in this order.

    Attributes:
        gone: Paths that no longer exist.
        places: Further files that hold a video: pairs of video_id and file.
        further: The like, of videos in the commit's own shards.
        failed: Files that could not be embedded.
        removed: Paths that somebody took out.
        restored: Commits of such removals that somebody took back.
        metadata: Files with values of metadata that somebody set, at most one of `video` and one
            of `clip`.
        forgotten: Names of the files of snapshots that somebody deleted.
        snapshots: Files of snapshots that somebody saved.
    """

    gone: list[str] = field(default_factory=list)
    places: list[tuple[str, Source]] = field(default_factory=list)
    further: list[tuple[str, Source]] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    restored: list[int] = field(default_factory=list)
    metadata: dict[str, Path] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    snapshots: list[Path] = field(default_factory=list)

    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not any(getattr(self, name) for name in self.__slots__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the journal.

    Attributes:
        collection: The collection's uuid.
        commit: The commit's number.
        time: When, ISO 8601, UTC.
        verb: Of the command.
        provenance: Who and with what.
        next_clip_id: The first clip_id that was free after the commit.
        shards: The commit's shards, by their own uuid.
        change: What it did beside these.
        checkpoint: Whether the change tells of all places and failures there are: what was done
            before it need not be known.
    """

    collection: str
    commit: int
    time: str
    verb: str
    provenance: dict[str, str]
    next_clip_id: int
    shards: tuple[str, ...]
    change: Change
    checkpoint: bool = False


def file_name(commit: int) -> str:
    """The name of a commit's file."""
    return f"commit-{commit:012d}.parquet"


def listed(folder: Path) -> list[tuple[int, Path]]:
    """The files in a folder with the number of each one's commit, in that order."""
    matches = ((_NAME.fullmatch(path.name), path) for path in folder.glob("commit-*.parquet"))
    return sorted((int(match[1]), path) for match, path in matches if match)


def write(folder: Path, entry: Entry, by_way_of: Path) -> Path:
    """Add an entry.

    Args:
        folder: Of the journal.
        entry: What to tell.
        by_way_of: A folder for the file in the making.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    path = folder / file_name(entry.commit)
    table = pa.Table.from_pylist(_rows(entry.change), schema=SCHEMA)
    with replacing(path, by_way_of=by_way_of) as file:
        pq.write_table(
            table.replace_schema_metadata(_to_metadata(entry)),
            file,
            compression="zstd",
            write_page_checksum=True,
        )
    return path


def read(path: Path) -> Entry:
    """Read an entry.

    Raises:
        CollectionDamaged: The file is broken, or one of metadata that it names.
        CollectionTooNew: A later vidx wrote it.
        VidxError: It cannot be read for another reason, which may pass.
    """
    try:
        table = pq.read_table(path, page_checksum_verification=True, partitioning=None)
        metadata = table.schema.metadata or {}
        _check_version(metadata, path)
        entry = _entry(metadata, _change(table.to_pylist(), path.parent))
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise VidxError(
                f"{path} cannot be read now: {error.strerror or error}", "Run the same again."
            ) from error
        raise CollectionDamaged(
            f"the journal's {path} cannot be read: {error}",
            "Put a sound copy in its place, or move it away: what it tells of is lost then.",
        ) from error
    for file in entry.change.metadata.values():
        metadata_files.check(file, entry.collection)
    for file in entry.change.snapshots:
        snapshot_files.check(file, entry.collection)
    return entry


def _rows(change: Change) -> list[dict[str, Any]]:
    """One row a path, a commit that was taken back, or a file of metadata or of a snapshot."""
    rows: list[dict[str, Any]] = [{"kind": "gone", "path": path} for path in change.gone]
    for kind, places in (("place", change.places), ("further", change.further)):
        rows += [{"kind": kind, "video_id": video, **_of_source(one)} for video, one in places]
    rows += [
        {
            "kind": "fail",
            "video_id": one.video_id,
            "reason": one.problem.reason,
            "message": one.problem.message,
            "attempts": one.attempts,
            "last_attempt": one.last_attempt,
            **_of_source(one.source),
        }
        for one in change.failed
    ]
    rows += [{"kind": "remove", "path": path} for path in change.removed]
    rows += [{"kind": "restore", "commit": commit} for commit in change.restored]
    rows += [{"kind": "metadata", "path": file.name} for file in change.metadata.values()]
    rows += [{"kind": "forget", "path": name} for name in change.forgotten]
    return rows + [{"kind": "snapshot", "path": file.name} for file in change.snapshots]


def _of_source(source: Source) -> dict[str, Any]:
    return {"path": source.path, "size_bytes": source.size_bytes, "version": source.version}


def _change(rows: Sequence[dict[str, Any]], folder: Path) -> Change:
    change = Change()
    for row in rows:
        source = Source(row["path"], row["size_bytes"], row["version"])
        match row["kind"]:
            case "gone":
                change.gone.append(row["path"])
            case "place":
                change.places.append((row["video_id"], source))
            case "further":
                change.further.append((row["video_id"], source))
            case "fail":
                problem = Problem(row["reason"], row["message"])
                tried = (row["attempts"], row["last_attempt"])
                change.failed.append(Failed(source, row["video_id"], problem, *tried))
            case "remove":
                change.removed.append(row["path"])
            case "restore":
                change.restored.append(row["commit"])
            case kind:
                _take_file(change, kind, folder / row["path"])
    return change


def _take_file(change: Change, kind: str, file: Path) -> None:
    """Take in a row that names a file beside the entry."""
    match kind:
        case "metadata":
            change.metadata[metadata_files.kind_of(file.name)] = file
        case "forget":
            change.forgotten.append(snapshot_files.checked_name(file.name))
        case "snapshot":
            change.snapshots.append(file.with_name(snapshot_files.checked_name(file.name)))
        case _:
            raise ValueError(f"it tells of {kind!r}, which this vidx does not know")


def _to_metadata(entry: Entry) -> dict[str, str]:
    return {
        "vidx.format_version": str(JOURNAL_FORMAT_VERSION),
        "vidx.collection": entry.collection,
        "vidx.commit": str(entry.commit),
        "vidx.time": entry.time,
        "vidx.verb": entry.verb,
        "vidx.provenance": json.dumps(entry.provenance, ensure_ascii=False),
        "vidx.next_clip_id": str(entry.next_clip_id),
        "vidx.shards": json.dumps(entry.shards),
        "vidx.checkpoint": json.dumps(entry.checkpoint),
    }


def _check_version(metadata: dict[bytes, bytes], path: Path) -> None:
    version = int(metadata[b"vidx.format_version"])
    if version > JOURNAL_FORMAT_VERSION:
        raise CollectionTooNew(
            f"{path} has journal format {version}, this vidx knows {JOURNAL_FORMAT_VERSION}",
            "Upgrade vidx: pip install --upgrade vidx",
        )


def _entry(metadata: dict[bytes, bytes], change: Change) -> Entry:
    return Entry(
        collection=metadata[b"vidx.collection"].decode(),
        commit=int(metadata[b"vidx.commit"]),
        time=metadata[b"vidx.time"].decode(),
        verb=metadata[b"vidx.verb"].decode(),
        provenance=json.loads(metadata[b"vidx.provenance"]),
        next_clip_id=int(metadata[b"vidx.next_clip_id"]),
        shards=tuple(json.loads(metadata[b"vidx.shards"])),
        change=change,
        checkpoint=json.loads(metadata[b"vidx.checkpoint"]),
    )
