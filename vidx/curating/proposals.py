"""`propose`: of each group of duplicate files the best to keep, and to drop what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from vidx.curating.copies import HALF
from vidx.errors import UsageError, VidxError
from vidx.store.catalogue import Catalogue
from vidx.store.proposals import facts_of, table_of

if TYPE_CHECKING:
    import pyarrow as pa

NEEDED = ("group", "path", "video_id")
PLACE = ("start_seconds", "end_seconds", "offset_seconds", "share")
SHOWN = 5  # paths that are named
# More than half of a file makes it like another; to drop it all of it must be in that one, as far
# as clips tell: where a span ends they tell to about this. It is no share, of which a long film has
# minutes to lose.
MOST_LOST_SECONDS = 0.5

Row: TypeAlias = dict[str, Any]


def propose(catalogue: Catalogue, groups: pa.Table, keep: str) -> pa.Table:
    """What to keep and what to drop, as `Questions.propose` says.

    Raises:
        UsageError: The table is not one of groups of files, or there is no such way to choose.
        VidxError: A file is no longer in the collection.
    """
    _check(groups)
    rows = groups.to_pylist()
    facts = facts_of(catalogue, {row["video_id"] for row in rows})
    known = catalogue.known([row["path"] for row in rows])
    gone = [row["path"] for row in rows if getattr(known.get(row["path"]), "video_id", None)
            != row["video_id"] or row["video_id"] not in facts]  # fmt: skip
    if gone:
        raise VidxError(f"{named(gone)}: no longer in the collection", "Ask for duplicates anew.")
    members: dict[int, list[Row]] = {}
    for row in rows:
        seen = known[row["path"]]
        fact = facts[row["video_id"]]
        own = {"size_bytes": seen.size_bytes, "version": seen.version}
        members.setdefault(row["group"], []).append({**fact, **row, **own})
    worth = _worth(keep, facts)
    return table_of([one for some in members.values() for one in _of_group(some, keep, worth)])


def named(paths: list[str]) -> str:
    """Some paths in a message."""
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(map(repr, paths[:SHOWN])) + more


def _check(groups: pa.Table) -> None:
    names = groups.column_names
    if lacking := [name for name in NEEDED if name not in names]:
        raise UsageError(
            f"groups without the column {lacking[0]!r}", "Give what duplicates(by='video') answers."
        )
    rows = groups.to_pylist()
    ranks = [row for row in rows if row.get("rank") == 0]
    if any(row.get("clip_id") is not None for row in rows) or any(
        row.get("match", "exact") != "exact" for row in ranks
    ):
        raise UsageError(
            "these are groups of clips or spans, and a proposal drops whole files",
            "Give what duplicates(by='video') answers.",
        )
    paths = [row["path"] for row in rows]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise UsageError(f"{twice!r} is in the groups twice", "Let each file be in one group.")


def _worth(keep: str, facts: dict[str, Row]) -> Callable[[Row], Any]:
    """What a file is chosen by: the highest wins, and of equals the first."""
    if keep in WAYS:
        return WAYS[keep]
    columns = sorted({name for fact in facts.values() for name in fact})
    if facts and keep not in columns:
        raise UsageError(
            f"keep={keep!r}: choose one of {', '.join(WAYS)}, or a column: {', '.join(columns)}."
        )
    return lambda row: (row[keep] is not None, row[keep])


def _size(row: Row) -> tuple[int, int]:
    return row["width"] * row["height"], row["size_bytes"] or 0


# A re-encoded copy may be a frame longer, which is no reason to keep it.
WAYS: dict[str, Callable[[Row], Any]] = {
    "longest": lambda row: (round(row["duration_seconds"], 1), *_size(row)),
    "highest-resolution": lambda row: (
        row["width"] * row["height"], row["duration_seconds"], row["size_bytes"] or 0
    ),
    "first": lambda _row: 0,
}  # fmt: skip


def _of_group(members: list[Row], keep: str, worth: Callable[[Row], Any]) -> list[Row]:
    """The best and those that it shows; and so on with what is left, for no footage is to go."""
    rows, left = [], members
    unseen: dict[str, tuple[float, str]] = {}  # by path, the least that a better one lacks; which
    while left:
        best = _best(left, keep, worth)
        told = _told(best, keep)
        why = f"{keep}: {told}"
        if best["path"] in unseen:
            seconds, better = unseen[best["path"]]
            why += f", of which {seconds:.1f} s are not seen in {better}"
        rows.append({**best, "action": "keep", "beside": None, "why": why})
        others, left = [one for one in left if one is not best], []
        for one in others:
            seconds = _unseen_seconds(best, one)
            if seconds <= _most_lost_seconds(one):
                why = f"{_told(one, keep)}, beside {told}"
                rows.append({**one, "action": "drop", "beside": best["path"], "why": why})
            else:
                lack = seconds, told
                unseen[one["path"]] = min(lack, unseen.get(one["path"], lack))
                left.append(one)
    return rows


def _best(members: list[Row], keep: str, worth: Callable[[Row], Any]) -> Row:
    try:
        return max(members, key=worth)
    except TypeError as error:
        raise UsageError(f"keep={keep!r}: its values have no order: {error}") from error


def _unseen_seconds(kept: Row, other: Row) -> float:
    """How much of a member is not known to be in another one, by where both are in the first.

    Both are like the first of their group, but that may show one behind the other, and what it
    lacks of both may be the same or not. Nothing is known of what was not compared, such as what is
    outside of a selection. Where groups do not tell the places, all members are taken to show the
    same.
    """
    if kept["video_id"] == other["video_id"]:
        return 0.0
    if any(one.get(name) is None for one in (kept, other) for name in PLACE):
        return 0.0
    start, end = _place(other)
    kept_start, kept_end = _place(kept)
    both = max(0.0, min(end, kept_end) - max(start, kept_start))
    share = other["share"] * both / max(end - start, 1e-9)
    length = float(other["duration_seconds"])
    compared = other.get("compared_seconds")
    return max(0.0, 1 - float(share)) * length + (max(0.0, length - compared) if compared else 0.0)


def _most_lost_seconds(row: Row) -> float:
    """How much of a member may go with it; of a very short one half at most.

    >>> _most_lost_seconds({"duration_seconds": 7200.0})
    0.5
    >>> _most_lost_seconds({"duration_seconds": 0.6})
    0.3
    """
    return min(MOST_LOST_SECONDS, HALF * float(row["duration_seconds"]))


def _place(row: Row) -> tuple[float, float]:
    """Where a member is in the first of its group, in seconds."""
    start, end, offset, _ = (row[name] for name in PLACE)
    return start + offset, end + offset


def _told(row: Row, keep: str) -> str:
    what = f"{row['duration_seconds']:.1f} s, {row['width']}x{row['height']}"
    size = f", {row['size_bytes']} bytes" if row["size_bytes"] is not None else ""
    return f"{what}{size}" if keep in WAYS else f"{keep} {row[keep]}, {what}"
