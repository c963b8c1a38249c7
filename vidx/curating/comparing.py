"""`compare`: what one set of clips has that another lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidx.curating.part import Part
from vidx.curation import comparing as computing
from vidx.curation.clusters import default_clusters
from vidx.errors import FingerprintMismatch, UsageError
from vidx.index.clustering import POINTS_A_CENTRE, ROUNDS, centres, nearest_centre, sampled
from vidx.store.told import clips_told, joined_tables

if TYPE_CHECKING:
    import pyarrow as pa

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two sets of clips differ.

    Attributes:
        coverage: Which share of the other set's clips lies in regions that this one has too.
        other_coverage: Which share of this set's clips lies in regions that the other has too.
        drift: The Jensen-Shannon divergence of their spread over regions, from 0 (alike) to 1.
        chance_drift: What it would be on average, were their videos dealt at random.
        regions: A row a region, those first whose shares differ most.
    """

    coverage: float
    other_coverage: float
    drift: float
    chance_drift: float
    regions: pa.Table


def compare(part: Part, other: Part, k: int | None, seed: int) -> Comparison:
    """Compare two sets, as `Reviews.compare` says.

    Raises:
        UsageError: k is out of range, or the seed is below 0.
        FingerprintMismatch: Their vectors are of two models.
    """
    _check_alike(part, other)
    first, total = len(part), len(part) + len(other)
    count = default_clusters(total) if k is None else k
    if not 1 <= count <= total:
        raise UsageError(f"k={count}: between 1 and {total}, the number of clips, there are.")
    if seed < 0:
        raise UsageError(f"seed={seed}: 0 is the least.")

    def take(places: Places) -> NDArray[np.float32]:
        found = np.empty((len(places), part.catalogue.manifest.space.dim), np.float32)
        ours = places < first
        for which, one, start in ((ours, part, 0), (~ours, other, first)):
            if which.any():
                found[which] = one.vectors(places[which] - start, "similar")
        return found

    sample = take(sampled(total, POINTS_A_CENTRE * count, seed))
    means = centres(sample, count, seed=seed, rounds=ROUNDS, spherical=True)
    regions, scores = nearest_centre(take, total, means)
    _, numbers = np.unique(regions, return_inverse=True)  # without those that are empty
    is_other = np.arange(total) >= first
    return _told(part, other, numbers.astype(np.int64), scores, is_other, seed)


def _told(
    part: Part,
    other: Part,
    regions: Places,
    scores: NDArray[np.float32],
    is_other: NDArray[np.bool_],
    seed: int,
) -> Comparison:
    num_regions = int(regions.max()) + 1
    counts = computing.counted(regions, is_other, num_regions)
    change = computing.changes(counts)
    _, ours = np.unique(part.videos, return_inverse=True)
    _, theirs = np.unique(other.videos, return_inverse=True)
    units = np.concatenate([ours, theirs + ours.max() + 1])
    shares = counts / counts.sum(axis=1, keepdims=True)
    return Comparison(
        float(shares[1][change != "new"].sum()),
        float(shares[0][change != "vanished"].sum()),
        computing.drift(counts),
        computing.chance_drift(regions, is_other, units, num_regions, seed),
        _table(part, other, _typical(regions, scores, is_other, counts), counts, change),
    )


def _typical(
    regions: Places,
    scores: NDArray[np.float32],
    is_other: NDArray[np.bool_],
    counts: NDArray[np.int64],
) -> Places:
    """Of each region the place nearest to its centre, of the set that has the larger share."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    wanted = (shares[1] > shares[0])[regions]
    order = np.lexsort((np.arange(len(regions)), -scores, is_other != wanted, regions))
    return order[np.unique(regions[order], return_index=True)[1]]


def _table(
    part: Part,
    other: Part,
    typical: Places,
    counts: NDArray[np.int64],
    change: NDArray[np.str_],
) -> pa.Table:
    """Regions by how much their shares differ, each with its most typical clip."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    order = np.lexsort((np.arange(len(change)), -np.abs(shares[0] - shares[1])))
    told = []
    for one, start, end in ((part, 0, len(part)), (other, len(part), len(part) + len(other))):
        rows = order[(typical[order] >= start) & (typical[order] < end)]
        if not len(rows):
            continue
        before = {
            "rank": np.flatnonzero(np.isin(order, rows)),
            "change": change[rows],
            "num_clips": counts[0][rows],
            "num_other_clips": counts[1][rows],
            "share": shares[0][rows],
            "other_share": shares[1][rows],
            "is_of_other": np.full(len(rows), start > 0),
        }
        told.append(clips_told(one.catalogue, one.clip_ids[typical[rows] - start], before, {}))
    return joined_tables(told, "rank")


def _check_alike(part: Part, other: Part) -> None:
    spaces = [one.catalogue.manifest.space for one in (part, other)]
    if spaces[0].fingerprint != spaces[1].fingerprint:
        raise FingerprintMismatch(
            f"{other.catalogue.layout.root} has vectors of {spaces[1].model}, and "
            f"{part.catalogue.layout.root} of {spaces[0].model}: they cannot be compared",
            "Embed both with the same model, frames and fps.",
        )
