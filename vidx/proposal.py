"""A proposal: what to keep and what to drop, to be looked at, changed, saved and applied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vidx.errors import UsageError

if TYPE_CHECKING:
    import os

    import pyarrow as pa

    from vidx.collection import Collection
    from vidx.records import ApplyReport


class Proposal:
    """What to keep and what to drop of a collection; nothing is done until `apply`.

    Made by `Collection.propose` and by `Proposal.load`.

    Attributes:
        collection: Of whose files it is.
        table: A row a file, `docs/curation/proposals.md` tells its columns.
        told: `id`, `collection` (its uuid), `commit` (of the state it was made of) and `keep`.
    """

    def __init__(self, collection: Collection, table: pa.Table, told: dict[str, Any]) -> None:
        self.collection = collection
        self.table = table
        self.told = told

    @classmethod
    def made(cls, collection: Collection, table: pa.Table, *, keep: str, commit: int) -> Self:
        """A new one, of the collection's state at a commit."""
        from uuid import uuid4

        uuid = collection._manifest().uuid
        return cls(
            collection,
            table,
            {"id": uuid4().hex, "collection": uuid, "commit": commit, "keep": keep},
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], collection: Collection) -> Self:
        """Read one that was saved.

        Args:
            path: The file.
            collection: The one that it was made of.

        Raises:
            UsageError: The file is not there or no proposal, or is another collection's.
        """
        from vidx.store import proposals

        table, told = proposals.read(Path(path))
        if table.schema != proposals.SCHEMA or "id" not in told:
            raise UsageError(f"{str(path)!r} is no proposal", "`vidx propose` makes one.")
        if told["collection"] != collection._manifest().uuid:
            raise UsageError(
                f"{str(path)!r} was made of another collection than {collection.path}",
                "Open the one that it was made of.",
            )
        return cls(collection, table, told)

    def __repr__(self) -> str:
        drops = self.table["action"].to_pylist().count("drop")
        kept = self.table.num_rows - drops
        return f"Proposal({self.collection!r}: keep {kept}, drop {drops}, {self.told['keep']})"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a Parquet file, in one step; one that is there is replaced.

        Raises:
            VidxError: The file cannot be written.
        """
        from vidx.store import proposals

        proposals.write(Path(path), self.table, self.told)

    def apply(self, files: str | None = None) -> ApplyReport:
        """Do it: drop files from the collection, and do something to them only where asked.

        A file that is gone from its disk, or has changed there, is passed over and told; with the
        file to be kept all of its group is. What was cut short goes on where it is called again;
        `Collection.undo` takes it back.

        Args:
            files: None: files stay as they are. `move:FOLDER`: dropped ones go to a folder, empty
                or not there yet. `link`: each becomes a symbolic link to the one that is kept.
                `delete`. The last two are for good.

        Raises:
            UsageError: `files` is something else, the folder is not empty, or it is applied.
            VidxError: The collection has changed: what it says is no longer so. Nothing was done.
                Or a file could not be moved, linked or deleted.
            CollectionLocked: Another process is writing.
        """
        return self.collection._apply(self, files)
