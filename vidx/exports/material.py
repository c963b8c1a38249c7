"""The clips to export: what is told of each, where its video lies, and its pictures as a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vidx.embedder.decoding.container import FileState
from vidx.embedder.decoding.places import unchanged
from vidx.embedder.trimming.trimmer import Trimmer
from vidx.errors import VideoError
from vidx.records import Clip, Problem, SkippedFile, Source
from vidx.store.catalogue import Catalogue
from vidx.store.export import clip_tables, videos_table
from vidx.store.places import places_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Whole:
    """A video of which clips are exported.

    Attributes:
        path: Where it lies, unchanged since it was embedded.
        state: What the file is like.
        rows: Its clips, by clip_id: what `clips()` tells of them.
    """

    path: str
    state: FileState
    rows: list[Row]


class Material:
    """Gives the clips, video by video, and counts those that could not be had.

    Args:
        catalogue: The collection's, of one state.
        ids: Of living clips, int64 (n,), ascending.

    Attributes:
        num_clips: How many were given.
        num_copied: How many of them with their stream copied.
        skipped: Files of which clips could not be had.
    """

    def __init__(self, catalogue: Catalogue, ids: NDArray[np.int64]) -> None:
        self.num_clips = 0
        self.num_copied = 0
        self.skipped: list[SkippedFile] = []
        self._catalogue = catalogue
        self._ids = ids
        self._trimmer = Trimmer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._trimmer.close()

    def videos(self) -> Iterator[Whole]:
        """Yield the videos that are where they were, with the rows of their clips."""
        for rows, places in self._groups():
            try:
                path, state = unchanged(places)
            except VideoError as error:
                self._skip(rows[0]["path"], error, len(rows))
                continue
            yield Whole(path, state, rows)

    def given(self, whole: Whole) -> None:
        """Count the clips of a video that needs no cutting."""
        self.num_clips += len(whole.rows)

    def files(self) -> Iterator[tuple[Row, bytes]]:
        """Yield each clip that can be had: what is told of it, and an MP4 file of its pictures."""
        turned = self._turned()
        for whole in self.videos():
            rows = {row["clip_id"]: row for row in whole.rows}
            spans = {
                clip_id: Clip(row["start_seconds"], row["end_seconds"])
                for clip_id, row in rows.items()
            }
            is_upright = whole.rows[0]["video_id"] not in turned
            trouble = VideoError("decode_error", "the clip is not there any more")
            try:
                for clip in self._trimmer.trim(
                    whole.path, whole.state, spans, is_upright=is_upright
                ):
                    self.num_clips += 1
                    self.num_copied += clip.is_copy
                    yield rows.pop(clip.number), clip.data
            except VideoError as error:
                trouble = error
            if rows:
                self._skip(whole.path, trouble, len(rows))

    def _groups(self) -> Iterator[tuple[list[Row], list[Source]]]:
        """Neighbouring clips of one video, with the places of that."""
        for table in clip_tables(self._catalogue, self._ids):
            rows = [told(row) for row in table.to_pylist()]
            places = places_of(self._catalogue, {row["video_id"] for row in rows})
            for video_id, some in groupby(rows, key=itemgetter("video_id")):
                yield list(some), places.get(video_id, [])

    def first_timestamps(self) -> dict[str, float]:
        """The container's time of each video's first frame, by video_id."""
        table = videos_table(self._catalogue)
        columns = (table.column(name) for name in ("video_id", "first_timestamp_seconds"))
        return dict(zip(*(column.to_pylist() for column in columns), strict=True))

    def _turned(self) -> set[str]:
        """The videos whose pictures are not shown as they are coded."""
        table = videos_table(self._catalogue)
        columns = (table.column(name).to_pylist() for name in ("rotation_degrees", "is_mirrored"))
        ids = table.column("video_id").to_pylist()
        return {one for one, turn, flip in zip(ids, *columns, strict=True) if turn or flip}

    def _skip(self, path: str, error: VideoError, num_clips: int) -> None:
        problem = Problem(error.reason, error.message)
        self.skipped.append(SkippedFile(path, problem, num_clips))


def told(row: Row) -> Row:
    """A row as JSON has it: times are text in the form of ISO 8601."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def file_name(row: Row) -> str:
    """The name of a clip's file: its video's, its clip_id, which no other has, and its ending.

    Only plain characters are kept of the video's, as it comes from anywhere.
    """
    stem = Path(str(row["path"])).stem
    plain = "".join(
        one if one.isascii() and (one.isalnum() or one in "-_") else "_" for one in stem
    )
    return f"{plain[:60] or 'clip'}-{row['clip_id']:012d}"
