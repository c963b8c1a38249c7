"""`propose`: of each group of duplicate files one to keep, and the others to drop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from vidx.errors import UsageError, VidxError
from vidx.store.catalogue import Catalogue
from vidx.store.proposals import facts_of, table_of

if TYPE_CHECKING:
    import pyarrow as pa

NEEDED = ("group", "path", "video_id")
SHOWN = 5  # paths that are named

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
    try:
        best = max(members, key=worth)
    except TypeError as error:
        raise UsageError(f"keep={keep!r}: its values have no order: {error}") from error
    rows = []
    for row in [best, *(one for one in members if one is not best)]:
        kept = row is best
        told = _told(row, keep)
        why = f"{keep}: {told}" if kept else f"{told}, beside {_told(best, keep)}"
        beside = None if kept else best["path"]
        rows.append({**row, "action": "keep" if kept else "drop", "beside": beside, "why": why})
    return rows


def _told(row: Row, keep: str) -> str:
    what = f"{row['duration_seconds']:.1f} s, {row['width']}x{row['height']}"
    size = f", {row['size_bytes']} bytes" if row["size_bytes"] is not None else ""
    return f"{what}{size}" if keep in WAYS else f"{keep} {row[keep]}, {what}"
