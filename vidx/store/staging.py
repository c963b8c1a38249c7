"""Shards in the making: written by any process, without the writer's lock and without SQL.

    staging/
      <run>/lock             held by the process that writes here, while it lives
      <run>/<shard>.parquet  whole once it is handed over
      <run>/copy-<number>    an object from a URL, while it is embedded

What a run leaves that has died is deleted by the next writer; nothing else ever is.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from vidx.durable import sync_file
from vidx.errors import VidxError
from vidx.store import shards
from vidx.store.layout import Layout, Manifest
from vidx.store.lock import held
from vidx.store.shards import NewVideo, ShardInfo

_LOCK = "lock"
_RUN = re.compile(r"[0-9a-f]{32}")
_OURS = re.compile(r"[0-9a-f-]{36}\.parquet|lock|\..*\.tmp|copy-[0-9]+(\..*)?")


@dataclass(frozen=True, slots=True)
class Staged:
    """A shard that is whole and on disk, but not part of the collection yet.

    Attributes:
        path: Where it lies.
        info: What it says of itself.
        table: Its rows.
    """

    path: Path
    info: ShardInfo
    table: pa.Table


class Staging:
    """A run's own folder for shards in the making. Made by `staging`.

    Args:
        folder: The run's.
        manifest: The collection's.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    def write(self, videos: Sequence[NewVideo], provenance: dict[str, str]) -> Staged:
        """Write the clips of some videos as one shard.

        Args:
            videos: At least one, each with at least one clip.
            provenance: Model, revision, device, dtype, versions.

        Raises:
            OSError: The disk is full or the folder cannot be written; nothing is left there.
        """
        space = self.manifest.space
        info = ShardInfo(
            self.manifest.uuid,
            str(uuid.uuid4()),
            space.fingerprint,
            space.labels,
            provenance,
            now(),
        )
        return self.write_table(shards.to_table(videos, info), info)

    def write_table(self, table: pa.Table, info: ShardInfo) -> Staged:
        """Write rows as one shard, as `write` does."""
        path = self.folder / f"{info.shard}.parquet"
        table = table.replace_schema_metadata(shards.to_metadata(info))
        try:
            shards.write(table, path)
            sync_file(path)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return Staged(path, info, table)


@contextmanager
def staging(layout: Layout, manifest: Manifest) -> Iterator[Staging]:
    """A new run's folder, which goes when the run ends.

    Raises:
        VidxError: The folder cannot be written.
    """
    with ExitStack() as stack:
        try:
            folder = _own_folder(layout, stack)
        except OSError as error:
            raise unwritable(layout.staging, error) from error
        try:
            yield Staging(folder, manifest)
        finally:
            with suppress(OSError):  # the next writer deletes what is left
                _delete(folder)


def _own_folder(layout: Layout, stack: ExitStack) -> Path:
    """Make a folder, and hold its lock; another one where it was taken for a dead run's."""
    while True:
        folder = layout.staging / uuid.uuid4().hex
        folder.mkdir(parents=True)
        try:
            ours = stack.enter_context(held(folder / _LOCK))
        except (FileNotFoundError, FileExistsError):  # it went while its lock was made
            continue
        if ours and (folder / _LOCK).exists():
            return folder


def delete_dead(layout: Layout) -> None:
    """Delete what runs that are no more have left.

    Raises:
        VidxError: The folder cannot be written.
    """
    try:
        for folder in layout.staging.iterdir():
            if _RUN.fullmatch(folder.name) and folder.is_dir():
                # It may go at any moment with the run that it is of.
                with suppress(FileNotFoundError, FileExistsError), held(folder / _LOCK) as dead:
                    if dead:
                        _delete(folder)
    except OSError as error:
        raise unwritable(layout.staging, error) from error


def _delete(folder: Path) -> None:
    for file in folder.iterdir():
        if _OURS.fullmatch(file.name):
            file.unlink(missing_ok=True)
    with suppress(OSError):  # it holds what is not ours
        folder.rmdir()


def now() -> str:
    """The time, ISO 8601, UTC, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def unwritable(folder: Path, error: OSError) -> VidxError:
    """The error of a place that cannot be written."""
    return VidxError(
        f"{folder} cannot be written: {error.strerror or error}",
        "Free some space there, or choose a folder you may write to with --collection; then run "
        "the same command again: it goes on where it was.",
    )
