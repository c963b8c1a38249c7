"""`split`: videos shared out so that nothing alike is on two sides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from vidx.curating.alike import alike
from vidx.curating.leakage import Side, across
from vidx.curating.part import Part, Progress
from vidx.curation.balance import Weights, shared_out
from vidx.curation.pairs import connected
from vidx.errors import UsageError, VidxError
from vidx.records import SplitReport
from vidx.store.columns import codes_of
from vidx.store.told import best_labels, rows_told, videos_told

if TYPE_CHECKING:
    pass

TOLERANCE = 0.02  # by which a fraction may miss what was asked for
ROUNDING = 1e-6
PROOF = {
    "check": "string", "split": "string", "value": "string", "wanted": "double", "got": "double",
    "count": "int64", "met": "bool", "reason": "string",
}  # fmt: skip


def checked_fractions(fractions: Mapping[str, float]) -> dict[str, float]:
    """Fractions that can be met.

    Raises:
        UsageError: They are not above 0, do not add up to 1, or are of fewer than two splits.
    """
    told = ", ".join(f"{name} {value}" for name, value in fractions.items()) or "none at all"
    if len(fractions) < 2:
        raise UsageError(f"splits: {told}: two are the least.", "Such as train=.8 test=.2")
    if bad := [name for name in fractions if not name.strip()]:
        raise UsageError(f"{bad[0]!r} is no name of a split", "Name each one.")
    numbers = [value for value in fractions.values() if isinstance(value, SupportsFloat)]
    values = dict(zip(fractions, map(float, numbers), strict=False))
    if len(values) < len(fractions) or not all(0 < one < 1 for one in values.values()):  # NaN too
        raise UsageError(f"splits: {told}: each has a fraction above 0 and below 1.")
    total = math.fsum(values.values())
    if abs(total - 1) > ROUNDING:
        raise UsageError(f"splits: {told}: they add up to {total:g}, not to 1.")
    return values


def split(
    part: Part,
    fractions: Mapping[str, float],
    group: str | None,
    stratify: str | None,
    seed: int,
    threshold: float,
    progress: Progress,
) -> SplitReport:
    """Share out videos, as `Questions.split` says.

    Raises:
        UsageError: Fractions, a column or the seed are wrong.
        VidxError: There are fewer groups than splits.
    """
    wanted = checked_fractions(fractions)
    if seed < 0:
        raise UsageError(f"seed={seed}: 0 is the least.")
    labels, values = _labels(part, stratify)
    numbers, owners = np.unique(part.videos, return_inverse=True)
    groups = _groups(part, owners.astype(np.int64), len(numbers), group, threshold, progress)
    num_groups = int(groups.max()) + 1
    if num_groups < len(wanted):
        raise VidxError(
            f"{len(numbers)} videos are {_groups_told(num_groups)} that must stay together: "
            f"too few for {len(wanted)} splits, of which none may be empty",
            f"Take fewer splits, or a higher threshold than {threshold:g}.",
        )
    weights = Weights.of(groups[owners], labels)
    shares = np.array(list(wanted.values()))
    parts = shared_out(weights, shares, np.random.default_rng(seed))[groups]
    names = list(wanted)
    whole = {"split": [names[one] for one in parts.tolist()], "group": groups}
    proof = _proof(parts[owners], groups[owners], labels, (wanted, values))
    proof += _pairs(part, parts[owners], names, threshold, progress)
    return SplitReport(
        table=videos_told(part.catalogue, numbers, np.bincount(owners), whole),
        proof=rows_told(proof, PROOF),
        num_groups=num_groups,
    )


def _labels(part: Part, stratify: str | None) -> tuple[NDArray[np.int64], list[str]]:
    """What is to be balanced, of each clip."""
    if stratify is None:
        return np.full(len(part), -1, np.int64), []
    if stratify != "label":  # which no column of metadata may be called
        return codes_of(part.catalogue, stratify, part.clip_ids, part.videos)
    labels, names = best_labels(part.catalogue, part.clip_ids)
    if not (labels >= 0).any():
        raise UsageError(
            "these clips have no labels: the model has no classification head",
            "Balance a column of metadata instead.",
        )
    return labels, names


def _groups(
    part: Part,
    owners: NDArray[np.int64],
    num_videos: int,
    column: str | None,
    threshold: float,
    progress: Progress,
) -> NDArray[np.int64]:
    """Which videos must stay together: here what is alike over others counts too."""
    keys = set()
    if column is not None:
        codes, _ = codes_of(part.catalogue, column, part.clip_ids, part.videos)
        here = codes >= 0
        keys = _distinct(owners[here], codes[here] + num_videos)
    for some in alike(part, threshold, progress):
        keys |= _distinct(owners[some.firsts], owners[some.seconds])
    num_values = max((second for _, second in keys), default=0) + 1
    return connected(max(num_videos, num_values), sorted(keys))[:num_videos]


def _distinct(firsts: NDArray[np.int64], seconds: NDArray[np.int64]) -> set[tuple[int, int]]:
    unique = np.unique(np.stack([firsts, seconds]), axis=1)
    return set(zip(*unique.tolist(), strict=True))


def _proof(
    parts: NDArray[np.int64],
    groups: NDArray[np.int64],
    labels: NDArray[np.int64],
    asked: tuple[dict[str, float], list[str]],
) -> list[dict[str, Any]]:
    """Fractions of all clips and of each label that were wanted and got, by clips."""
    wanted, values = asked
    rows = _fractions("clips", None, parts, groups, wanted)
    for code, value in enumerate(values):
        some = labels == code
        if some.any():
            rows += _fractions("label", value, parts[some], groups[some], wanted)
    return rows


def _fractions(
    check: str,
    value: str | None,
    parts: NDArray[np.int64],
    groups: NDArray[np.int64],
    wanted: dict[str, float],
) -> list[dict[str, Any]]:
    counts = np.bincount(parts, minlength=len(wanted))
    largest = np.unique(groups, return_counts=True)[1].max() / len(groups)
    rows = []
    for (name, fraction), count in zip(wanted.items(), counts.tolist(), strict=True):
        got = count / len(parts)
        met = abs(got - fraction) <= TOLERANCE + ROUNDING
        why = None if met else _reason(largest, len(np.unique(groups)))
        rows.append(
            {"check": check, "split": name, "value": value, "wanted": fraction, "got": got,
             "count": count, "met": met, "reason": why}
        )  # fmt: skip
    return rows


def _reason(largest: float, num_groups: int) -> str:
    return f"there are {_groups_told(num_groups)}, and the largest holds {largest:.1%}"


def _groups_told(number: int) -> str:
    return "1 group" if number == 1 else f"{number} groups"


def _pairs(
    part: Part,
    parts: NDArray[np.int64],
    names: list[str],
    threshold: float,
    progress: Progress,
) -> list[dict[str, Any]]:
    """How many pairs of clips are alike across each two splits: none."""
    found = across(Side(part, parts, part.videos.astype(np.int64)), threshold, progress)
    counts = np.bincount(
        parts[found.firsts] * len(names) + parts[found.seconds], minlength=len(names) ** 2
    )
    rows = []
    for one, name in enumerate(names):
        for two in range(one + 1, len(names)):
            count = int(counts[one * len(names) + two])
            rows.append(
                {"check": "pairs", "split": name, "value": names[two], "wanted": 0.0,
                 "got": float(count), "count": count, "met": not count, "reason": None}
            )  # fmt: skip
    return rows
