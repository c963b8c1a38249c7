"""The chapters that questions of curation answer: a function each."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidx.curating.clusters import clusters
from vidx.curating.duplicates import duplicates
from vidx.curating.leakage import leakage
from vidx.curating.outliers import outliers
from vidx.curating.quality import quality
from vidx.curating.thresholds import copy_threshold
from vidx.curation.quality import ISSUES, Limits
from vidx.reporting.document import Block, Chapter, Note, Shot, Strip, Table
from vidx.reporting.matter import Matter, Rows, clips_at
from vidx.store.columns import codes_of
from vidx.words import count, printable, span

if TYPE_CHECKING:
    import pyarrow as pa

GROUPS, MEMBERS = 12, 6  # of duplicates that are shown
PAIRS = 12  # that leak
LABELS = 20  # of a column
LABEL_VALUES = 50  # a column with more of them is no label
CLUSTERS, TYPICAL = 24, 4  # clips of each
POOR = 6  # clips of each issue
UNUSUAL = 12

Codes: TypeAlias = tuple[NDArray[np.int64], list[str]]  # of each clip one, -1 for none; names


def of_duplicates(matter: Matter) -> Chapter:
    """Which videos are there more than once."""
    part = matter.part
    threshold = copy_threshold(part.catalogue.layout.root)
    table = duplicates(part, None, "video", within_videos=False, progress=matter.heard)
    groups = [list(some) for _, some in groupby(table.to_pylist(), itemgetter("group"))]
    title = "Duplicates"
    if not groups:
        lead = f"No video is there more than once, at a similarity of {threshold:g} or more."
        return Chapter("duplicates", title, lead)
    num_more = sum(len(some) - 1 for some in groups)
    sizes = matter.videos.select(["video_id", "size_bytes"]).to_pylist()
    size_of = {row["video_id"]: row["size_bytes"] or 0 for row in sizes}
    spare = sum(size_of.get(row["video_id"], 0) for some in groups for row in some[1:])
    lead = (
        f"{count(len(groups), 'group')} of videos that show the same, at a similarity of "
        f"{threshold:g} or more: {count(num_more, 'file')} beside the first of each, "
        f"{_size(spare)}. `vidx propose` says which one to keep of each."
    )
    strips = [_group(matter, some) for some in groups[:GROUPS]]
    return Chapter("duplicates", title, lead, (*strips, *_more(len(groups), GROUPS, "group")))


def _group(matter: Matter, rows: Rows) -> Strip:
    """The members side by side at one moment, told by how they lie beside the first."""
    nearest = rows[min(1, len(rows) - 1)]
    middle = (nearest["start_seconds"] + nearest["end_seconds"]) / 2 + nearest["offset_seconds"]
    shown = rows[:MEMBERS]
    moments = [(row["video_id"], middle - row["offset_seconds"]) for row in shown]
    shots = []
    for row, clip_id in zip(shown, clips_at(matter.part, moments), strict=True):
        same = "the same bytes" if row["match"] == "exact" else f"score {row['score']:.2f}"
        how = "the first" if row["rank"] == 0 else f"{same}, {row['share']:.0%} of it"
        times = span(row["start_seconds"], row["end_seconds"])
        shots.append(Shot(clip_id, (matter.shown(row["path"]), times, how)))
    more = f", {len(rows) - MEMBERS} more not shown" if len(rows) > MEMBERS else ""
    return Strip(f"Group {rows[0]['group']}: {count(len(rows), 'file')}{more}", tuple(shots))


def of_leakage(matter: Matter) -> Chapter:
    """Which footage is in several splits."""
    title, part = "Leakage across splits", matter.part
    if matter.split is None:
        lead = "There is no column of metadata `split`, so there are no splits to compare."
        return Chapter("leakage", title, lead)
    codes, names = codes_of(part.catalogue, matter.split, part.clip_ids, part.videos)
    sizes = np.bincount(codes[codes >= 0], minlength=len(names)).tolist()
    of_splits = _shares("split", names, sizes, len(part))
    threshold = copy_threshold(part.catalogue.layout.root)
    table = leakage(part, matter.split, threshold, matter.heard)
    if not table.num_rows:
        lead = f"No footage is in two splits of the column `{printable(matter.split)}`."
        return Chapter("leakage", title, lead, (of_splits,))
    lead = (
        f"{count(table.num_rows, 'pair')} of videos in two splits of the column "
        f"`{printable(matter.split)}` show the same footage. `vidx split` shares videos out so "
        "that none does."
    )
    strips = [_pair(matter, row) for row in table.slice(0, PAIRS).to_pylist()]
    blocks = (of_splits, _touched(table), *strips, *_more(table.num_rows, PAIRS, "pair"))
    return Chapter("leakage", title, lead, blocks)


def _pair(matter: Matter, row: dict[str, Any]) -> Strip:
    sides = (
        matter.shot(row, f"in {row['split']}, {count(row['num_clips'], 'clip')}"),
        matter.shot(
            row,
            f"in {row['other_split']}, {count(row['other_num_clips'], 'clip')}",
            before="other_",
        ),
    )
    same = "the same bytes" if row["match"] == "exact" else f"score {row['score']:.2f}"
    return Strip(f"{row['split']} and {row['other_split']}: {same}", sides)


def _touched(table: pa.Table) -> Table:
    """How much of each split is like a clip of another."""
    cells: dict[tuple[str, str], tuple[int, float, float]] = {}
    for row in table.select(["split", "other_split", "share", "other_share"]).to_pylist():
        pair = (row["split"], row["other_split"])
        cells[pair] = (cells.get(pair, (0,))[0] + 1, row["share"], row["other_share"])
    return Table(
        ("split", "other", "pairs of videos", "of its clips", "of the other's"),
        tuple(
            (*pair, str(number), f"{share:.1%}", f"{other:.1%}")
            for pair, (number, share, other) in sorted(cells.items())
        ),
        ("pairs of videos", "of its clips", "of the other's"),
    )


def of_labels(matter: Matter) -> Chapter:
    """How clips are shared out among labels, and in each split."""
    part, blocks = matter.part, list[Block]()
    splits: Codes = np.full(len(part), -1), []
    if matter.split:
        splits = codes_of(part.catalogue, matter.split, part.clip_ids, part.videos)
    told = []
    for column in part.catalogue.metadata_columns():
        if column.type in ("text", "integer", "boolean") and column.name != matter.split:
            codes, names = codes_of(part.catalogue, column.name, part.clip_ids, part.videos)
            if 1 < len(names) <= LABEL_VALUES:
                told.append(f"`{printable(column.name)}`")
                blocks += _balance(f"column {printable(column.name)}", (codes, names), splits)
    if (part.labels[0] >= 0).any():
        blocks += _balance("label by the model", part.labels, splits)
        by_model = "by the most probable one that the model gives each"
    else:
        by_model = "by the model, which has no classification head, there is none"
    given = f"by the metadata {', '.join(told)}; " if told else "by metadata there is none; "
    return Chapter("labels", "Label balance", f"Clips by label: {given}{by_model}.", tuple(blocks))


def _balance(head: str, labels: Codes, splits: Codes) -> list[Block]:
    """A row a label, the most frequent first; beside it how many clips of it each split has."""
    codes, names = labels
    sizes = np.bincount(codes[codes >= 0], minlength=len(names))
    order = np.argsort(-sizes, kind="stable")[: min(LABELS, int((sizes > 0).sum()))]
    of_splits, split_names = splits
    beside = [
        np.bincount(codes[(codes >= 0) & (of_splits == split)], minlength=len(names))
        for split in range(len(split_names))
    ]
    table = _shares(
        head,
        [names[one] for one in order],
        sizes[order].tolist(),
        len(codes),
        {name: one[order].tolist() for name, one in zip(split_names, beside, strict=True)},
    )
    return [table, *_more(int((sizes > 0).sum()), LABELS, "label")]


def _shares(
    head: str,
    names: list[str],
    sizes: list[int],
    total: int,
    beside: Mapping[str, list[int]] = MappingProxyType({}),
) -> Table:
    """A row a name, with its share of all clips drawn, and further numbers of clips."""
    more = [f"in {printable(name)}" for name in beside]
    rows: list[tuple[str | float, ...]] = [
        (printable(name), str(size), size / total, *(str(one[place]) for one in beside.values()))
        for place, (name, size) in enumerate(zip(names, sizes, strict=True))
    ]
    return Table((head, "clips", "share", *more), tuple(rows), ("clips", *more), "share")


def of_clusters(matter: Matter) -> Chapter:
    """What kinds of clips there are."""
    table = clusters(matter.part, None, 0)
    begins = np.flatnonzero(table.column("rank").to_numpy() == 0)
    groups = [table.slice(int(begin), TYPICAL).to_pylist() for begin in begins[:CLUSTERS]]
    lead = (
        f"{count(len(begins), 'kind')} of clips, the largest first, each with its most typical "
        "clips; named by the labels that most of them have."
    )
    strips = [_cluster(matter, some) for some in groups]
    more = _more(len(begins), CLUSTERS, "cluster")
    return Chapter("clusters", "Clusters", lead, (*strips, *more))


def _cluster(matter: Matter, rows: Rows) -> Strip:
    first = rows[0]
    title = f"{printable(first['name'])}: {count(first['size'], 'clip')}, tightness "
    own = [row for row in rows if row["group"] == first["group"]]  # a small one ends before
    shots = tuple(matter.shot(row, f"score {row['score']:.2f}") for row in own)
    return Strip(f"{title}{first['tightness']:.2f}", shots)


def of_quality(matter: Matter) -> Chapter:
    """Which clips are poor to look at."""
    table, title = quality(matter.part, Limits()), "Quality"
    if not table.num_rows:
        lead = "No clip is black, frozen, static, blurred or too short."
        return Chapter("quality", title, lead)
    clips = len(np.unique(table.column("clip_id").to_numpy()))
    lead = f"{count(clips, 'clip')} of {len(matter.part)} are poor to look at; the worst first."
    issues = table.column("issue").to_pylist()
    sizes = [issues.count(issue) for issue in ISSUES]
    strips = [
        _issue(matter, table.slice(issues.index(issue), min(size, POOR)), issue, size)
        for issue, size in zip(ISSUES, sizes, strict=True)
        if size
    ]
    shares = _shares("issue", list(ISSUES), sizes, len(matter.part))
    return Chapter("quality", title, lead, (shares, *strips))


def _issue(matter: Matter, worst: pa.Table, issue: str, size: int) -> Strip:
    shots = tuple(
        matter.shot(row, f"{row['value']:.3g}, limit {row['limit']:.3g}")
        for row in worst.to_pylist()
    )
    return Strip(f"{issue}: {count(size, 'clip')}", shots)


def of_outliers(matter: Matter) -> Chapter:
    """Which clips are like none."""
    rows = outliers(matter.part, UNUSUAL, matter.heard).to_pylist()
    lead = (
        "The least typical clips, the loneliest first, each beside the one nearest to it. The "
        "factor is about 1 where a clip lies as densely as its neighbours do."
    )
    strips = [
        Strip(
            f"{row['rank'] + 1}: factor {row['factor']:.2f}",
            (
                matter.shot(row),
                matter.shot(row, f"the nearest, score {row['score']:.2f}", before="nearest_"),
            ),
        )
        for row in rows
    ]
    return Chapter("outliers", "Unusual clips", lead, tuple(strips))


def _more(number: int, shown: int, noun: str) -> list[Block]:
    left = number - shown
    return [Note(f"{count(left, f'more {noun}')} not shown.")] if left > 0 else []


def _size(number: int) -> str:
    """Bytes for people.

    >>> _size(999), _size(1_250_000), _size(3_000_000_000)
    ('0.00 MB', '1.25 MB', '3.00 GB')
    """
    return f"{number / 1e9:.2f} GB" if number >= 1e9 else f"{number / 1e6:.2f} MB"
