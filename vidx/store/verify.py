"""Checking that shards and catalogue agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from sqlalchemy import select

from vidx.errors import CollectionDamaged, CollectionTooNew
from vidx.store import shards
from vidx.store.catalogue import Catalogue, ShardRow
from vidx.store.layout import Manifest
from vidx.store.tables import clips


def disagreements(catalogue: Catalogue, manifest: Manifest) -> list[str]:
    """Compare every shard with the catalogue, row by row.

    Args:
        catalogue: The collection's.
        manifest: What its `collection.json` says.

    Returns:
        One sentence for each thing that is wrong; empty when all agree.
    """
    known = {shard.first_clip_id: shard for shard in catalogue.shards()}
    originals = {shard.uuid: shard.file for shard in known.values()}
    files = shards.listed(catalogue.layout.shards)
    findings = [f"catalogue: {finding}" for finding in catalogue.self_check()]
    findings += [
        f"shard {shard.file}: the file is missing"
        for first, shard in known.items()
        if first not in files
    ]
    for first, path in files.items():
        findings += _check_shard(catalogue, manifest, path, known.get(first), originals)
    return findings + _clips_outside(catalogue, list(known.values()))


def _check_shard(
    catalogue: Catalogue,
    manifest: Manifest,
    path: Path,
    row: ShardRow | None,
    originals: dict[str, str],
) -> list[str]:
    """What is wrong with one file in the folder of shards."""
    try:
        info = shards.read_info(path)
        if info.uuid != manifest.uuid:
            return [f"shard {path.name}: belongs to another collection ({info.uuid})"]
        if info.fingerprint != manifest.space.fingerprint:
            return [f"shard {path.name}: has vectors of another space ({info.fingerprint[:12]})"]
        if originals.get(info.shard, path.name) != path.name:
            return [f"shard {path.name}: is a copy of {originals[info.shard]}; move it away"]
        if row is None:
            return [f"shard {path.name}: the catalogue does not know it"]
        table = shards.read(path)
    except (CollectionDamaged, CollectionTooNew) as error:
        return [f"shard {path.name}: {error.problem}"]
    if table.num_rows != row.num_clips:
        return [f"shard {path.name}: has {table.num_rows} rows, not {row.num_clips}"]
    if not np.isfinite(shards.matrix(table, "embedding")).all():
        return [f"shard {path.name}: has vectors that are not finite"]
    return _compare_rows(catalogue, table, row)


def _compare_rows(catalogue: Catalogue, table: pa.Table, shard: ShardRow) -> list[str]:
    """Whether the catalogue says of a shard's clips what its rows say, and has all of a video."""
    columns = (clips.c.video_id, clips.c.start_seconds, clips.c.end_seconds)
    stored = list(zip(*(table.column(column.name).to_pylist() for column in columns), strict=True))
    inside = clips.c.clip_id.between(shard.first_clip_id, shard.end_clip_id - 1)
    with catalogue.engine.connect() as connection:
        rows = connection.execute(select(clips.c.clip_id, *columns).where(inside))
        live = {clip_id: tuple(values) for clip_id, *values in rows}
    videos = {video_id for video_id, _, _ in live.values()}
    wrong = [
        clip_id
        for clip_id, values in enumerate(stored, shard.first_clip_id)
        if (clip_id in live or values[0] in videos) and live.get(clip_id) != values
    ]
    if not wrong:
        return []
    return [f"shard {shard.file}: {len(wrong)} clips differ in the catalogue, first {wrong[0]}"]


def _clips_outside(catalogue: Catalogue, known: list[ShardRow]) -> list[str]:
    """Live clips that no shard holds."""
    live = catalogue.live_clip_ids()
    inside = np.zeros(len(live), bool)
    for shard in known:
        low, high = np.searchsorted(live, [shard.first_clip_id, shard.end_clip_id])
        inside[low:high] = True
    outside = live[~inside]
    if not len(outside):
        return []
    return [f"catalogue: {len(outside)} clips are in no shard, first {outside[0]}"]
