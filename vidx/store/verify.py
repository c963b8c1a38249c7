"""Checking that shards, journal and catalogue agree."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
from sqlalchemy import func, select

from vidx.errors import CollectionDamaged, CollectionTooNew
from vidx.records import FACTS
from vidx.store import journal, shards
from vidx.store.at_hand import at_hand
from vidx.store.catalogue import Catalogue, ShardRow
from vidx.store.layout import Manifest
from vidx.store.tables import DROPPED, clip_labels, clip_metadata, clips, takes, videos


def disagreements(catalogue: Catalogue, manifest: Manifest) -> list[str]:
    """Compare every shard with the catalogue, row by row; those that were put out are passed over.

    Args:
        catalogue: The collection's.
        manifest: What its `collection.json` says.

    Returns:
        One sentence for each thing that is wrong; empty when all agree.

    Raises:
        VidxError: A file cannot be read for a reason that may pass.
    """
    with catalogue.now() as still:
        known = {shard.file: shard for shard in still.shards()}
        originals = {shard.uuid: shard.file for shard in known.values()}
        files = [path for _, path in shards.listed(still.layout.shards)]
        findings = [f"catalogue: {finding}" for finding in still.self_check()]
        there = {path.name for path in files}
        findings += [
            f"shard {file}: the file is missing"
            for file in known
            if file not in there and still.layout.address is None  # else it is put out
        ]
        for path in files:
            row = known.get(path.name)
            with at_hand(still.layout, manifest, path.name) if row else nullcontext():
                findings += _check_shard(still, manifest, path, row, originals)
        findings += _clips_outside(still, list(known.values()))
        return findings + _orphans(still) + _check_journal(still, manifest)


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
        if info.shard != row.uuid:
            return [f"shard {path.name}: is another one ({info.shard}) than was committed there"]
        table = shards.read(path)
    except (CollectionDamaged, CollectionTooNew) as error:
        return [f"shard {path.name}: {error.problem}"]
    if table.num_rows != row.num_clips:
        return [f"shard {path.name}: has {table.num_rows} rows, not {row.num_clips}"]
    if not np.isfinite(shards.matrix(table, "embedding")).all():
        return [f"shard {path.name}: has vectors that are not finite"]
    return _compare_rows(catalogue, path, table, row)


def _compare_rows(catalogue: Catalogue, path: Path, table: pa.Table, shard: ShardRow) -> list[str]:
    """Whether the catalogue says of a shard's clips what its rows say."""
    own = ("start_seconds", "end_seconds", *FACTS, "repeats")
    names = ("take", "video_id", *own)
    columns = [table.column(name).to_pylist() for name in names]
    stored = dict(
        zip(shards.clip_ids(path, table).tolist(), zip(*columns, strict=True), strict=True)
    )
    query = (
        select(clips.c.clip_id, takes.c.uuid, videos.c.video_id, *(clips.c[name] for name in own))
        .join(takes, takes.c.number == clips.c.take)
        .join(videos, videos.c.number == takes.c.video)
        .where(clips.c.clip_id >= shard.first_clip_id, clips.c.clip_id < shard.end_clip_id)
        .where(clips.c.removed.is_(None) | (clips.c.removed != DROPPED))
    )
    with catalogue.reading() as connection:
        told = {clip_id: tuple(values) for clip_id, *values in connection.execute(query)}
    wrong = sorted(
        clip_id for clip_id in {*stored, *told} if stored.get(clip_id) != told.get(clip_id)
    )
    if not wrong:
        return []
    return [f"shard {shard.file}: {len(wrong)} clips differ in the catalogue, first {wrong[0]}"]


def _clips_outside(catalogue: Catalogue, known: list[ShardRow]) -> list[str]:
    """Clips that no shard holds."""
    with catalogue.reading() as connection:
        held = select(clips.c.clip_id).where(
            clips.c.removed.is_(None) | (clips.c.removed != DROPPED)
        )
        ids = np.fromiter(connection.execute(held).scalars(), np.int64)
    ids = np.sort(ids)
    inside = np.zeros(len(ids), bool)
    for shard in known:
        low, high = np.searchsorted(ids, [shard.first_clip_id, shard.end_clip_id])
        inside[low:high] = True
    outside = ids[~inside]
    if not len(outside):
        return []
    return [f"catalogue: {len(outside)} clips are in no shard, first {outside[0]}"]


def _orphans(catalogue: Catalogue) -> list[str]:
    """Rows that a foreign key would have kept out, and clips that outlive their take."""
    takeless = select(func.count()).where(clips.c.take.not_in(select(takes.c.number)))
    clipless = select(func.count()).where(clip_labels.c.clip_id.not_in(select(clips.c.clip_id)))
    known = select(clips.c.clip_id)
    homeless = select(func.count()).where(clip_metadata.c.clip_id.not_in(known))
    astray = (
        select(func.count())
        .select_from(clips)
        .join(takes, takes.c.number == clips.c.take)
        .join(videos, videos.c.number == takes.c.video)
        .where(clips.c.removed.is_(None))
        .where(videos.c.take.is_(None) | (videos.c.take != clips.c.take))
    )
    queries = (takeless, clipless, homeless, astray)
    with catalogue.reading() as connection:
        counts = [connection.execute(q).scalar_one() for q in queries]
    said = (
        "clips have no take",
        "labels have no clip",
        "rows of metadata have no clip",
        "clips live though their take does not",
    )
    return [f"catalogue: {n} {what}" for n, what in zip(counts, said, strict=True) if n]


def _check_journal(catalogue: Catalogue, manifest: Manifest) -> list[str]:
    """What is wrong with the journal."""
    findings = []
    last = catalogue.state().commit
    for number, path in journal.listed(catalogue.layout.journal):
        try:
            entry = journal.read(path)
        except (CollectionDamaged, CollectionTooNew) as error:
            findings.append(f"journal {path.name}: {error.problem}")
            continue
        if entry.collection != manifest.uuid:
            findings.append(f"journal {path.name}: belongs to another collection")
        elif number > last:
            findings.append(f"journal {path.name}: the catalogue does not know it")
    return findings
