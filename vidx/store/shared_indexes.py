"""Indexes in a bucket: what one machine has made, for the others to fetch.

index/<number>.json                      what one is, and its files; the highest number counts
index/<name>-<random>.<faiss or npy>     its files, each under a name that no one else uses

A record is only ever written where there is none, after its files. So two who share an index at
once have two numbers, and neither overwrites the other's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from vidx.durable import replacing
from vidx.errors import CollectionDamaged, CollectionTooNew, VidxError
from vidx.remote.buckets import Bucket
from vidx.stages import logger
from vidx.store.layout import Layout
from vidx.store.published import PublishedFile, send

RECORD_FORMAT_VERSION = 1
KEPT = 2  # the newest, and the one before it, which somebody may be fetching
FOLDER = "index/"
_RECORD = re.compile(r"index/(\d{12,})\.json")
_NAME = re.compile(r"index/[a-z]+-\d+-[0-9a-f]{32}\.(?:faiss|npy)")
_LOST = "is missing, or has another size than was sent"
_NEXT_STEP = "`vidx index` makes another, for all machines."


@dataclass(frozen=True, slots=True)
class SharedIndex:
    """One index in a bucket.

    Attributes:
        number: Its number.
        collection: The collection's uuid.
        made: What it is, as `vidx.index.shared` says.
        files: Its files, with their places where it was made.
    """

    number: int
    collection: str
    made: dict[str, Any]
    files: tuple[PublishedFile, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """What a machine remembers of the bucket's indexes.

    Attributes:
        number: Of the one that it looked at last, or has made; 0: none.
        asked: What the index here was made as, if it was fetched from there; else None.
    """

    number: int = 0
    asked: dict[str, Any] | None = None


def has_newer(layout: Layout) -> bool:
    """Whether the bucket has an index that this machine has not looked at."""
    assert layout.address is not None  # noqa: S101 - it is a working copy
    try:
        newest = SharedIndexes(layout.address).newest()
    except VidxError as error:
        logger.warning("whether there is an index to fetch is not known: %s", error)
        return False
    notes = map(read_note, layout.index.glob("shared-*.json"))
    return newest not in (0, *(note.number for note in notes))


def read_note(path: Path) -> Note:
    """What a file remembers; nothing where it cannot be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Note(int(values["number"]), values["asked"])
    except (OSError, ValueError, KeyError, TypeError):
        return Note()


def write_note(path: Path, note: Note) -> None:
    """Remember.

    Raises:
        OSError: The file cannot be written.
    """
    with replacing(path) as file:
        file.write(json.dumps(asdict(note), indent=1).encode())


class SharedIndexes:
    """What a bucket holds of a collection's indexes.

    Args:
        address: `s3://bucket/name`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.bucket = Bucket(address)

    def newest(self) -> int:
        """The number of the newest one; 0: there is none.

        Raises:
            VidxError: The bucket cannot be listed.
        """
        return max(_numbers(self.bucket.listed(FOLDER)), default=0)

    def read(self, number: int, collection: str) -> SharedIndex | None:
        """What is told of one; None where it is gone.

        Args:
            number: Its number.
            collection: The uuid of the collection that it must belong to.

        Raises:
            CollectionDamaged: It is not told as it should be, or of another collection.
            CollectionTooNew: A later vidx wrote it.
            VidxError: The bucket cannot be read.
        """
        name = _record_name(number)
        content = self.bucket.read(name)
        if content is None:
            return None
        try:
            found = _shared_index(json.loads(content), f"{self.address}/{name}")
            if (found.number, found.collection) != (number, collection):
                raise ValueError("it is of another number, or of another collection")
        except (ValueError, KeyError, TypeError) as error:
            raise CollectionDamaged(
                f"{self.address}/{name} does not describe an index: {error}", _NEXT_STEP
            ) from error
        return found

    def publish(self, collection: str, made: Mapping[str, Any], files: Sequence[Path]) -> int:
        """Send an index, and let others know of it.

        Args:
            collection: The collection's uuid.
            made: What it is.
            files: Its files, in the folder of the index.

        Returns:
            Its number, the next one that nobody has taken.

        Raises:
            VidxError: The server does not take it.
            OSError: A file cannot be read.
        """
        sent = tuple(send(self.bucket, f"{FOLDER}{file.name}", file) for file in files)
        for number in count(self.newest() + 1):
            record = {
                "format": "vidx index",
                "format_version": RECORD_FORMAT_VERSION,
                **asdict(SharedIndex(number, collection, dict(made), sent)),
            }
            content = json.dumps(record, indent=1).encode()
            if self.bucket.put_new(_record_name(number), content):
                return number
        raise AssertionError  # there is always another number

    def check_there(self, index: SharedIndex) -> None:
        """See to it that the bucket has all files of an index, as large as they were sent.

        Raises:
            CollectionDamaged: It has not.
            VidxError: The bucket cannot be listed.
        """
        if lost := _lost(index, self.bucket.listed(FOLDER)):
            raise CollectionDamaged(f"{self.address}/{lost[0]} {_LOST}", _NEXT_STEP)

    def delete_old(self, collection: str) -> None:
        """Delete what is older than the newest and the one before it.

        The record goes last: where this ends in the middle, the next who shares an index goes on.

        Raises:
            VidxError: The server does not do it, or a record cannot be read.
        """
        for number in _numbers(self.bucket.listed(FOLDER))[:-KEPT]:
            old = self.read(number, collection)
            for file in old.files if old else ():
                self.bucket.delete(file.name)
            self.bucket.delete(_record_name(number))

    def disagreements(self, collection: str, objects: Mapping[str, int]) -> list[str]:
        """Compare the indexes with the bucket's objects.

        Args:
            collection: The collection's uuid.
            objects: All of them, and their sizes.

        Returns:
            One sentence for each thing that is wrong.
        """
        findings: list[str] = []
        known: set[str] = set()
        for number in _numbers(objects):
            try:
                found = self.read(number, collection)
            except (CollectionDamaged, CollectionTooNew) as error:
                findings.append(f"bucket: {error.problem}")
                continue
            if found:
                known.update(file.name for file in found.files)
                findings += [f"bucket: {name} {_LOST}" for name in _lost(found, objects)]
        return findings + [
            f"bucket: {name} belongs to no index: a run that ended left it, or one is sending it"
            for name in objects
            if is_of_indexes(name) and name not in known and not _RECORD.fullmatch(name)
        ]


def is_of_indexes(name: str) -> bool:
    """Whether an object is of indexes, and so of no commit."""
    return name.startswith(FOLDER)


def _shared_index(values: dict[str, Any], told: str) -> SharedIndex:
    if values["format_version"] > RECORD_FORMAT_VERSION:
        raise CollectionTooNew(
            f"{told} has format version {values['format_version']}, this vidx knows "
            f"{RECORD_FORMAT_VERSION}",
            "Upgrade vidx: pip install --upgrade vidx",
        )
    files = tuple(PublishedFile(**one) for one in values["files"])
    if not all(_NAME.fullmatch(file.name) for file in files):
        raise ValueError("it names what no index has")
    return SharedIndex(values["number"], values["collection"], dict(values["made"]), files)


def _lost(index: SharedIndex, objects: Mapping[str, int]) -> list[str]:
    """Those of its files that are not among some objects as they were sent."""
    return [file.name for file in index.files if objects.get(file.name) != file.size_bytes]


def _numbers(names: Iterable[str]) -> list[int]:
    return sorted(int(match[1]) for match in map(_RECORD.fullmatch, names) if match)


def _record_name(number: int) -> str:
    return f"{FOLDER}{number:012d}.json"
