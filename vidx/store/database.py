"""Where a collection's catalogue is kept: a file of SQLite in its folder, or PostgreSQL."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

from sqlalchemy import Engine

from vidx.store import postgresql, sqlite
from vidx.store.layout import Layout, Manifest


class Database(Protocol):
    """A place that has a catalogue, or can have one. As text it is what messages call it."""

    def exists(self) -> bool:
        """Whether there is a catalogue, sound or not."""

    def open_for_writing(self) -> Engine:
        """An engine that may create and change the catalogue."""

    def open_for_reading(self) -> Engine:
        """An engine that never changes the catalogue."""

    def close(self, engine: Engine) -> None:
        """Close an engine for writing."""

    def beside(self) -> AbstractContextManager[Self]:
        """A blank place for a catalogue in the making, which is gone afterwards."""

    def become(self, draft: Any) -> None:
        """Let a draft take the place of this catalogue, at one stroke for those who read it."""

    def delete(self) -> None:
        """Delete the catalogue."""

    def set_aside(self) -> str | None:
        """Give an unusable catalogue another name, and tell which."""


def database_of(layout: Layout, manifest: Manifest) -> Database:
    """Where the catalogue of a collection is.

    Args:
        layout: The collection's folder.
        manifest: What its `collection.json` says.
    """
    if manifest.catalogue is None:
        return sqlite.File(layout.catalogue)
    return postgresql.Schema.of(manifest.catalogue, manifest.uuid)


def address_for_new() -> str | None:
    """Where the environment wants the catalogue of a collection that is made; None: in its folder.

    Raises:
        UsageError: It is no address.
    """
    given = os.environ.get(postgresql.VARIABLE)
    return postgresql.address_of(given) if given else None
