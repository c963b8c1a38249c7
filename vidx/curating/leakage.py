"""`leakage`: the same footage in several splits, or in two collections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidx.curating.alike import alike, alike_in
from vidx.curating.part import Part, Progress
from vidx.curation.pairs import Pairs
from vidx.errors import FingerprintMismatch
from vidx.store.columns import codes_of
from vidx.store.told import clips_told, paths_of, spans, video_ids_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Side:
    """Clips as one side of pairs.

    Attributes:
        part: The clips.
        splits: The split of each, a place among the names; -1 where it is in none.
        contents: A number for each clip's video; videos of equal content have the same.
    """

    part: Part
    splits: NDArray[np.int64]
    contents: NDArray[np.int64]

    def units(self) -> NDArray[np.int64]:
        """A number for each clip's video and split together."""
        keys = np.stack([self.contents, self.splits])
        return np.unique(keys, axis=1, return_inverse=True)[1].ravel().astype(np.int64)


def leakage(part: Part, column: str, threshold: float, progress: Progress) -> pa.Table:
    """The pairs across the values of a column of metadata; as `Questions.leakage` says.

    Raises:
        UsageError: There is no such column.
    """
    splits, names = codes_of(part.catalogue, column, part.clip_ids, part.videos)
    side = Side(part, splits, part.videos.astype(np.int64))
    found = across(side, threshold, progress)
    return _told(side, side, found.where(splits[found.firsts] < splits[found.seconds]), names)


def across(side: Side, threshold: float, progress: Progress) -> Pairs:
    """The pairs of clips in two splits, each in both orders."""

    def crossing(pairs: Pairs) -> Pairs:
        firsts, seconds = side.splits[pairs.firsts], side.splits[pairs.seconds]
        return pairs.where((firsts != seconds) & (firsts >= 0) & (seconds >= 0))

    near = [crossing(some) for some in alike(side.part, threshold, progress)]
    found = Pairs.joined([*near, crossing(_of_one_content(side, side))])
    return Pairs.joined([found, found.turned()]).once()


def leakage_into(part: Part, other: Part, threshold: float) -> pa.Table:
    """The pairs of a part and another; as `Questions.leakage` says.

    Raises:
        FingerprintMismatch: Their vectors cannot be compared.
    """
    one, two = (some.catalogue.manifest.space.fingerprint for some in (part, other))
    if one != two:
        raise FingerprintMismatch(
            f"the vectors of {other.catalogue.layout.root} cannot be compared with those of "
            f"{part.catalogue.layout.root}: they are of another model or sampling",
            "Embed one of the two anew with the other's model.",
        )
    _, numbers = np.unique(np.concatenate([_contents(part), _contents(other)]), return_inverse=True)
    mine, theirs = np.split(numbers.ravel(), [len(part)])
    here = Side(part, np.zeros(len(part), np.int64), mine)
    there = Side(other, np.ones(len(other), np.int64), theirs)
    same = [_of_one_content(here, there), _of_one_content(there, here).turned()]
    found = Pairs.joined([*alike_in(part, other, threshold), *same]).once()
    return _told(here, there, found, ["this", "other"])


def _contents(part: Part) -> NDArray[Any]:
    names = video_ids_of(part.catalogue, part.videos)
    return np.array([names[number] for number in part.videos.tolist()])


def _of_one_content(one: Side, other: Side) -> Pairs:
    """Each clip of a video with the first of each split's clips of the same video."""
    keys = np.stack([other.contents, other.splits])
    unique, places = np.unique(keys, axis=1, return_index=True)
    firsts, seconds = [], []
    by_content = np.argsort(one.contents, kind="stable")
    ordered = one.contents[by_content]
    if one is other:  # videos in one split alone pair with none
        several = np.flatnonzero(np.bincount(np.unique(keys, axis=1)[0]) > 1)
        places = places[np.isin(unique[0], several)]
    for place in places.tolist():
        low, high = np.searchsorted(ordered, other.contents[place] + np.array([0, 1]))
        firsts.append(by_content[low:high])
        seconds.append(np.full(high - low, place))
    nothing = np.empty(0, np.int64)
    together = np.concatenate([nothing, *firsts]), np.concatenate([nothing, *seconds])
    return Pairs(*together, np.ones(len(together[0]), np.float32))


def _told(one: Side, other: Side, found: Pairs, names: list[str]) -> pa.Table:
    """A row a pair of videos, the closest pair of their clips; the most similar first.

    Where clips are as similar as can be, those of the same content come before others.
    """
    found = Pairs(found.firsts, found.seconds, np.minimum(found.scores, np.float32(1)))  # rounding
    units, others = one.units(), other.units()
    keys = units[found.firsts] * (others.max(initial=0) + 1) + others[found.seconds]
    order = np.lexsort((found.seconds, found.firsts, -found.scores, keys))
    _, first, which = np.unique(keys[order], return_index=True, return_inverse=True)
    best, which = order[first], which.ravel()
    counts = [_distinct(which, side[order]) for side in (found.firsts, found.seconds)]
    differ = one.contents[found.firsts[best]] != other.contents[found.seconds[best]]
    ranked = np.lexsort((best, differ, -found.scores[best]))
    best = best[ranked]
    mine, theirs = found.firsts[best], found.seconds[best]
    pairs = one.splits[mine], other.splits[theirs]
    beside = spans(other.part.catalogue, other.part.clip_ids[theirs])
    owned = video_ids_of(other.part.catalogue, beside["video"])
    paths = paths_of(other.part.catalogue, beside["video"])
    owners = beside["video"].tolist()
    return clips_told(
        one.part.catalogue,
        one.part.clip_ids[mine],
        {"split": [names[code] for code in pairs[0].tolist()]},
        {
            "other_split": [names[code] for code in pairs[1].tolist()],
            "other_clip_id": beside["clip_id"],
            "other_video_id": [owned[owner] for owner in owners],
            "other_path": [paths[owner][0] for owner in owners],
            "other_start_seconds": beside["start"],
            "other_end_seconds": beside["end"],
            "score": np.clip(found.scores[best], -1, 1).astype(np.float64),
            "match": np.where(one.contents[mine] == other.contents[theirs], "exact", "near"),
            "num_clips": counts[0][ranked],
            "other_num_clips": counts[1][ranked],
            "share": _shares(one, found.firsts, other.splits[found.seconds], *pairs),
            "other_share": _shares(other, found.seconds, one.splits[found.firsts], *pairs[::-1]),
        },
    )


def _distinct(groups: NDArray[np.int64], things: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many different things each group has."""
    unique = np.unique(np.stack([groups, things]), axis=1)
    return np.bincount(unique[0])


def _shares(
    side: Side,
    touched: NDArray[np.int64],
    by: NDArray[np.int64],
    splits: NDArray[np.int64],
    others: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Which share of a split's clips is like a clip of another split, for pairs of splits.

    Args:
        side: The clips.
        touched: Places of clips that are like some, shape (p,).
        by: The splits that these others are in, shape (p,).
        splits: The pairs, shape (n,).
        others: Shape (n,).
    """
    sizes = np.bincount(side.splits[side.splits >= 0])
    clips, their = np.unique(np.stack([touched, by]), axis=1)
    num_splits = int(max(their.max(initial=0), others.max(initial=0))) + 1
    counts = np.bincount(side.splits[clips] * num_splits + their, minlength=1)
    return np.asarray(counts[splits * num_splits + others] / sizes[splits])
