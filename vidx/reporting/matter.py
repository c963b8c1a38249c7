"""What all chapters are about: the clips, their videos, and how their names are shown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from vidx.curating.part import Part, Progress
from vidx.errors import UsageError
from vidx.remote.urls import is_url
from vidx.reporting.document import Shot
from vidx.store.export import failures_table, videos_table
from vidx.store.told import spans
from vidx.words import printable, span

if TYPE_CHECKING:
    import pyarrow as pa

SPLIT = "split"  # the column that is looked for where none is named
MOST_CHARACTERS = 90  # of a path

Rows: TypeAlias = list[dict[str, Any]]


@dataclass(frozen=True)
class Matter:
    """The clips of a report, in one state of the collection.

    Attributes:
        part: The clips; there may be none.
        column: Of metadata, with the split of each video or clip. None: `split`, if there is one.
        heard: Called as neighbours are found.
    """

    part: Part
    column: str | None
    heard: Progress

    @cached_property
    def split(self) -> str | None:
        """The column that says which split a clip is in, if there is one.

        Raises:
            UsageError: One was named, and is not there.
        """
        known = [one.name for one in self.part.catalogue.metadata_columns()]
        if self.column is not None and self.column not in known:
            there = ", ".join(map(repr, known)) or "none at all"
            raise UsageError(
                f"there is no column of metadata {self.column!r}; there is {there}",
                "Name the one that says which split a video is in, or leave it out.",
            )
        wanted = self.column or SPLIT
        return wanted if wanted in known else None

    @cached_property
    def videos(self) -> pa.Table:
        """The videos that have one of the clips or more, by path."""
        return videos_table(self.part.catalogue, numbers=self.part.videos)

    @cached_property
    def locations(self) -> list[str]:
        """The paths of all of these."""
        return [path for some in self.videos.column("locations").to_pylist() for path in some]

    @cached_property
    def failures(self) -> Rows:
        """The files of the whole collection that could not be embedded, by path."""
        rows: Rows = failures_table(self.part.catalogue).to_pylist()
        return rows

    @cached_property
    def folder(self) -> str:
        """The deepest folder that all local files are in; empty where there is none."""
        paths = [*self.locations, *(row["path"] for row in self.failures)]
        folders = {os.path.dirname(path) for path in paths if not is_url(path)}
        return os.path.commonpath(folders) if folders else ""

    def shown(self, path: str) -> str:
        """A path as people read it: below the common folder, its end if it is long."""
        return shown_end(path.removeprefix(self.folder + "/") if self.folder else path)

    def shot(self, row: Mapping[str, Any], *more: str, before: str = "") -> Shot:
        """A clip of a table, with its path and time.

        Args:
            row: With the columns that all tables of clips have.
            more: Further lines.
            before: What the names of its columns begin with, such as `other_`.
        """
        times = span(row[f"{before}start_seconds"], row[f"{before}end_seconds"])
        return Shot(row[f"{before}clip_id"], (self.shown(row[f"{before}path"]), times, *more))


def shown_end(path: str) -> str:
    """A path for people, or the end of a long one.

    >>> shown_end("a/b.mp4"), len(shown_end("a/" * 99))
    ('a/b.mp4', 90)
    """
    text = printable(path)
    return text if len(text) <= MOST_CHARACTERS else "…" + text[1 - MOST_CHARACTERS :]


def clips_at(part: Part, moments: Iterable[tuple[str, float]]) -> list[int | None]:
    """The clips that show some moments best.

    Args:
        part: Among which clips.
        moments: Each a video_id, and a time in that video.

    Returns:
        Of each the clip whose middle is nearest to that time; None where the video has none.
    """
    found: list[int | None] = []
    for video_id, seconds in moments:
        number = part.catalogue.number_of(video_id)
        own = part.clip_ids[part.videos == number] if number is not None else part.clip_ids[:0]
        told = spans(part.catalogue, own)
        if not len(told):
            found.append(None)
            continue
        middles = (told["start"] + told["end"]) / 2
        found.append(int(told["clip_id"][np.argmin(np.abs(middles - seconds))]))
    return found
