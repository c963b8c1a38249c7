"""A collection in a bucket: what is there, and how a commit gets there.

collection.json              as in a folder; written once
shards/, journal/            the files of commits, each under a name that no one else uses
commits/<number>.json        the files of one commit; writing it is the commit

An object of `commits/` is only ever written where there is none. So of two writers who make the
same commit one is refused, and what it had sent belongs to no commit and harms nobody.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

from vidx.durable import replacing
from vidx.errors import CollectionDamaged, CollectionLocked, CollectionTooNew, VidxError
from vidx.remote.buckets import Bucket

RECORD_FORMAT_VERSION = 1
MANIFEST = "collection.json"
COMMITS = "commits/"
AT_ONCE = 8  # requests
_PLACE = re.compile(r"(?:shards|journal)/[a-z0-9-]+\.parquet")
_NAME = re.compile(r"(?:shards|journal)/[a-z0-9-]+-[0-9a-f]{32}\.parquet")
_RECORD = re.compile(r"commits/(\d{12,})\.json")


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file of a commit.

    Attributes:
        place: Where it lies in a folder: `shards/...` or `journal/...`.
        name: Of its object.
        size_bytes: Its size.
        sha256: Of its bytes, in hex.
    """

    place: str
    name: str
    size_bytes: int
    sha256: str

    @property
    def is_shard(self) -> bool:
        """Whether it is one of clips."""
        return self.place.startswith("shards/")


@dataclass(frozen=True, slots=True)
class Record:
    """One object of `commits/`.

    Attributes:
        collection: The collection's uuid.
        commit: The commit's number.
        files: What it added.
    """

    collection: str
    commit: int
    files: tuple[PublishedFile, ...]


class Published:
    """What a bucket holds of a collection.

    Args:
        address: `s3://bucket/name`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.bucket = Bucket(address)

    def manifest(self) -> bytes | None:
        """What its `collection.json` holds; None where there is none."""
        return self.bucket.read(MANIFEST)

    def make(self, manifest: bytes) -> None:
        """Write `collection.json`, where the server keeps two writers apart.

        Raises:
            CollectionLocked: Another made a collection there meanwhile.
            VidxError: The server does not, or takes nothing.
        """
        self._check_writes()
        if not self.bucket.put_new(MANIFEST, manifest):
            raise CollectionLocked(
                f"a collection was just made at {self.address} by another process",
                "Run the same command again: it goes on with that one.",
            )

    def publish(
        self, collection: str, commit: int, files: Sequence[tuple[str, Path]]
    ) -> tuple[PublishedFile, ...]:
        """Send the files of a commit, and make it.

        Args:
            collection: The collection's uuid.
            commit: Its number, the next one.
            files: Pairs of a place and the file that lies there.

        Returns:
            What was sent.

        Raises:
            CollectionLocked: Another writer has made the commit of this number.
            VidxError: The server does not take it.
        """
        sent = tuple(send(self.bucket, place, file) for place, file in files)
        record = {
            "format": "vidx commit",
            "format_version": RECORD_FORMAT_VERSION,
            **asdict(Record(collection, commit, sent)),
        }
        if not self.bucket.put_new(_record_name(commit), json.dumps(record, indent=1).encode()):
            raise CollectionLocked(
                f"another writer has made commit {commit} at {self.address} meanwhile",
                "Nothing of yours was added by this one. Run the same command again: it goes on "
                "after the other's.",
            )
        return sent

    def numbers(self, after: int) -> list[int]:
        """The commits after one, which must be there itself unless it is 0.

        Raises:
            CollectionDamaged: One is missing.
        """
        before = _record_name(after - 1) if after > 1 else ""
        names = self.bucket.listed(COMMITS, before)
        found = sorted(int(match[1]) for match in map(_RECORD.fullmatch, names) if match)
        expected = range(max(after, 1), max(found, default=after) + 1)
        if missing := sorted(set(expected) - set(found)):
            raise CollectionDamaged(
                f"{self.address} has lost {_record_name(missing[0])}",
                "Put that object back. If an older state of the bucket is meant, delete this "
                "machine's working copy, which docs/object_storage.md says where to find.",
            )
        return [number for number in found if number > after]

    def records(self, after: int, collection: str) -> list[Record]:
        """What the commits after one added, in their order.

        Args:
            after: A commit's number; 0: all.
            collection: The uuid of the collection that they must belong to.

        Raises:
            CollectionDamaged: One is missing, or does not say what it should.
            CollectionTooNew: A later vidx wrote it.
        """
        with ThreadPoolExecutor(AT_ONCE) as threads:
            found = list(threads.map(self._record, self.numbers(after)))
        for record in found:
            if record.collection != collection:
                raise CollectionDamaged(
                    f"commit {record.commit} at {self.address} belongs to another collection",
                    "Two collections were put into one place: take the objects of one away.",
                )
        return found

    def orphans(self, records: Iterable[Record], objects: Iterable[str]) -> list[str]:
        """Those of some objects that belong to no commit."""
        known = {MANIFEST, *(file.name for record in records for file in record.files)}
        return [name for name in objects if name not in known and not _RECORD.fullmatch(name)]

    def _record(self, commit: int) -> Record:
        name = _record_name(commit)
        try:
            values = json.loads(self.bucket.read(name) or b"")
            if values["format_version"] > RECORD_FORMAT_VERSION:
                raise CollectionTooNew(
                    f"{self.address}/{name} has format version {values['format_version']}, "
                    f"this vidx knows {RECORD_FORMAT_VERSION}",
                    "Upgrade vidx: pip install --upgrade vidx",
                )
            files = tuple(PublishedFile(**one) for one in values["files"])
            record = Record(values["collection"], values["commit"], files)
            if record.commit != commit or not all(map(_is_named_right, files)):
                raise ValueError("it names what no commit of that number has")
        except (ValueError, KeyError, TypeError) as error:
            raise CollectionDamaged(
                f"{self.address}/{name} does not describe a commit: {error}",
                "Put a sound copy in its place.",
            ) from error
        return record

    def _check_writes(self) -> None:
        """See to it that of two writes of one name the second is refused."""
        name = f"probe-{uuid4().hex}"
        try:
            kept_apart = self.bucket.put_new(name, b"first") and not self.bucket.put_new(
                name, b"second"
            )
        finally:
            self.bucket.delete(name)
        if not kept_apart:
            raise VidxError(
                f"the server of {self.address} lets one writer overwrite another: it does not "
                "know If-None-Match",
                "Use a server that does, as Amazon S3, MinIO and Ceph do, or a folder.",
            )


def send(bucket: Bucket, place: str, file: Path) -> PublishedFile:
    """Copy a file into an object whose name nobody else uses.

    Args:
        bucket: Where to.
        place: A folder and a name, on which the object's are built.
        file: What to send.

    Raises:
        VidxError: The server does not take it.
        OSError: The file cannot be read.
    """
    name = f"{place.removesuffix(file.suffix)}-{uuid4().hex}{file.suffix}"
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    bucket.send(name, file)
    return PublishedFile(place, name, file.stat().st_size, digest)


def fetch(bucket: Bucket, wanted: Iterable[tuple[PublishedFile, Path]]) -> None:
    """Fetch files that are not here as they were sent, each whole or not at all.

    Args:
        bucket: Where from.
        wanted: Each file, and the path it is to have.

    Raises:
        CollectionDamaged: An object is not what was sent.
        VidxError: The server does not give it.
        OSError: A file cannot be written.
    """
    at_once(partial(_fetch, bucket, file, path) for file, path in wanted)


def at_once(tasks: Iterable[Callable[[], object]]) -> None:
    """Do several things at a time; where one raises, those that are not begun are not done."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        waiting = [threads.submit(task) for task in tasks]
        try:
            for one in waiting:
                one.result()
        finally:
            threads.shutdown(cancel_futures=True)


def is_here(file: PublishedFile, path: Path) -> bool:
    """Whether what lies at a path is a file as it was sent."""
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
    except FileNotFoundError:
        return False


def _fetch(bucket: Bucket, file: PublishedFile, path: Path) -> None:
    if is_here(file, path):
        return
    with replacing(path) as copy:
        if bucket.fetch(file.name, file.size_bytes, copy) != file.sha256:
            raise CollectionDamaged(
                f"{bucket.address}/{file.name} is not what was committed",
                "Put a sound copy of that object in its place.",
            )


def _record_name(commit: int) -> str:
    return f"{COMMITS}{commit:012d}.json"


def _is_named_right(file: PublishedFile) -> bool:
    """Whether a file's names lead nowhere else."""
    return bool(_PLACE.fullmatch(file.place) and _NAME.fullmatch(file.name))
