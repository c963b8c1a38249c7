"""Where a collection keeps its parts, and the small JSON that names it. Nothing heavy is imported.

.vidx/
  collection.json     format version, uuid, embedding space; written once
  catalogue.sqlite    the SQL catalogue
  shards/             clips-<first_clip_id>.parquet, immutable
  journal/            commit-<number>.parquet: what was done beside adding clips; values of metadata
  staging/            files being written; the only files vidx ever deletes by itself
  index/              vectors in clip_id order for search
  thresholds.json     similarities that were found to suit its videos; may be missing
  bucket.json         where this is a working copy of a collection in a bucket: which one
  objects.jsonl       and which object each shard is there
  writer.lock         held by the one process that writes; writer.json names it
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from vidx.cache import cache_folder
from vidx.durable import replacing
from vidx.errors import (
    CollectionDamaged,
    CollectionError,
    CollectionNotFound,
    CollectionTooNew,
    UsageError,
    VidxError,
)
from vidx.remote.urls import checked, is_url, scheme_of

if TYPE_CHECKING:
    from vidx.records import Space

FORMAT = "vidx collection"
FORMAT_VERSION = 2  # 1 where the catalogue is in the folder: earlier versions read that
FOLDER_NAME = ".vidx"


@dataclass(frozen=True)
class Layout:
    """The paths within one collection's folder, each put together once.

    Args:
        root: The collection's folder, absolute.
        address: Of the bucket that has the collection, if this is a working copy of it.
    """

    root: Path
    address: str | None = None

    @property
    def told(self) -> str:
        """The collection as its user calls it."""
        return self.address or str(self.root)

    @cached_property
    def bucket(self) -> Path:
        """The JSON that says of which bucket this is a working copy."""
        return self.root / "bucket.json"

    @cached_property
    def objects(self) -> Path:
        """The lines of JSON that say which objects of the bucket are the shards."""
        return self.root / "objects.jsonl"

    @cached_property
    def manifest(self) -> Path:
        """The JSON that says which collection this is."""
        return self.root / "collection.json"

    @cached_property
    def catalogue(self) -> Path:
        """The SQLite file."""
        return self.root / "catalogue.sqlite"

    @cached_property
    def shards(self) -> Path:
        """The folder of committed Parquet files."""
        return self.root / "shards"

    @cached_property
    def journal(self) -> Path:
        """The folder of what commits did beside their shards."""
        return self.root / "journal"

    @cached_property
    def staging(self) -> Path:
        """The folder of Parquet files not yet committed."""
        return self.root / "staging"

    @cached_property
    def index(self) -> Path:
        """The folder of the index."""
        return self.root / "index"

    @cached_property
    def lock(self) -> Path:
        """The file whose OS lock the writer holds."""
        return self.root / "writer.lock"

    def exists(self) -> bool:
        """Whether a collection lives here."""
        return os.path.isfile(self.manifest)  # is_file() raises where it may not look


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `collection.json` says.

    Attributes:
        uuid: This collection's identity; shards, catalogue and index carry it too.
        space: The one embedding space of its vectors.
        catalogue: The address of the database that has the catalogue, without a password; None:
            it is in the folder.
    """

    uuid: str
    space: Space
    catalogue: str | None = None


def find(path: str | os.PathLike[str] | None) -> Layout:
    """Say which folder is meant: the argument, else `VIDX_COLLECTION`, else as git finds `.git`.

    Args:
        path: A collection's folder, a folder that holds a `.vidx`, or `s3://bucket/name`; None
            looks in the environment, then for a `.vidx` here and in every folder above.

    Returns:
        The collection found; where there is none, the one that would be made. Of one in a bucket,
        its working copy.

    Raises:
        UsageError: It is an address where no collection can be.
    """
    if path is not None and not os.fspath(path):
        raise UsageError("the collection's folder has an empty name", "Name a folder.")
    named = os.fspath(path) if path is not None else os.environ.get("VIDX_COLLECTION")
    if named and is_url(named):
        return _working_copy(named)
    if named:
        folder = Path(os.path.abspath(os.path.expanduser(named)))
        inner = Layout(folder / FOLDER_NAME)
        is_inner = inner.exists() and not Layout(folder).exists()
        return inner if is_inner else Layout(folder, _address_in(folder))
    here = Path.cwd()
    for folder in (here, *here.parents):
        if Layout(folder / FOLDER_NAME).exists():
            return Layout(folder / FOLDER_NAME)
    return Layout(here / FOLDER_NAME)


def _working_copy(url: str) -> Layout:
    """Where this user keeps what is in a bucket; one folder an address and server."""
    address = checked(url).rstrip("/")
    if scheme_of(address) != "s3" or "/" not in address.partition("://")[2]:
        raise UsageError(
            f"{address!r} cannot be a collection: one is in a folder, or at s3://bucket/name",
            "Name a folder, or a name within a bucket.",
        )
    import hashlib

    server = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    digest = hashlib.sha256(f"{server} {address}".encode()).hexdigest()[:16]
    name = f"{address.rpartition('/')[2]}-{digest}"
    return Layout(Path(os.path.abspath(cache_folder() / "collections" / name)), address)


def _address_in(folder: Path) -> str | None:
    """Of which bucket a folder is a working copy; who opens it there means the same collection."""
    try:
        address: str = json.loads(Layout(folder).bucket.read_text(encoding="utf-8"))["address"]
    except OSError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise CollectionDamaged(
            f"{folder} is a working copy of a bucket, and does not say of which: {error}",
            "Delete that folder, and name the collection by its address: it is fetched anew.",
        ) from error
    return address


def refuse_in_bucket(layout: Layout, verb: str) -> None:
    """Refuse what cannot be done to a collection in a bucket.

    Raises:
        VidxError: This is one.
    """
    if layout.address is not None:
        raise VidxError(
            f"{verb} is for collections in folders, and {layout.address} is in a bucket",
            "docs/object_storage.md says what cannot be done there.",
        )


def require(layout: Layout) -> None:
    """Refuse to go on where no collection lives.

    Raises:
        CollectionNotFound: There is no `collection.json` in the folder.
    """
    if not layout.exists():
        raise CollectionNotFound(
            f"no collection in {layout.told}",
            "Make one with `vidx embed FOLDER`, or name one with --collection or VIDX_COLLECTION.",
        )


def write_manifest(layout: Layout, manifest: Manifest, by_way_of: Path) -> None:
    """Write `collection.json`, in one step that a crash cannot halve.

    Args:
        layout: The collection's folder.
        manifest: What to write.
        by_way_of: A run's own folder in staging, for the file in the making.

    Raises:
        OSError: The folder cannot be written.
    """
    with replacing(layout.manifest, by_way_of=by_way_of) as file:
        file.write(manifest_bytes(manifest))


def manifest_bytes(manifest: Manifest) -> bytes:
    """What `collection.json` holds."""
    values = {
        "format": FORMAT,
        "format_version": 1 if manifest.catalogue is None else FORMAT_VERSION,
        "uuid": manifest.uuid,
        **({} if manifest.catalogue is None else {"catalogue": manifest.catalogue}),
        "space": dataclasses.asdict(manifest.space),
    }
    return json.dumps(values, indent=1, ensure_ascii=False).encode()


def read_manifest(layout: Layout) -> Manifest:
    """Read `collection.json`.

    Raises:
        CollectionNotFound: There is none.
        CollectionTooNew: A later vidx wrote it.
        CollectionDamaged: It does not say what it should.
    """
    require(layout)
    try:
        values = json.loads(layout.manifest.read_text(encoding="utf-8"))
    except OSError as error:
        raise CollectionError(
            f"{layout.manifest} cannot be read: {error.strerror}", "Mend the file's permissions."
        ) from error
    except ValueError as error:
        raise _undescribed(layout, error) from error
    from vidx import records

    try:
        version = values["format_version"]
        if version > FORMAT_VERSION:
            raise CollectionTooNew(
                f"{layout.root} has format version {version}, this vidx knows {FORMAT_VERSION}",
                "Upgrade vidx: pip install --upgrade vidx",
            )
        if values.get("format") != FORMAT:
            raise CollectionError(
                f"{layout.root} was made by a vidx before 0.1.0, whose format is no more",
                "Embed the videos anew into another folder: vidx embed FOLDER --collection NEW",
            )
        space = {**values["space"], "labels": tuple(values["space"]["labels"])}
        return Manifest(values["uuid"], records.Space(**space), values.get("catalogue"))
    except (KeyError, TypeError) as error:
        raise _undescribed(layout, error) from error


def _undescribed(layout: Layout, error: Exception) -> CollectionDamaged:
    return CollectionDamaged(
        f"{layout.manifest} is not a collection's description: {error}",
        "Put back a copy of it; without it the vectors cannot be told apart from others.",
    )
