"""`show`: an answer as a notebook shows it, with pictures of its clips."""

from __future__ import annotations

import html
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from vidx.curating.part import Part
from vidx.errors import UnknownId, UsageError
from vidx.records import Footage, Hit
from vidx.reporting import elements
from vidx.reporting.matter import Rows, clips_at, shown_end
from vidx.reporting.pictures import Pictures, PictureSource, pictures, sources_of
from vidx.store.footage import footage
from vidx.words import printable, span

SIDES = ("", "nearest_", "other_")  # what the names of columns about a clip begin with
MOST_CHARACTERS = 4_000_000  # of all pictures
MOST_TEXT = 200  # of a cell
_STYLE = (
    ".vidx-shown img, .vidx-shown .none { width: 150px; max-height: 110px; object-fit: contain; } "
    ".vidx-shown td, .vidx-shown th { text-align: left; vertical-align: top; padding: 2px 8px; }"
)


class Shown:
    """The first rows of an answer; a notebook shows them with pictures. Made by `Collection.show`.

    Args:
        rows: Those that are shown.
        num_rows: Of the whole answer.
        clip_ids: By side, of each row the clip to be seen; None where there is none.
        clips: Where their pictures are to be had.
    """

    def __init__(
        self,
        rows: Rows,
        num_rows: int,
        clip_ids: Mapping[str, list[int | None]],
        clips: list[PictureSource],
    ) -> None:
        self._rows = rows
        self._num_rows = num_rows
        self._clip_ids = clip_ids
        self._clips = clips

    def __repr__(self) -> str:
        return f"Shown({self._told()}, with pictures in a notebook)"

    def _repr_html_(self) -> str:
        heads = [side.rstrip("_") or "clip" for side in self._clip_ids]
        cells = [_cells(row) for row in self._rows]
        names = list(cells[0]) if cells else []
        head = "".join(f"<th>{html.escape(name)}</th>" for name in [*heads, *names])
        body = "".join(
            f"<tr>{self._seen(place)}"
            + "".join(f"<td>{html.escape(one[name])}</td>" for name in names)
            + "</tr>\n"
            for place, one in enumerate(cells)
        )
        return (
            f'<div class="vidx-shown"><style>{_STYLE}</style>\n'
            f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>\n<p>{self._told()}</p></div>"
        )

    def _seen(self, place: int) -> str:
        clips = [clip_ids[place] for clip_ids in self._clip_ids.values()]
        return "".join(f"<td>{elements.picture(one, self._pictures)}</td>" for one in clips)

    def _told(self) -> str:
        return f"{len(self._rows)} of {self._num_rows} rows"

    @cached_property
    def _pictures(self) -> Pictures:
        """Made when they are first to be seen: a script that only prints needs none."""
        uses = Counter(one for some in self._clip_ids.values() for one in some if one is not None)
        return pictures(self._clips, uses, MOST_CHARACTERS, lambda _done, _total: None)


def shown(whole: Part, answer: object, limit: int) -> Shown:
    """Look up which clips are to be seen; see `Showing.show`.

    Raises:
        UsageError: It is no answer, or the limit is below 1.
    """
    if limit < 1:
        raise UsageError(f"limit={limit}: 1 is the least.")
    rows, num_rows = _rows(answer, limit)
    found = {side: _clips(whole, rows, side) for side in SIDES}
    seen = {side: clips for side, clips in found.items() if any(clips)}
    where = {one.clip_id: one for clips in seen.values() for one in clips if one}
    ids = {side: [one.clip_id if one else None for one in some] for side, some in seen.items()}
    return Shown(rows, num_rows, ids, sources_of(whole.catalogue, list(where.values())))


def _rows(answer: Any, limit: int) -> tuple[Rows, int]:
    """The first rows, and how many there are."""
    if hasattr(answer, "column_names") and hasattr(answer, "slice"):
        return answer.slice(0, limit).to_pylist(), answer.num_rows
    if isinstance(answer, list | tuple) and all(isinstance(one, Hit) for one in answer):
        return [_of_hit(hit) for hit in answer[:limit]], len(answer)
    raise UsageError(
        f"a {type(answer).__name__} is no answer to be shown",
        "Give a table, such as duplicates() answers, or the hits of a search.",
    )


def _of_hit(hit: Hit) -> dict[str, Any]:
    names = ("rank", "score", "clip_id", "video_id", "path", "start_seconds", "end_seconds")
    labels = [{"name": label.name, "score": label.score} for label in hit.labels]
    return {**{name: getattr(hit, name) for name in names}, "labels": labels}


def _clips(whole: Part, rows: Rows, side: str) -> list[Footage | None]:
    """Of each row the clip that it is about, or one that shows what it is about."""
    if rows and f"{side}clip_id" not in rows[0] and f"{side}video_id" not in rows[0]:
        return [None] * len(rows)
    clip_ids = [row.get(f"{side}clip_id") for row in rows]
    moments = [
        (row[f"{side}video_id"], _middle(row, side))
        for row, clip_id in zip(rows, clip_ids, strict=True)
        if clip_id is None
    ]
    others = iter(clips_at(whole, moments))
    chosen = (next(others) if clip_id is None else clip_id for clip_id in clip_ids)
    return [
        _known(whole, clip_id, row.get(f"{side}video_id"))
        for clip_id, row in zip(chosen, rows, strict=True)
    ]


def _middle(row: Mapping[str, Any], side: str) -> float:
    """Of the span that a row is about, else of the video."""
    start, end = (row.get(f"{side}{name}_seconds") for name in ("start", "end"))
    if start is None or end is None:
        return float(row.get("duration_seconds") or 0) / 2
    return float(start + end) / 2


def _known(whole: Part, clip_id: int | None, video_id: str | None) -> Footage | None:
    """A clip, if it is there and of this video: answers can be old, or of another collection."""
    if clip_id is None:
        return None
    try:
        found = footage(whole.catalogue, clip_id)
    except UnknownId:
        return None
    return found if video_id in (None, found.video_id) else None


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    """What is told beside the pictures: times as one, and no hashes."""
    cells: dict[str, str] = {}
    for name, value in row.items():
        side = name.removesuffix("start_seconds")
        if name.endswith("start_seconds") and f"{side}end_seconds" in row:
            cells[f"{side}time"] = span(value, row[f"{side}end_seconds"])
        elif not name.endswith(("video_id", "end_seconds")):
            cells[name] = _text(name, value)
    return cells


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if name.endswith("path"):
        here = os.getcwd() + "/"
        return shown_end(str(value).removeprefix(here))
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return ", ".join(_labels(value))[:MOST_TEXT]
    return printable(str(value))[:MOST_TEXT]


def _labels(values: Iterable[object]) -> list[str]:
    """Labels with their scores, or whatever else a list holds."""
    return [
        f"{one['name']} {one['score']:.2f}" if isinstance(one, dict) else printable(str(one))
        for one in values
    ]
