"""Videos that show what others show: their clips aligned in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidx.curating.part import Part, Progress
from vidx.curating.tables import numbered
from vidx.curation.groups import Edges, Groups, grouped
from vidx.segment_search import FLOOR, FLOOR_SHARE
from vidx.segments import Alignment, Track, align
from vidx.store.told import paths_of, spans, spans_told

if TYPE_CHECKING:
    import pyarrow as pa

LOOSER = 0.2  # by which a pair of clips may miss the threshold: their windows part by half a clip
MOST_PARTNERS = 64  # of a video, those that clips speak for most
MOST_TRACKS = 1024  # in memory at a time
HALF = 0.5  # of a video that another holds makes it a duplicate of it
ONE_WAY = 1e-6  # of a member that counts, where the first of a group holds it and much else
LEAST_CLIPS = 2  # of a span, where it is not half of a video


@dataclass(frozen=True, slots=True)
class Copied:
    """A span of a video that another video shows too.

    Attributes:
        held: The number of the video of which the larger share is in the other.
        holder: The number of the other one.
        found: The spans: the query's is the held one's.
        held_share: Which share of the held video's time its span is.
        holder_share: Which share of the holder's.
        held_compared: Seconds of the held video that its clips show.
        holder_compared: And of the holder.
    """

    held: int
    holder: int
    found: Alignment
    held_share: float
    holder_share: float
    held_compared: float
    holder_compared: float


def aligned_pairs(part: Part, threshold: float, progress: Progress) -> list[Copied]:
    """Find the spans of videos that other videos show too.

    Args:
        part: The clips that are looked at.
        threshold: The least mean similarity of the better half of the clips of a span.
        progress: Called as the graph is made.

    Returns:
        Those with the most evidence first.
    """
    floor = part.view.background("copy").score_of(FLOOR_SHARE, FLOOR)
    tracks = Tracks(part)
    found = []
    for pair in _pairs(part, threshold - LOOSER, progress):
        held, holder = sorted(pair, key=lambda number: seconds(tracks.of(number)))
        asked, stored = tracks.of(held), tracks.of(holder)
        found += [
            Copied(
                held,
                holder,
                run,
                _share(run, asked),
                _share_held(run, stored),
                compared(asked),
                compared(stored),
            )
            for run in align(asked, stored, floor)
            if run.score >= threshold
        ]
    return sorted(found, key=lambda one: (-one.found.evidence, one.held, one.holder))


def _share(run: Alignment, held: Track) -> float:
    return min(1.0, (run.query_end_seconds - run.query_start_seconds) / seconds(held))


def _share_held(run: Alignment, holder: Track) -> float:
    return min(1.0, (run.end_seconds - run.start_seconds) / seconds(holder))


def seconds(one: Track) -> float:
    """The time that a video's clips span."""
    return max(float(one.ends.max() - one.starts[0]), 1e-9)


def compared(one: Track) -> float:
    """The time that a video's clips show, in which there may be holes."""
    return covered(list(zip(one.starts.tolist(), one.ends.tolist(), strict=True)))


def _pairs(part: Part, least: float, progress: Progress) -> Iterator[tuple[int, int]]:
    """The videos whose clips are like clips of another, by number, each pair once."""
    graph = part.graph("copy", progress, apart=True)
    places, column = np.nonzero((graph.places >= 0) & (graph.scores >= least))
    ends = part.videos[places], part.videos[graph.places[places, column]]
    low, high = np.minimum(*ends).astype(np.int64), np.maximum(*ends).astype(np.int64)
    pairs, which = np.unique(np.stack([low, high]), axis=1, return_inverse=True)
    above = graph.scores[places, column] - least
    votes = np.bincount(which.ravel(), above, minlength=pairs.shape[1])
    partners: dict[int, int] = {}
    for one in np.argsort(-votes, kind="stable").tolist():
        pair = (int(pairs[0, one]), int(pairs[1, one]))
        counts = [partners.get(number, 0) for number in pair]
        if max(counts) < MOST_PARTNERS:
            partners |= {number: count + 1 for number, count in zip(pair, counts, strict=True)}
            yield pair


class Tracks:
    """The clips of videos in time order, by the videos' numbers."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._order = np.argsort(part.videos, kind="stable")
        self._owners = part.videos[self._order]
        self.of = lru_cache(MOST_TRACKS)(self._of)

    def _of(self, number: int) -> Track:
        low, high = np.searchsorted(self._owners, [number, number + 1])
        places = self._order[low:high]
        told = spans(self._part.catalogue, self._part.clip_ids[places])
        in_time = np.argsort(told["start"], kind="stable")
        vectors = self._part.vectors(places[in_time], "copy")
        return Track(told["start"][in_time], told["end"][in_time], vectors)


def by_segment(part: Part, found: list[Copied]) -> pa.Table:
    """Each span with the one that shows the same: a group of two, the holder first."""
    rows: list[dict[str, Any]] = []
    group = 0
    for one in found:
        if one.found.num_clips < LEAST_CLIPS and one.held_share <= HALF:
            continue
        rows += [
            {"group": group, "rank": rank, **side, "match": "near"}
            for rank, side in enumerate((_as_holder(one), _as_held(one)))
        ]
        group += 1
    return spans_told(part.catalogue, rows)


def _as_held(one: Copied) -> dict[str, Any]:
    run = one.found
    return {
        "video": one.held,
        "start_seconds": run.query_start_seconds,
        "end_seconds": run.query_end_seconds,
        "score": run.score,
        "share": one.held_share,
        "compared_seconds": one.held_compared,
        "offset_seconds": run.start_seconds - run.query_start_seconds,
    }


def _as_holder(one: Copied) -> dict[str, Any]:
    run = one.found
    return {
        "video": one.holder,
        "start_seconds": run.start_seconds,
        "end_seconds": run.end_seconds,
        "score": run.score,
        "share": one.holder_share,
        "compared_seconds": one.holder_compared,
        "offset_seconds": 0.0,
    }


def by_video(part: Part, found: list[Copied]) -> pa.Table:
    """Videos of which more than half is in the first of their group, and those of equal content.

    The first is what most others are in, and more than half of which is in these: rather a video
    with its copies than a film that shows it, and would draw together what else it shows.
    """
    numbers, tracks = np.unique(part.videos), Tracks(part)
    sides = _sides(found)
    alike = [
        (first, member, side["score"], sides[member, first]["share"] > HALF)
        for (first, member), side in sides.items()
        if side["share"] > HALF
    ]
    columns = np.array(alike, np.float64).reshape(-1, 4).T
    firsts, members = (np.searchsorted(numbers, ends) for ends in columns[:2].astype(np.int64))
    edges = Edges.of(len(numbers), firsts, members, columns[2].astype(np.float32))
    worth = np.bincount(firsts, np.maximum(columns[3], ONE_WAY), len(numbers)).astype(np.float64)
    groups = grouped(edges, worth=worth)
    paths = paths_of(part.catalogue, numbers)
    rows: list[dict[str, Any]] = []
    ordered = _in_groups(groups, np.array([len(paths[number]) for number in numbers.tolist()]))
    for place, first in ordered:
        number, its_first = int(numbers[place]), int(numbers[first])
        side = sides[its_first, number] if place != first else _whole(number, tracks.of(number))
        match = "exact" if place == first else "near"
        rows += [{"first": first, **side, "path": path, "match": match} for path in paths[number]]
    group, rank = numbered(np.array([row.pop("first") for row in rows], np.int64))
    places = zip(group.tolist(), rank.tolist(), rows, strict=True)
    return spans_told(part.catalogue, [{"group": g, "rank": r, **row} for g, r, row in places])


def _in_groups(groups: Groups, num_paths: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Each member and the first of its group; first the videos alone that lie at several paths."""
    alone = np.flatnonzero((groups.firsts < 0) & (num_paths > 1))
    members = np.flatnonzero(groups.firsts >= 0)
    firsts = groups.firsts[members]
    order = np.lexsort((members, -groups.scores[members], firsts != members, firsts))
    pairs = zip(members[order].tolist(), firsts[order].tolist(), strict=True)
    return [*((place, place) for place in alone.tolist()), *pairs]


def _sides(found: list[Copied]) -> dict[tuple[int, int], dict[str, Any]]:
    """Of each two videos what of the second is in the first: its strongest span, all its share."""
    sides: dict[tuple[int, int], dict[str, Any]] = {}
    spans_of: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for one in found:
        run = one.found
        offset = run.start_seconds - run.query_start_seconds
        turned = {**_as_holder(one), "offset_seconds": 0.0 - offset}
        for pair, side in (
            ((one.holder, one.held), _as_held(one)),
            ((one.held, one.holder), turned),
        ):
            sides.setdefault(pair, side)
            spans_of.setdefault(pair, []).append((side["start_seconds"], side["end_seconds"]))
    for pair, side in sides.items():
        length = side["end_seconds"] - side["start_seconds"]
        side["share"] = min(1.0, side["share"] * covered(spans_of[pair]) / length)
    return sides


def covered(some: list[tuple[float, float]]) -> float:
    """How long spans are together, what several share counted once.

    >>> covered([(4, 6), (0, 2), (1, 3)])
    5.0
    """
    length, reached = 0.0, -np.inf
    for start, end in sorted(some):
        length += max(0, end - max(start, reached))
        reached = max(reached, end)
    return length


def _whole(number: int, track: Track) -> dict[str, Any]:
    return {
        "video": number,
        "start_seconds": float(track.starts[0]),
        "end_seconds": float(track.ends.max()),
        "score": 1.0,
        "share": 1.0,
        "compared_seconds": compared(track),
        "offset_seconds": 0.0,
    }
