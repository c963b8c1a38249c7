"""What can be asked of in an expression: columns, with their types, and labels."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, TableClause, case

from vidx.records import FACTS
from vidx.store import snapshots
from vidx.store.catalogue import Catalogue
from vidx.store.concepts import concept_names
from vidx.store.metadata import columns as metadata_columns
from vidx.store.metadata import sql_columns
from vidx.store.sql import Words, words
from vidx.store.tables import clips, locations, takes, videos

Type = Literal["text", "integer", "real", "boolean", "timestamp"]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column of videos or clips.

    Attributes:
        sql: Its values.
        type: `text`, `integer`, `real`, `boolean` or `timestamp`, the last in microseconds.
        of: `video` or `clip`.
        metadata: The table it is in where users gave it, else None.
    """

    sql: ColumnElement[Any]
    type: str
    of: str
    metadata: TableClause | None = None


# A comparison of paths is true when it is of one of a video's paths.
PATH = Column(locations.c.path, "text", "video")

BUILT_IN: dict[str, Column] = {
    "path": PATH,
    "video_id": Column(videos.c.video_id, "text", "video"),
    "duration_seconds": Column(videos.c.duration_seconds, "real", "video"),
    "width": Column(videos.c.width, "integer", "video"),
    "height": Column(videos.c.height, "integer", "video"),
    "frame_rate": Column(videos.c.frame_rate, "real", "video"),
    "codec": Column(videos.c.codec, "text", "video"),
    "container": Column(videos.c.container, "text", "video"),
    "size_bytes": Column(videos.c.size_bytes, "integer", "video"),
    "rotation_degrees": Column(videos.c.rotation_degrees, "integer", "video"),
    "is_mirrored": Column(videos.c.is_mirrored, "boolean", "video"),
    "first_timestamp_seconds": Column(videos.c.first_timestamp_seconds, "real", "video"),
    "plan": Column(takes.c.plan, "text", "video"),
    "status": Column(
        case((takes.c.problem_reason.is_(None), "whole"), else_="partial"), "text", "video"
    ),
    "problem_reason": Column(takes.c.problem_reason, "text", "video"),
    "clip_id": Column(clips.c.clip_id, "integer", "clip"),
    "start_seconds": Column(clips.c.start_seconds, "real", "clip"),
    "end_seconds": Column(clips.c.end_seconds, "real", "clip"),
    **{name: Column(clips.c[name], "real", "clip") for name in FACTS},
    "repeats": Column(clips.c.repeats, "boolean", "clip"),
}


@dataclass(frozen=True, slots=True)
class Names:
    """What a collection can be asked of.

    Attributes:
        columns: By name, those that users gave included.
        labels: By name, with the numbers under which sources know it.
        snapshots: Names.
        concepts: Names.
        words: How the catalogue's database says some things.
    """

    columns: dict[str, Column]
    labels: dict[str, list[int]]
    snapshots: tuple[str, ...]
    concepts: tuple[str, ...]
    words: Words

    def column(self, name: str, *, quoted: bool) -> Column | None:
        """The column of this name; where it stands without quotes, upper and lower case are one."""
        if quoted or name in self.columns:
            return self.columns.get(name)
        same = [column for known, column in self.columns.items() if known.lower() == name.lower()]
        return same[0] if len(same) == 1 else None


def names_of(catalogue: Catalogue) -> Names:
    """What the collection can be asked of now."""
    with catalogue.now() as still, still.reading() as connection:
        given = {
            name: Column(column.column, column.type, column.of, column.table)
            for name, column in sql_columns(connection).items()
        }
        saved = tuple(str(row.name) for row in snapshots.listed(still))
        concepts = tuple(concept_names(metadata_columns(connection)))
        columns = {**given, **BUILT_IN}
        return Names(columns, still.labels(), saved, concepts, words(connection))


def nearest(name: str, known: Iterable[str]) -> str:
    """A question whether one of the names that are near was meant; empty where none is."""
    close = difflib.get_close_matches(name[:100], known, n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(map(repr, close))}?" if close else ""
